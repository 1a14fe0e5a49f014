# SPDX-License-Identifier: GPL-2.0-or-later
"""Input, packets, watchpoints and perf's events: the values in their handlers, in user space."""

from __future__ import annotations

import pytest

from tests.language.workbench import Ran, refusal, run

PACKETS = 'netfilter.hook("NF_INET_LOCAL_IN").pf("NFPROTO_IPV4")'
VALUES = "1,2,3,4"  # the registers: a packet's hook, the packet, its input and its output device


def test_a_wildcard_takes_an_alias_once() -> None:
    """The probe point to which the library's alias expands is not matched as well."""
    assert run('probe input.* { print("x") }', rounds=1) == Ran("xx")


def test_what_fires_by_its_handler_s_type() -> None:
    """All hooks fire but tracepoints, whose arguments are unknown."""
    script = """probe kernel.trace("sched_switch") { println($prev) } probe process.end { println(1) }
        probe process(1).syscall { println($syscall, $arg1) } probe timer.profile { println(2) }"""
    assert run(script, rounds=1, registers=VALUES) == Ran("1\n01\n2\n")


def test_a_packet() -> None:
    script = f"""probe {PACKETS} {{
        println($hooknum, $skb, $in, $out, $verdict)
        println($$vars, " ", $$parms == $$vars, " ", registers_valid())
        $verdict = 3; $verdict += 1; println($verdict++, $verdict) }}"""
    seen = "12341\nhooknum=0x1 skb=0x2 in=0x3 out=0x4 1 0\n45\n"
    assert run(script, rounds=2, registers=VALUES) == Ran(seen * 2)


def test_a_packet_s_memory_is_read_with_care() -> None:
    script = f"probe {PACKETS} {{ $verdict = 0; println($skb->len) }}"
    assert run(script, rounds=1, registers=VALUES) == Ran("", ("kernel read fault at 0x2",))


@pytest.mark.parametrize("value", ["$skb = 5", "$in++", "$hooknum = 1"])
def test_a_packet_s_arguments_are_not_written(value: str) -> None:
    assert refusal(f"probe {PACKETS} {{ {value} }}") == ["not-assignable"]


@pytest.mark.parametrize(
    "point", ['kernel.data("x").rw', "kernel.data(16).length(2).write", "perf.sw.cpu_clock.hz(50)"]
)
def test_what_was_interrupted(point: str) -> None:
    script = f"probe {point} {{ println(registers_valid(), long_arg(2)) }}"
    assert run(script, rounds=2, registers=VALUES) == Ran("12\n12\n")
    assert refusal(f"probe {point} {{ println($$vars) }}") == ["unknown-context-variable"]


def test_each_has_its_type() -> None:
    script = (
        f"""probe kernel.data("x").rw, perf.sw.cpu_clock, {PACKETS} {{ println(probe_type()) }}"""
    )
    assert run(script, rounds=1) == Ran("hwbreakpoint\nperf\nnetfilter\n")
