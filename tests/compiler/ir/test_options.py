# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits from `-D`, and initial values from `-G`."""

from __future__ import annotations

import pytest

from compiler.codegen.module import generate
from compiler.codegen.probe_table import Target
from compiler.frontend.parser import Conditions, parse
from compiler.ir.diagnostics import CompileError
from compiler.ir.options import Limits, Options, unused_macros, with_defines
from compiler.probes import Environment
from compiler.resolve.program import resolve
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")


def test_limits_change() -> None:
    found = with_defines(Limits(), {"MAXACTION": "0x20", "MAXSTRINGLEN": "64"})
    assert found.limits == Limits(MAXACTION=32, MAXACTION_INTERRUPTIBLE=1600, MAXSTRINGLEN=64)
    assert (found.macros, found.errors, found.warnings) == ({}, (), ())


def test_the_bound_of_begin_probes_can_be_its_own() -> None:
    found = with_defines(Limits(), {"MAXACTION": "5", "MAXACTION_INTERRUPTIBLE": "6"})
    assert (found.limits.MAXACTION, found.limits.MAXACTION_INTERRUPTIBLE) == (5, 6)


@pytest.mark.parametrize("text", ["5000", "5000L", "5000UL", "0x1388ull"])
def test_a_number_is_written_as_in_c(text: str) -> None:
    assert with_defines(Limits(), {"MAXACTION": text}).limits.MAXACTION == 5000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAXACTION", "many"),
        ("MAXACTION", "L"),
        ("MAXACTION", "-1"),
        ("MAXSTRINGLEN", "3"),
        ("MAXNESTING", "0"),
        ("MAXMAPENTRIES", "99999999999"),
        ("MAXERRORS", ""),
    ],
)
def test_a_value_that_is_none(name: str, value: str) -> None:
    [error] = with_defines(Limits(), {name: value}).errors
    assert (error.slug, error.span.source.text) == ("bad-limit", f"{name}={value}")


def test_names_without_meaning_are_told() -> None:
    found = with_defines(Limits(), {"STP_OVERLOAD_THRESHOLD": "1", "STP_NO_OVERLOAD": "1"})
    assert [w.slug for w in found.warnings] == ["unused-define", "unused-define"]
    assert all(w.severity == "warning" for w in found.warnings)


def test_other_names_are_macros_or_slips() -> None:
    found = with_defines(Limits(), {"MAXACTON": "1", "MINE": "2"})
    assert found.macros == {"MAXACTON": "1", "MINE": "2"}
    near, far = unused_macros(found.macros)
    assert near.hint == "did you mean 'MAXACTION'?"
    assert far.message == "nothing reads 'MINE'"


def test_nesting_beyond_the_stack_is_told() -> None:
    assert with_defines(Limits(), {"MAXNESTING": "100"}).warnings == ()
    (warning,) = with_defines(Limits(), {"MAXNESTING": "1000"}).warnings
    assert (warning.slug, warning.severity) == ("deep-nesting", "warning")
    assert "1000 calls" in warning.message


def c_text(text: str, defines: dict[str, str]) -> str:
    script = parse(text, "x.stp", conditions=CONDITIONS)
    program = resolve("x", [script], known(text, CONDITIONS), Environment(golden_kernel()))
    found = with_defines(Limits(), defines)
    target = Target("sw_x", "0", "6.1.0", bytes(20), "0")
    return generate(program, target, Options(found.limits, defines=found.macros)).c_text


def test_limits_reach_the_c() -> None:
    returning = 'global n probe kernel.function("vfs_read").return { n++ }'
    assert ".lock_turns" not in c_text(returning, {})
    text = c_text(returning, {"MAXTRYLOCK": "7", "TRYLOCKDELAY": "3", "KRETACTIVE": "99", "X": "5"})
    assert ".lock_turns = 42," in text
    assert ".kretprobe = { .maxactive = 99 }," in text
    assert "#define X 5" in text
    with_own = returning.replace(".return", ".return.maxactive(4)")
    assert ".kretprobe = { .maxactive = 4 }," in c_text(with_own, {"KRETACTIVE": "99"})


def initial(text: str, **overrides: int | str) -> dict[str, int | str | None]:
    script = parse(text, "x.stp", conditions=CONDITIONS)
    program = resolve("x", [script], [], Environment(golden_kernel()), overrides)
    return {g.name: g.init for g in program.globals}


def test_initial_values() -> None:
    text = 'global a = 1, b = "x", c = 3 probe begin { printf("%d%s%d", a, b, c) }'
    assert initial(text, a="0x10", b="007") == {"a": 16, "b": "007", "c": 3}
    assert initial(text, a=-5, b=7) == {"a": -5, "b": "7", "c": 3}
    assert initial(text, a=str((1 << 64) - 1)) == {"a": -1, "b": "x", "c": 3}


@pytest.mark.parametrize(
    ("text", "override", "message"),
    [
        ("global most = 1 probe begin { println(most) }", "mist", "there is no global 'mist'"),
        ("global most = 1 probe begin { println(most) }", "most", "holds a number"),
        ("global most probe begin { most[1] = 1 }", "most", "an array like 'most'"),
        ("global most probe begin { most <<< 1 }", "most", "a statistic like 'most'"),
    ],
)
def test_initial_values_that_do_not_fit(text: str, override: str, message: str) -> None:
    with pytest.raises(CompileError, match=message) as caught:
        initial(text, **{override: "many"})
    [fault] = caught.value.diagnostics
    assert fault.slug == "bad-initial-value"
    assert fault.span.text == f"{override}=many"
    assert fault.hint
