# SPDX-License-Identifier: GPL-2.0-or-later
"""The code that the optimiser removes, the code that it must keep, and its warnings."""

from __future__ import annotations

import pytest

from compiler.analysis.unused import require_probes, warnings
from compiler.frontend.parser import Conditions, parse
from compiler.ir import program_printer
from compiler.ir.diagnostics import CompileError, render
from compiler.ir.program import Program
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel
from tests.language.workbench import Ran, run

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64", guru_mode=True)
READ = 'kernel.function("vfs_read")'


def programs(text: str) -> tuple[Program, Program, list[str]]:
    """The resolved program, the optimised one, and the warnings' slugs."""
    script = parse(text, "x.stp", conditions=CONDITIONS)
    before = resolve(
        "x", [script], known(text, CONDITIONS), Environment(golden_kernel(), guru=True)
    )
    after = eliminate_dead_code(before)
    return before, after, [d.slug for d in warnings(before, after, [script])]


FOLDED = {
    "1 + 2 * 3 - 8 / 3": "5",
    '-7 / 2 . ""': None,
    "(-7 / 2) * 10 + -7 % 3": "-31",
    "9223372036854775807 + 1": "-9223372036854775808",
    "(-9223372036854775807 - 1) / -1": "-9223372036854775808",
    "1 << 65": "2",
    "-1 >> 70": "-1",
    "-1 >>> 60": "15",
    "~5 & 0xff | 1 ^ 2": "251",
    "!5 + !0": "1",
    '(1 < 2) + (2 <= 1) + (3 == 3) + ("a" < "b") + ("a" == "b")': "3",
    "0 && n++": "0",
    "1 || n++": "1",
    "1 && 7": "1",
    "5 ? 6 : n++": "6",
    '"a" . "b" == "ab"': "1",
}


@pytest.mark.parametrize("text", [t for t, v in FOLDED.items() if v is not None])
def test_constants_fold(text: str) -> None:
    """They fold to their values at run time without optimisation."""
    wanted = FOLDED[text]
    script = f"global n probe begin {{ x = {text}; println(x); n = x }}"
    assert run(script).output == run(script, optimise=False).output == f"{wanted}\n"
    _, after, _ = programs(script)
    assert "Arithmetic(" not in repr(after) and "Logical(" not in repr(after)


def test_a_division_by_0_stays_an_error() -> None:
    for script in ("probe begin { println(1 / 0) }", "probe begin { x = 5 % 0; 1 / 0 }"):
        assert run(script).errors == run(script, optimise=False).errors == ("division by 0",)


def test_dead_code_goes() -> None:
    script = f"""
    global kept, gone, spare
    function used() {{ return 1; gone++ }}
    function only_in_dead_code() {{ gone = 5 }}
    function never() {{ spare = 1 }}
    probe begin {{
        if (2 > 3) only_in_dead_code()
        while (0) gone++
        for (i = 0; 0; i++) gone++
        if (@defined(@var("nothing_at_all_x")->y)) gone++
        kept = used() ? 3 : 4
        next
        gone++
    }}
    probe {READ} {{ unused = $count }}
    probe timer.s(1) {{ }}
    probe end {{ }}
    """
    before, after, slugs = programs(script)
    assert [g.name for g in after.globals] == ["kept"]
    assert [f.name for f in after.functions] == ["used"]
    assert [probe.point for probe in after.probes] == ["begin"]
    assert "gone" not in repr(after.probes)
    assert sorted(slugs) == [
        *["empty-probe"] * 3, "unused-function", "unused-function", "unused-global", "unused-global",
        "unused-local",
    ]  # fmt: skip
    assert {g.name for g in before.globals} == {"kept", "gone"}


def test_what_acts_stays() -> None:
    script = f"""
    global written, read_only = 4, s, a
    function acts() {{ written++; return 1 }}
    probe {READ} {{ acts() }}
    probe timer.s(1) {{ x = acts(); s <<< 1; a[1] = 2; written = read_only }}
    """
    _, after, slugs = programs(script)
    assert [g.name for g in after.globals] == ["written", "read_only", "s", "a"]
    assert len(after.probes) == 2
    assert slugs == ["unused-local"]


def test_a_script_of_empty_probes_still_runs() -> None:
    _, after, _ = programs(f"probe {READ} {{ }}")
    assert len(after.probes) == 1


@pytest.mark.parametrize(
    "text",
    ["probe begin { }", "probe begin { x = 1 }", "probe end { if (0) println(1) } probe begin { }"],
)
def test_a_session_of_nothing_is_refused(text: str) -> None:
    _, after, _ = programs(text)
    script = parse(text, "x.stp", conditions=CONDITIONS)
    with pytest.raises(CompileError) as caught:
        require_probes(after, script, [])
    assert [d.slug for d in caught.value.diagnostics] == ["no-probe"]


def test_a_session_that_only_waits_is_not() -> None:
    text = "probe never { println(1) }"
    require_probes(programs(text)[1], parse(text, "x.stp", conditions=CONDITIONS), [])


@pytest.mark.parametrize(
    ("script", "wanted"),
    [
        ("global spare probe begin { exit() }", ["unused-global"]),
        ("function f() { return 1 } probe begin { exit() }", ["unused-function"]),
        ("probe begin { x = 1; exit() }", ["unused-local"]),
        ("probe begin { println(x + 1) }", ["never-assigned"]),
        ("probe begin { x++; println(y + y) }", ["never-assigned", "unused-local"]),
        ("probe begin { }", ["empty-probe"]),
        ("probe begin { foreach (k in a) n++ } global a, n probe end { a[1] = 2 }", []),
        ('probe begin { try { error("x") } catch (m) { } }', []),
        (f"probe one = {READ} {{ size = $count }} probe one {{ println(size) }}", []),
        ("function f(a, b) { return a } probe begin { println(f(1, 2)) }", []),
        ("probe syscall.openat ? { println(1) }", []),
    ],
)
def test_warnings(script: str, wanted: list[str]) -> None:
    assert sorted(programs(script)[2]) == wanted


def test_a_warning_shows_its_place() -> None:
    script = parse("global spare\nprobe begin { println(1) }", "x.stp", conditions=CONDITIONS)
    before = resolve("x", [script], [], Environment(golden_kernel()))
    (found,) = warnings(before, eliminate_dead_code(before), [script])
    assert render(found).startswith(
        "warning[unused-global]: the global 'spare' is never used\n --> x.stp:1:8\n"
    )


def test_without_optimising_all_stays() -> None:
    script = "global gone probe begin { if (0) gone++; x = 1; println(2 + 3) }"
    assert run(script, optimise=False) == run(script) == Ran("5\n")
    before, _, _ = programs(script)
    assert "  # locals\n  x:long\n" in program_printer.program(before)


@pytest.mark.parametrize(
    "test", ["@hist_log(s)[-1] != n", "@min(e) > n", "1 / n", "n % (n - n) == 1 || n"]
)
def test_the_error_of_a_test_is_kept_without_its_branches(test: str) -> None:
    script = f"global s, e, n = 0 probe begin {{ s <<< 1; if (n) e <<< 1; n += 0; if ({test}) {{ if (0 / 3) n++ }} println(1) }}"
    kept = run(script)
    assert kept.errors == run(script, optimise=False).errors != ()
