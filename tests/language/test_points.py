# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe points: wildcards, braces, optional points, aliases, and conditions that attach and detach."""

from __future__ import annotations

import pytest

from tests.language.workbench import Ran, compile_text, refusal, run

READ = 'kernel.function("vfs_read")'
WRITE = 'kernel.function("vfs_write")'
MISSING = 'kernel.function("vfs_reed")'

# the point as written -> the points to which it expands
POINTS = {
    READ: [READ],
    'kernel.function("vfs_*")': [READ, WRITE],
    'kernel.function("vfs_[r]???")': [READ],
    "kernel.function(\"vfs_{read,write}\")": None,
    'kernel.{function("vfs_read"),function("vfs_write").return}': [READ, f"{WRITE}.return"],
    '{kernel,kprobe}.function("vfs_read")': [READ, 'kprobe.function("vfs_read")'],
    'kernel.function("vfs_read").{call,return}': [f"{READ}.call", f"{READ}.return"],
    f"{MISSING}?, {READ}": [READ],
    f"{MISSING}!, {READ}, {WRITE}": [READ, WRITE],
    f"{READ}!, {WRITE}": [READ],
    f"{WRITE}, {READ}!, {MISSING}": [WRITE, READ],
    f"{READ}?": [READ],
    'kernel.function("nothing_*")?, begin': ["begin"],
    "never, begin": ["begin"],
    "one": [READ],
    "one.return": [f"{READ}.return"],
    "family.*": [READ, WRITE],
    "family.{first,second}": [READ, WRITE],
    "family.*.return": [f"{READ}.return", f"{WRITE}.return"],
    "fam**st": [READ],
    "f**": [READ, WRITE],
    "chain": [READ, WRITE, "end"],
    "perhaps": [WRITE],
    "either": [READ],
    "perhaps.missing?, end": ["end"],
    "some.*?": [READ, "end"],
    "some.*!, begin": [READ, "end"],
    'kernel.tracepoint("sched_switch")': ['kernel.tracepoint("sched_switch")'],
    'kernel.tracepoint("sched_s*")': ['kernel.tracepoint("sched_switch")'],
    'tp_syscall("openat")': ['tp_syscall("openat")'],
    'tp_syscall("nosuch, openat=open,~compat_openat,~ia32_nosuch").return': [
        'tp_syscall("openat").return',
        'tp_syscall("~compat_openat").return',
    ],
    "never.*?, end": ["end"],
    "gone, end": ["end"],
    'one if (1), kernel.function("vfs_write") if (0)': [READ, WRITE],
    'kernel.data("x").{rw,write}': ['kernel.data("x").rw', 'kernel.data("x").write'],
    "kernel.data(16).length(4).*": ["kernel.data(16).length(4).write", "kernel.data(16).length(4).rw"],
    "perf.sw.{cpu_clock,task_clock.hz(9)}": ["perf.type(1).config(0)", "perf.type(1).config(1).hz(9)"],
    "perf.type(1).config(0).*(5)": ["perf.type(1).config(0).sample(5)", "perf.type(1).config(0).hz(5)"],
    'net*.pf("NFPROTO_ARP").hook("NF_ARP_IN")': ['netfilter.pf("NFPROTO_ARP").hook("NF_ARP_IN")'],
    "timer.s(1), timer.ms(100).randomize(5)": ["timer.s(1)", "timer.ms(100).randomize(5)"],
}  # fmt: skip
ALIASES = f"""
probe some.missing = {MISSING} {{ }}
probe some.never = never {{ }}
probe some.optional = {MISSING}?, {READ} {{ }}
probe some.there = end {{ }}
probe gone = {MISSING}?, never {{ }}
probe one = {READ} {{ }}
probe family.first = {READ} {{ }} probe family.second = {WRITE} {{ }}
probe chain = family.*, end {{ }}
probe perhaps = {MISSING}?, {WRITE} {{ }}
probe perhaps.missing = {MISSING} {{ }}
probe either = {MISSING}!, {READ}!, {WRITE} {{ }}
"""


