# SPDX-License-Identifier: GPL-2.0-or-later
"""For any text, the front end returns a tree or diagnostics."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.frontend.lexer import AT_KINDS, KEYWORDS, OPERATORS, PRINT_KINDS
from compiler.frontend.parser import CompileError, parse
from compiler.ir.diagnostics import render_all
from compiler.ir.syntax_printer import print_script
from tests import PROJECT
from tests.compiler.frontend.support import GURU

SCRIPTS = [path.read_bytes() for path in sorted((PROJECT / "tests/golden/syntax").glob("*.stp"))]
WORDS = [
    *KEYWORDS,
    *OPERATORS,
    *PRINT_KINDS,
    *(f"@{name}" for name in AT_KINDS),
    *("a", "b", "$v", "$v$", "$$vars", "1", "0x10", '"s"', "%{ c %}", "@define", "@a", "$1", "@1"),
    *("probe a {", "}", "(x)", "[1]", "f(", "function f() {", "%( 1 == 1 %?", "global", "\n"),
]
quick = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def check(text: bytes) -> None:
    try:
        script = parse(text, "fuzz.stp", conditions=GURU, args=["1", "x"])
    except CompileError as error:
        assert error.diagnostics
        assert "error[" in render_all(error.diagnostics)
        return
    printed = print_script(script)
    again = parse(printed.encode("latin-1"), "fuzz.stp", conditions=GURU)
    assert print_script(again) == printed


@quick
@given(st.binary(max_size=200))
def test_bytes(text: bytes) -> None:
    check(text)


@quick
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_words(words: list[str]) -> None:
    check(" ".join(words).encode())


@quick
@given(st.lists(st.sampled_from(WORDS), max_size=25))
def test_words_in_a_probe(words: list[str]) -> None:
    check(b"probe a { " + " ".join(words).encode() + b" }")


@quick
@given(st.data())
def test_changed_scripts(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(SCRIPTS))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 8))
        new = data.draw(st.sampled_from(WORDS).map(str.encode) | st.binary(max_size=3))
        text = text[:start] + new + text[end:]
    check(text)


MANY = 10_000


@pytest.mark.parametrize(
    "text",
    [
        "probe a { x = " + "(" * MANY + "1" + ")" * MANY + " }",
        "probe a { x = " + "(" * MANY,
        "probe a { x = " + "- " * MANY + "1 }",
        "probe a { x = " + "1 + " * MANY + "1 }",
        "probe a { x = " + "y = " * MANY + "1 }",
        "probe a { x = " + "y ? z : " * MANY + "1 }",
        "probe a { x = y" + "->z" * MANY + "[1]" * MANY + " }",
        "probe a { x = " + "f(" * MANY + ")" * MANY + " }",
        "probe a { x = " + "a[" * MANY + "1" + "]" * MANY + " }",
        "probe a " + "{" * MANY + "}" * MANY,
        "probe a { " + "if (x) " * MANY + "y }",
        "probe a { " + "if (x) y; else " * MANY + "z }",
        "probe a { " + "while (x) " * MANY + "y }",
        "probe a { " + "try { " * MANY + "} catch { } " * MANY + "}",
        "probe " + "{a," * MANY + "b" + "}" * MANY + " { }",
        "probe " + "{a,b}." * MANY + "c { }",
        "probe " + "a." * MANY + "c { }",
        "probe a" + ", b" * MANY + " { }",
        "%( 1 == 1 %? " * MANY + "probe a {}" + " %)" * MANY,
        "%( 1 == 2 %? " * MANY + "probe a {}" + " %)" * MANY,
        "%( 1 == 1 " + "&& 1 == 1 " * MANY + "%? probe a {} %)",
        "@define m(a) %( @a %) probe a { x = " + "@m(" * MANY + "1" + ")" * MANY + " }",
        "".join(f"@define m{n} %( @m{n + 1} %)\n" for n in range(MANY)) + "probe a { @m0 }",
        "probe a { x = " + '"s" ' * MANY + "}",
        "probe a { " + "/*" * MANY,
        "probe a { " + '"' * MANY,
        "probe a { " + "%{" * MANY,
        "probe a { " + "$1 " * MANY + "}",
        "é" * MANY,
        "` " * MANY,
        "probe " * MANY,
        "global a" + ", b" * MANY,
        " " * 1_000_000 + "`",
        "9" * 1_000_000,
    ],
    ids=lambda text: f"{text[:20]!r}",
)
def test_a_lot_of_anything(text: str) -> None:
    check(text.encode())
