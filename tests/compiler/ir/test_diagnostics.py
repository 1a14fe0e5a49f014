# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from compiler import frontend
from compiler.ir.diagnostics import (
    SLUGS,
    CompileError,
    Diagnostic,
    Diagnostics,
    Label,
    print_diagnostics,
    render,
)
from compiler.ir.source import Source, Span, join
from tests.compiler.frontend.support import faults


def at(text: str, start: int, end: int) -> Span:
    return Span(Source("x.stp", text), start, end)


def test_the_mark_stands_under_the_text() -> None:
    diagnostic = Diagnostic("syntax", "wrong", at("one\n\ttwo three\n", 9, 14), hint="right")
    assert render(diagnostic).splitlines() == [
        "error[syntax]: wrong",
        " --> x.stp:2:6",
        "   |",
        " 2 | \ttwo three",
        "   | \t    ^^^^^",
        "hint: right",
    ]


def test_labels_notes_and_a_second_file() -> None:
    text = "a\nb\nc"
    other = Span(Source("y.stp", "zzz"), 1, 2)
    here = at(text, 2, 3)
    diagnostic = Diagnostic(
        "syntax",
        "wrong",
        here,
        labels=(Label(here._replace(start=4, end=5), "and this"), Label(other, "and that")),
        notes=("one more thing",),
        severity="warning",
    )
    assert render(diagnostic).splitlines() == [
        "warning[syntax]: wrong",
        " --> x.stp:2:1",
        "   |",
        " 2 | b",
        "   | ^",
        " 3 | c",
        "   | - and this",
        " ::: y.stp:1:2",
        "   |",
        " 1 | zzz",
        "   |  - and that",
        "note: one more thing",
    ]


def test_a_span_over_lines_is_marked_to_the_end_of_the_first() -> None:
    assert render(Diagnostic("syntax", "x", at("ab{\ncd}", 2, 6))).splitlines()[-1] == "   |   ^"


def test_the_end_of_a_text_can_be_marked() -> None:
    assert render(Diagnostic("syntax", "x", at("ab", 2, 2))).splitlines()[-1] == "   |   ^"
    assert render(Diagnostic("syntax", "x", at("", 0, 0))).splitlines()[-1] == "   | ^"


def test_long_lines_are_cut_around_the_place() -> None:
    lines = render(Diagnostic("syntax", "x", at("a" * 5000 + "!" + "b" * 5000, 5000, 5001)))
    quoted, mark = lines.splitlines()[-2:]
    assert len(quoted) < 200
    assert quoted[mark.index("^")] == "!"


def test_control_characters_do_not_reach_the_terminal() -> None:
    [fault] = faults(b"probe a { \x1b[2J x\x00\xff }")[:1]
    assert "\x1b" not in render(fault)
    assert "\x00" not in render(fault)


def test_colour_only_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    diagnostic = Diagnostic("syntax", "wrong", at("a", 0, 1))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    plain, terminal = io.StringIO(), Terminal()
    print_diagnostics([diagnostic], plain)
    print_diagnostics([diagnostic], terminal)
    assert "\x1b" not in plain.getvalue()
    assert re.sub(r"\x1b\[\d*m", "", terminal.getvalue()) == plain.getvalue()
    assert "\x1b" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    unwanted = Terminal()
    print_diagnostics([diagnostic], unwanted)
    assert unwanted.getvalue() == plain.getvalue()


def test_warnings_alone_raise_nothing() -> None:
    found = Diagnostics()
    found.add(Diagnostic("syntax", "hm", at("a", 0, 1), severity="warning"))
    found.raise_errors()
    found.error("syntax", "wrong", at("a", 0, 1))
    with pytest.raises(CompileError) as caught:
        found.raise_errors()
    assert [d.severity for d in caught.value.diagnostics] == ["warning", "error"]
    assert "error[syntax]: wrong" in str(caught.value)


def test_spans_join_where_a_macro_was_used() -> None:
    file = Source("x", "0123456789")
    use = Span(file, 4, 6)
    inside = Span(Source("x", "0123456789", use), 0, 1)
    assert join(Span(file, 1, 2), inside) == Span(file, 1, 6)
    assert join(inside, Span(file, 8, 9)) == Span(file, 4, 9)


def test_every_slug_used_is_documented_and_every_one_documented_is_used() -> None:
    [folder] = map(Path, frontend.__path__)
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    used = set(re.findall(r'(?:Diagnostic|error)\(\s*"([a-z-]+)"', text))
    assert used == set(SLUGS)
