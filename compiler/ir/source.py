# SPDX-License-Identifier: GPL-2.0-or-later
"""Source texts, and positions in them.

Every token, syntax node and diagnostic carries a `Span`:

    source = Source("x.stp", "probe begin {}\\n")
    Span(source, 6, 11).text        -> "begin"
    Span(source, 6, 11).location    -> ("x.stp", 1, 7)

The text is a `str` in which each character is one byte of the file (latin-1). So any byte string is a
valid script, offsets are byte offsets, and embedded C and string literals keep the author's bytes.
Only `encode`, `decode`, `exact` and `readable` depend on this.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from runtime.support.record import field, record


def decode(data: bytes | str) -> str:
    """Converts the bytes of a script, or text as UTF-8, to a string of one character per byte."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return data.decode("latin-1")


def encode(text: str) -> bytes:
    """Converts a string of one character per byte (a literal, embedded C, a line) to its bytes."""
    return text.encode("latin-1")


def exact(text: str) -> str:
    """Converts a string of one character per byte to text as the manifest has it: UTF-8, and other bytes as
    lone surrogates. Text with other characters, as names in programs' symbol tables, is text already."""
    if text.isascii() or max(text) > "\xff":
        return text
    return encode(text).decode("utf-8", "surrogateescape")


def readable(text: str) -> str:
    """Converts a string of one character per byte to text for people: UTF-8, invalid bytes replaced."""
    return encode(text).decode("utf-8", "replace")


@record(eq=False)
class Source:
    """One text: a file, an `-e` argument, or one expansion of a macro.

    An expansion shares `name` and `text` with the file that defines the macro. Its `expansion` is the
    span where the macro is used, so a diagnostic can show the macro's text and its use.
    """

    name: str
    text: str = field(repr=False)
    expansion: Span | None = field(default=None, repr=False)
    _line_starts: list[int] = field(default_factory=list, init=False, repr=False)

    def line_column(self, offset: int) -> tuple[int, int]:
        """Returns the line and column of an offset, from 1. Columns count characters, not bytes."""
        starts = self._starts()
        line = bisect_right(starts, offset)
        before = self.text[starts[line - 1] : offset]
        return line, len(readable(before)) + 1

    def line_text(self, line: int) -> str:
        """Returns the readable text of a line (from 1), without its end."""
        starts = self._starts()
        end = starts[line] - 1 if line < len(starts) else len(self.text)
        return readable(self.text[starts[line - 1] : end]).rstrip("\r")

    def _starts(self) -> list[int]:
        starts = self._line_starts
        if not starts:  # computed at first use: most sources never have a diagnostic
            starts.append(0)
            at = self.text.find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = self.text.find("\n", at + 1)
        return starts


class Span(NamedTuple):
    """A half-open range of byte offsets in one source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def location(self) -> tuple[str, int, int]:
        """File name, line and column (from 1) of the first character."""
        line, column = self.source.line_column(self.start)
        return self.source.name, line, column

    def __repr__(self) -> str:
        return f"<{self.source.name}:{self.start}-{self.end}>"


def join(first: Span, last: Span) -> Span:
    """Returns the span from the start of `first` to the end of `last`.

    If only one of them comes from a macro expansion, the span where that macro is used replaces it.
    """
    if first.source is last.source:
        return Span(first.source, first.start, max(first.end, last.end))
    chain = _with_uses(first)
    for outer in _with_uses(last):
        for inner in chain:
            if inner.source is outer.source:
                start, end = min(inner.start, outer.start), max(inner.end, outer.end)
                return Span(inner.source, start, end)
    return first


def outermost(span: Span) -> Span:
    """Returns the span in the file itself: the use of the outermost macro that a span comes from."""
    return _with_uses(span)[-1]


def _with_uses(span: Span) -> list[Span]:
    """A span and the macro uses that it comes from, the innermost first."""
    spans = [span]
    while spans[-1].source.expansion is not None:
        spans.append(spans[-1].source.expansion)
    return spans
