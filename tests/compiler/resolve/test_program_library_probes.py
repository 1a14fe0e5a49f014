# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of a library file run in every script that uses a declaration of the file, and in no other."""

from __future__ import annotations

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir.diagnostics import CompileError
from compiler.ir.program import Program
from compiler.probes import Environment
from compiler.resolve.program import resolve
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0-golden", arch="x86_64")
LIBRARY = {
    "state.stp": """
        global ready, other
        function is_ready() { return ready }
        probe begin(-5) { ready = 1 }
        probe end(-5) { println(deeper()) }
        probe my.alias = begin { mine = 3 }""",
    "deeper.stp": """
        global depth
        function deeper() { return depth }
        probe begin(-7) { depth = 2 }""",
    "wrong.stp": "function wrong() { return 1 } probe begin { nosuch() }",
}


def program(text: str) -> Program:
    script = parse(text, "x.stp", conditions=CONDITIONS)
    library = [parse(t, name, conditions=CONDITIONS) for name, t in LIBRARY.items()]
    return resolve("x", [script], library, Environment(golden_kernel()))


def points(text: str) -> list[str]:
    return [probe.point for probe in program(text).probes]


ALL = ["begin", "begin(-5)", "end(-5)", "begin(-7)"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("probe begin { println(is_ready()) }", ALL),
        ("probe begin { println(ready) }", ALL),
        ("probe my.alias { println(mine) }", ALL),
        ("probe begin { println(deeper()) }", ["begin", "begin(-7)"]),
        ("probe begin { println(1) }", ["begin"]),
        ("global ready = 1 probe begin { println(ready) }", ["begin"]),
    ],
)
def test_probes_come_with_their_file(text: str, wanted: list[str]) -> None:
    assert points(text) == wanted


def test_a_global_of_the_script_hides_the_librarys() -> None:
    found = program("global ready = 7 probe begin { println(ready, is_ready()) }")
    named = [(g.name, g.init) for g in found.globals if g.name.startswith("ready")]
    assert sorted(named) == [("ready", 7), ("ready_", None)]


@pytest.mark.parametrize(
    "text",
    [
        # what the library's alias and its functions call `mine` and `depth` is no concern of the script
        'global mine probe my.alias { mine = "text" println(mine) }',
        'global mine probe my.alias { mine["a", 1]++ } probe end { println(mine["a", 1]) }',
        "global mine probe my.alias { mine <<< 1 } probe end { println(@count(mine)) }",
        'private global mine probe my.alias { mine = "text" println(mine) }',
        'global depth probe begin { depth = "text" println(depth, deeper()) }',
        'global depth probe begin { depth["text"] = deeper() println(depth["text"]) }',
        'global mine probe my.alias { delete mine println(1) } probe end { mine = "x" println(mine) }',
    ],
)
def test_the_library_uses_no_global_of_the_script(text: str) -> None:
    program(text)


def test_an_aliass_variable_is_the_scripts_where_no_global_hides_it() -> None:
    [probe] = [p for p in program("probe my.alias { println(mine) }").probes if p.point == "begin"]
    assert [local.name for local in probe.body.locals] == ["mine"]


def test_a_mistake_in_a_library_probe_is_told_there() -> None:
    with pytest.raises(CompileError) as caught:
        program("probe begin { println(wrong()) }")
    [fault] = caught.value.diagnostics
    assert fault.slug == "unknown-function"
    assert fault.span.location[0] == "wrong.stp"
