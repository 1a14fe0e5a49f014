# SPDX-License-Identifier: GPL-2.0-or-later
"""Diagnostics: errors and warnings about a script, with their positions and a hint for the user.

    render(Diagnostic("syntax", "expected ')', found '}'", span, hint="close the '('"))
      ->  error[syntax]: expected ')', found '}'
            --> x.stp:1:20
             |
           1 | probe begin { foo( }
             |                    ^
          hint: close the '('

A pass collects all errors that it can find in a `Diagnostics`, then raises one `CompileError`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, TextIO

from compiler.ir.source import Source, Span
from runtime.support.record import record

Severity = Literal["error", "warning"]

# The slugs of the front end; later passes have tables of their own. The meaning of a released slug never
# changes: people search for it, and scripts match it.
SLUGS: Mapping[str, str] = {
    # lexer
    "bad-character": "a byte that starts no token of the language",
    "byte-order-mark": "a byte-order mark, which an editor has written",
    "bad-number": "digits that are no decimal, octal or hexadecimal number of 64 bits",
    "unterminated-string": "a string literal without its closing quote on the line",
    "unterminated-comment": "a '/*' without its '*/'",
    "unterminated-embedded-c": "a '%{' without its '%}'",
    "missing-argument": "'$N' or '@N' beyond the arguments given on the command line",
    "nested-argument": "a script argument whose text contains '$N' or '@N'",
    # preprocessor
    "bad-macro": "a malformed '@define'",
    "duplicate-macro": "one file defines the same macro twice",
    "macro-arguments": "a macro used with the wrong number of arguments, or without ')'",
    "macro-recursion": "a macro that expands to itself",
    "expansion-too-large": "macros that expand to more tokens than the compiler accepts",
    "bad-condition": "a malformed condition between '%(' and '%?'",
    "stray-conditional": "'%?', '%:' or '%)' without its '%('",
    "unterminated-conditional": "'%(' without its '%)'",
    # parser
    "syntax": "a token that the grammar does not allow at its position",
    "unexpected-end": "the script or an item ends too early",
    "unknown-operator": "'@name' is neither a macro nor an operator of the language",
    "nesting-too-deep": "expressions or statements nested deeper than the compiler accepts",
    "not-assignable": "an assignment or '++' whose target is no variable",
    "return-in-probe": "'return' in a probe; only functions return",
    "not-deletable": "'delete' of an expression that is no variable, array, element or slice",
    "histogram-as-value": "'@hist_*' used as a value",
    "not-an-element": "a list of keys, or '*', after an expression that is no array",
    "after-pretty-print": "'->' or '[' after the '$' that formats a whole value",
    "multiple-sort-orders": "more than one sort order in one foreach",
    "unknown-type": "a type other than 'long' and 'string'",
    "duplicate-parameter": "a function with two parameters of one name",
    "bad-priority": "a function priority that is not a positive number",
    "bad-array-size": "an array size that is not a positive number, or is too large",
    "array-initialised": "an initial value for an array",
    "bad-alias": "an alias defined with '+=' that has a block before the probe's own",
    "too-few-values": "printd() or a similar function with fewer than two values to separate",
    "bad-alias-name": "a probe alias named by an optional, sufficient or braced probe point",
    "misplaced-suffix": "'?', '!' or a condition inside braces that do not end the probe point",
    "too-many-probe-points": "braces that expand to more probe points than the compiler accepts",
    "needs-guru-mode": "embedded C, or an operator that can crash the kernel, without -g",
}

_WIDTH = 150  # of a quoted source line; a longer line is cut around the position
_MAX_SPANS = 12  # quoted in one diagnostic


@record
class Label:
    """Another span that explains a diagnostic, such as the '{' that was never closed."""

    span: Span
    text: str


@record
class Diagnostic:
    """One error or warning.

    `slug` is stable and documented. `message` is in lower case, without a full stop. `hint` tells the
    user what to write instead.
    """

    slug: str
    message: str
    span: Span
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    hint: str | None = None
    severity: Severity = "error"


class CompileError(Exception):
    """The script cannot be compiled; `diagnostics` has all errors found, in source order."""

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
        """Adds a diagnostic, unless it equals the one added last."""
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
        """Raises CompileError with all collected diagnostics, if one of them is an error."""
        if self.has_errors:
            raise CompileError(self._found)


def render_all(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """Returns all diagnostics as text, separated by blank lines."""
    return "\n\n".join(render(d, colour=colour) for d in diagnostics)


def render(diagnostic: Diagnostic, *, colour: bool = False) -> str:
    """Returns one diagnostic as lines of text, without a final newline."""
    paint = _Paint(colour)
    tone = "31" if diagnostic.severity == "error" else "33"
    head = paint(f"{diagnostic.severity}[{diagnostic.slug}]", tone)
    spans = _quoted_spans(diagnostic)
    margin = max(len(str(span.location[1])) for span, _, _ in spans) + 1
    lines = [f"{head}: {paint(diagnostic.message, '1')}"]
    previous: tuple[Source | None, int] = (None, 0)
    for span, text, mark in spans:
        lines += _quote(span, text, mark, margin, previous, paint, tone)
        previous = span.source, span.location[1]
    lines += [f"note: {note}" for note in diagnostic.notes]
    if diagnostic.hint:
        lines.append(f"{paint('hint', '36')}: {diagnostic.hint}")
    return "\n".join(lines)


def _quoted_spans(diagnostic: Diagnostic) -> list[tuple[Span, str, str]]:
    """The spans to quote, each with its text and the character that underlines it.

    Uses of macros follow the labels, the innermost one first.
    """
    spans = [(diagnostic.span, "", "^")]
    spans += [(label.span, label.text, "-") for label in diagnostic.labels]
    use = diagnostic.span.source.expansion
    while use is not None and len(spans) < _MAX_SPANS:
        spans.append((use, "in the expansion of this macro", "-"))
        use = use.source.expansion
    return spans


def print_diagnostics(diagnostics: Iterable[Diagnostic], stream: TextIO | None = None) -> None:
    """Prints diagnostics to `stream` (default: stderr), in colour if it is a terminal.

    NO_COLOR and TERM=dumb turn colour off.
    """
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
    """The lines that quote one span: its position, its source line and the mark under it.

    `previous` is the source and line quoted just before. They are not printed again.
    """
    name, line, column = span.location
    quoted = span.source.line_text(line)
    end_line, end_column = span.source.line_column(max(span.start, span.end))
    stop = end_column if end_line == line else len(quoted) + 1
    start, quoted = _window(quoted, column - 1)
    at = column - 1 - start
    width = max(1, min(stop - column, len(quoted) - at))
    # Keep tabs before the mark, so that the terminal aligns the mark with the text.
    indent = "".join(c if c == "\t" else " " for c in quoted[:at])
    pointer = indent + paint(mark * width, tone) + (f" {text}" if text else "")
    rows = [f"{'':>{margin}} | {pointer}"]
    # A line that was cut is printed again, since the part around this position may be another one.
    if previous != (span.source, line) or start:
        rows.insert(0, f"{line:>{margin}} | {_printable(quoted)}")
    if span.source is not previous[0]:
        arrow = "-->" if mark == "^" else ":::"
        rows[:0] = [f"{'':>{margin - 1}}{arrow} {name}:{line}:{column}", f"{'':>{margin}} |"]
    return rows


def _window(line: str, at: int) -> tuple[int, str]:
    """The part of a long line around column `at` (from 0), and the column where it starts."""
    if len(line) <= _WIDTH:
        return 0, line
    start = max(0, min(at - _WIDTH // 2, len(line) - _WIDTH))
    return start, line[start : start + _WIDTH]


def _printable(line: str) -> str:
    """Replaces control characters: a script must not send escape sequences to the user's terminal."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in line)
