# SPDX-License-Identifier: GPL-2.0-or-later
"""The lists of `-l`, `-L` and the `--dump` options."""

from __future__ import annotations

import pytest

from compiler.arch.x86_64 import ARCH as X86_64
from compiler.driver import list_probes
from compiler.frontend.parser import Conditions, parse
from compiler.ir import syntax
from compiler.probes import FAMILIES, Environment
from compiler.probes.expand import Aliases, expand
from compiler.probes.forms import FORMS
from tests.compiler.frontend.support import everything
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")
MINE = """
probe my.begin = begin { x = 1 }
probe my.reads = kernel.function("vfs_read") { size = $count; who = execname() }
probe my.either = begin { x = 1 }
probe my.either = end { y = 1 }
probe my.missing = kernel.function("no_such_function")? { }
"""


def listed(pattern: str, *, variables: bool = False, extra: str = MINE) -> list[str]:
    script = parse(f"probe {pattern} {{}}", "-l", conditions=CONDITIONS)
    extras = [parse(extra, "-E", conditions=CONDITIONS)]
    known = everything(CONDITIONS)
    environment = Environment(golden_kernel())
    return list_probes.points(script, extras, known, environment, variables=variables)


@pytest.mark.parametrize(
    ("pattern", "points"),
    [
        ("begin", ["begin"]),
        ("begin(3)", ["begin(3)"]),
        ("b*", ["begin"]),
        ("never", ["never"]),
        ("begin, end", ["begin", "end"]),
        ("timer.s(1)", ["timer.s(1)"]),
        ("timer.*", ["timer.profile"]),
        ("timer.m*(100)", ["timer.ms(100)", "timer.msec(100)"]),
        ("timer.{s(1),ms(1)}", ["timer.s(1)", "timer.ms(1)"]),
        (
            'kernel.function("vfs_*")',
            ['kernel.function("vfs_read")', 'kernel.function("vfs_write")'],
        ),
        ('kernel.function("vfs_read").return', ['kernel.function("vfs_read").return']),
        ('kernel.trace("sched_*")', ['kernel.trace("sched:sched_switch")']),
        ("my.*", ["my.begin", "my.either", "my.reads"]),
        ("nosuch", []),
        ('kernel.function("nosuch")', []),
        ("my.missing", []),
    ],
)
def test_points(pattern: str, points: list[str]) -> None:
    assert listed(pattern) == points


def test_variables() -> None:
    [line] = listed('kernel.function("vfs_read")', variables=True)
    assert line.startswith('kernel.function("vfs_read") $file:struct file* $buf:char* $count:')
    [line] = listed("my.reads", variables=True)
    assert line.startswith("my.reads size:long who:string $file:struct file* ")
    assert listed("my.either", variables=True) == ["my.either"], "what all its points set"
    assert listed("my.begin", variables=True) == ["my.begin x:long"]


def test_each_family_has_its_forms() -> None:
    assert {form.partition(".")[0].partition("(")[0] for form in FORMS} == set(FAMILIES)
    assert list_probes.probe_types() == sorted(FORMS)
    assert len(FORMS) == len(set(FORMS))


@pytest.mark.parametrize("form", FORMS)
def test_a_script_can_have_each_form(form: str) -> None:
    """The object that the argument names may not exist, but the form itself is known."""
    point = form.replace("(number)", "(1)").replace("(string)", '("x")')
    script = parse(f"probe {point} {{}}", "x.stp", conditions=CONDITIONS)
    (probe,) = (item for item in script.items if isinstance(item, syntax.Probe))
    aliases = Aliases([item for file in everything(CONDITIONS) for item in file.items])
    refused = expand([probe], aliases, Environment(golden_kernel())).faults
    assert "unknown-probe-point" not in [diagnostic.slug for diagnostic in refused]


def test_forms_are_no_internal_names() -> None:
    assert {"input.char", "input.line"} <= set(list_probes.probe_types())
    assert not [form for form in list_probes.probe_types() if "typed" in form]
    assert listed("input.*") == ["input.char", "input.line"]


def test_functions() -> None:
    text = """function typed:string(a:long) { return sprint(a) }
    function inferred() { return "x" } function nothing() { println(1) }
    function open(a) { return a } private function hidden() { return 1 }
    function _own() { return 1 } function c:long(s:string) %{ STAP_RETVALUE = 1; %}"""
    script = parse(text, "lib.stp", conditions=CONDITIONS, privileged=True)
    assert list_probes.functions([script], Environment(golden_kernel())) == [
        "c:long (s:string)",
        "inferred:string ()",
        "nothing:unknown ()",
        "open:unknown (a:unknown)",
        "typed:string (a:long)",
    ]


def test_aliases() -> None:
    script = parse(MINE, "lib.stp", conditions=CONDITIONS)
    found = list_probes.probe_aliases([script], X86_64)
    assert found[0] == "my.begin = begin"
    assert 'my.missing = kernel.function("no_such_function")?' in found
