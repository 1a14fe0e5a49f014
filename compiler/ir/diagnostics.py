# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a script, where, and what to do about it.

    render(Diagnostic("syntax", "expected ')', found '}'", span, hint="close the '('"))
      ->  error[syntax]: expected ')', found '}'
            --> x.stp:1:20
             |
           1 | probe begin { foo( }
             |                    ^
          hint: close the '('

A pass collects every mistake it can find in a `Diagnostics`, then raises one `CompileError`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TextIO

from compiler.ir.source import Source, Span
from runtime.support.record import record

Severity = Literal["error", "warning"]

# What each slug of the front end means; later passes add theirs to their own tables. A slug never
# changes its meaning once released: people search for it and scripts match on it.
SLUGS: Mapping[str, str] = {
    # lexer
    "bad-character": "a byte that starts no token of the language",
    "bad-number": "digits that are no decimal, octal or hexadecimal number of 64 bits",
    "unterminated-string": "a string literal without its closing quote on the line",
    "unterminated-comment": "a '/*' without its '*/'",
    "unterminated-embedded-c": "a '%{' without its '%}'",
    "missing-argument": "'$N' or '@N' beyond the arguments given on the command line",
    "nested-argument": "an argument whose text refers to an argument",
    # preprocessor
    "bad-macro": "a malformed '@define'",
    "duplicate-macro": "one file defines the same macro twice",
    "macro-arguments": "a macro used with the wrong number of arguments, or without ')'",
    "macro-recursion": "a macro that expands to itself",
    "expansion-too-large": "macros that expand to more tokens than any real script has",
    "bad-condition": "a malformed condition between '%(' and '%?'",
    "stray-conditional": "'%?', '%:' or '%)' without its '%('",
    "unterminated-conditional": "'%(' without its '%)'",
    # parser
    "syntax": "a token that cannot stand there",
    "unexpected-end": "the script or an item ends too early",
    "unknown-operator": "'@name' is neither a macro nor an operator of the language",
    "nesting-too-deep": "expressions or statements nested deeper than the compiler follows",
    "not-assignable": "a left side of an assignment, or an operand of '++', that is no variable",
    "return-in-probe": "'return' in a probe; only functions return",
    "not-deletable": "'delete' of something that is no variable, array, element or slice",
    "histogram-as-value": "'@hist_*' where a value is needed",
    "not-an-element": "a list of keys, or '*', after something that is no array",
    "after-pretty-print": "'->' or '[' after the '$' that formats a whole value",
    "multiple-sort-orders": "more than one sort order in one foreach",
    "unknown-type": "a type other than 'long' and 'string'",
    "duplicate-parameter": "a function with two parameters of one name",
    "bad-priority": "a function priority that is not a positive number",
    "bad-array-size": "an array size that is not a positive number, or is too large",
    "array-initialised": "an initial value for an array",
    "bad-alias": "an alias by '+=' with a block before the probe's own",
    "too-few-values": "printd() or its like with one value, which nothing separates",
    "bad-alias-name": "a probe alias named by an optional, sufficient or braced probe point",
    "misplaced-suffix": "'?', '!' or a condition inside braces that more follows",
    "too-many-probe-points": "braces that stand for more probe points than any real script has",
    "needs-guru-mode": "embedded C, or an operator that can crash the kernel, without -g",
}

_WIDTH = 150  # of the quoted source line; a longer one is shown around the place

_MOST_PLACES = 12


@record
class Label:
    """A second place that explains the first, such as the '{' that was never closed."""

    span: Span
    text: str


@record
class Diagnostic:
    """One mistake. `slug` is stable and documented; `message` is lower case, without a full stop;
    `hint` says what to write instead."""

    slug: str
    message: str
    span: Span
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str | None = None
    severity: Severity = "error"


class CompileError(Exception):
    """The script cannot be compiled; `diagnostics` has every reason found, in source order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return render_all(self.diagnostics)


class Diagnostics:
    """Collects the diagnostics of one pass."""

    def __init__(self) -> None:
        self._found: list[Diagnostic] = []

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def add(self, diagnostic: Diagnostic) -> None:
        if diagnostic not in self._found[-1:]:
            self._found.append(diagnostic)

    def error(
        self,
        slug: str,
        message: str,
        span: Span,
        *,
        labels: Sequence[Label] = (),
        notes: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        self.add(Diagnostic(slug, message, span, tuple(labels), tuple(notes), hint or None))

    @property
    def has_errors(self) -> bool:
        return any(d.severity == "error" for d in self._found)

    def raise_errors(self) -> None:
        """Raises CompileError with everything collected if any of it is an error."""
        if self.has_errors:
            raise CompileError(self._found)


def render_all(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """Every diagnostic, a blank line between two."""
    return "\n\n".join(render(d, colour=colour) for d in diagnostics)


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """One diagnostic as lines of text, without a final newline."""
    paint = _Paint(colour)
    tone = "31" if diagnostic.severity == "error" else "33"
    head = paint(f"{diagnostic.severity}[{diagnostic.slug}]", tone)
    places = [(diagnostic.span, "", "^")]
    places += [(label.span, label.text, "-") for label in diagnostic.labels]
    use = diagnostic.span.source.expansion
    while use is not None and len(places) < _MOST_PLACES:  # from the innermost use outwards
        places.append((use, "in the expansion of this macro", "-"))
        use = use.source.expansion
    margin = max(len(str(span.location[1])) for span, _, _ in places) + 1
    lines = [f"{head}: {paint(diagnostic.message, '1')}"]
    previous: tuple[Source | None, int] = (None, 0)
    for span, text, mark in places:
        lines += _quote(span, text, mark, margin, previous, paint, tone)
        previous = span.source, span.location[1]
    lines += [f"note: {note}" for note in diagnostic.notes]
    if diagnostic.hint:
        lines.append(f"{paint('hint', '36')}: {diagnostic.hint}")
    return "\n".join(lines)


def print_diagnostics(diagnostics: Iterable[Diagnostic], stream: TextIO | None = None) -> None:
    """Prints diagnostics to `stream` (stderr), coloured only for a terminal that wants colour."""
    out = stream or sys.stderr
    colour = out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    text = render_all(diagnostics, colour=colour)
    if text:
        print(text, file=out)


class _Paint:
    def __init__(self, on: bool) -> None:
        self.on = on

    def __call__(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text


def _quote(
    span: Span,
    text: str,
    mark: str,
    margin: int,
    previous: tuple[Source | None, int],
    paint: _Paint,
    tone: str,
) -> list[str]:
    name, line, column = span.location
    quoted = span.source.line_text(line)
    end_line, end_column = span.source.line_column(max(span.start, span.end))
    stop = end_column if end_line == line else len(quoted) + 1
    start, quoted = _window(quoted, column - 1)
    at = column - 1 - start
    width = max(1, min(stop - column, len(quoted) - at))
    # A tab before the mark stays a tab, so that the mark stands where the terminal shows the text.
    indent = "".join(c if c == "\t" else " " for c in quoted[:at])
    pointer = indent + paint(mark * width, tone) + (f" {text}" if text else "")
    rows = [f"{'':>{margin}} | {pointer}"]
    # A line that has just been shown, with room for the whole of it, is not shown again.
    if previous != (span.source, line) or start:
        rows.insert(0, f"{line:>{margin}} | {_printable(quoted)}")
    if span.source is not previous[0]:
        arrow = "-->" if mark == "^" else ":::"
        rows[:0] = [f"{'':>{margin - 1}}{arrow} {name}:{line}:{column}", f"{'':>{margin}} |"]
    return rows


def _window(line: str, at: int) -> tuple[int, str]:
    """The part of an over-long line around a column, and the column it starts at."""
    if len(line) <= _WIDTH:
        return 0, line
    start = max(0, min(at - _WIDTH // 2, len(line) - _WIDTH))
    return start, line[start : start + _WIDTH]


def _printable(line: str) -> str:
    """Control bytes would let a script write to the terminal of whoever reads the message."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