@pytest.mark.parametrize("point", POINTS)
def test_what_a_point_stands_for(point: str) -> None:
    wanted = POINTS[point]
    script = f"global n {ALIASES} probe {point} {{ n++ }}"
    if wanted is None:  # braces are no part of a function's name
        assert refusal(script) == ["unknown-kernel-function"]
    else:
        manifest = compile_text(script).manifest
        found = []  # one handler may serve several functions
        for probe in manifest.probes:
            found += [f'kernel.function("{name}")' for name in probe.functions] or [probe.point]
        assert found == wanted


@pytest.mark.parametrize(
    ("point", "slug"),
    [
        (MISSING, "unknown-kernel-function"),
        ('kernel.function("nothing_*")', "unknown-kernel-function"),
        ("family.*.nothing", "unknown-probe-point"),
        ("fam**nothing", "unknown-probe-point"),
        ("bgein", "unknown-probe-point"),
        ("cycle", "alias-cycle"),
    ],
)
def test_points_that_are_not_there(point: str, slug: str) -> None:
    script = f"global n {ALIASES} probe cycle = cycle.on {{ }} probe cycle.on = cycle {{ }} probe {point} {{ n++ }}"
    assert refusal(script) == [slug]


def test_prologues_and_epilogues_nest() -> None:
    script = """
    probe inner = begin { s = "a"; inner = 1 }, { println(s, "g") }
    probe middle = inner { s .= "b" }, { s .= "f" }
    probe outer += middle { s .= "e" }
    probe both = named = outer { s .= "c" }
    probe both { s .= "d" }
    probe named { if (inner) s .= "x" }
    probe outer { next }
    """
    assert run(script) == Ran("abcdefg\nabcxefg\n")


def test_a_prologue_may_end_the_handler() -> None:
    script = """
    probe guarded = begin { if (turn++) next; println("once") }
    global turn
    probe guarded { println("first") } probe guarded { println("second") }
    """
    assert run(script) == Ran("once\nfirst\n")


def test_conditions_stack_up() -> None:
    script = f"""
    global a = 1, b = 1, c
    probe inner = {READ} if (a) {{ where = "in" }}
    probe outer = inner if (b) {{ where .= "out" }}
    probe outer if (c) {{ println(where, c) }}
    probe {WRITE} {{ c++; if (c == 3) a = 0; if (c == 4) {{ a = 5; b = 0 }} if (c == 5) b = -1 }}
    """
    assert run(script, rounds=6) == Ran("inout1\ninout2\ninout5\n")


def test_conditions_of_text_and_of_sums() -> None:
    script = f"""
    global mode = "off", left = 3, lines, n
    probe {READ} if (n > 1) {{ lines .= "r" }}
    probe {WRITE} {{ n++; if (n == 4) mode = "go" }}
    probe timer.s(1) if (mode == "go" && n < 6) {{ lines .= "t" }}
    probe kprobe.function("vfs_read") if (left) {{ left--; lines .= "l" }}
    probe kprobe.function("vfs_write") if (n % 2) {{ lines .= "o" }}
    probe end {{ println(lines, left, n) }}
    """
    assert run(script, rounds=7) == Ran("lolrlortrtorro07\n")


def test_only_what_can_change_disarms() -> None:
    """Conditions of globals detach the hook, others are tested at each hit."""
    conditions = ["on", 'on > 1 && text == "x"', "!on", "(on ? 1 : 2) == other / 2"]
    others = ["a[1]", "1 / on", "@count(s)"]
    for test in (*conditions, *others):
        script = f"""global on, other = 2, text = "t", a, s
        probe {READ} if ({test}) {{ println("hit") }} probe timer.s(1) {{ on++; a[1]++; s <<< 1; text = "y" }}"""
        assert ("armed_0" in compile_text(script).c_text) == (test in conditions), test
    assert (
        "armed"
        not in compile_text(
            "global on probe begin if (on) { println(on) } probe end { on++ }"
        ).c_text
    )
