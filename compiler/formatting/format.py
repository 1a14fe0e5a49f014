# SPDX-License-Identifier: GPL-2.0-or-later
"""Formats a script.

format_script(b"probe  begin{exit()}", "x.stp")  ->  b"probe begin { exit() }\\n"
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.formatting.layout import Layout, Line
from compiler.formatting.pieces import Piece, joins, pieces
from compiler.frontend.item_tokens import COMPONENT
from compiler.ir.source import Source, decode, encode
from runtime.support.record import replace

_WIDEST = 100  # the column up to which comments behind code are put below each other


class FormatError(Exception):
    """The formatter would have changed more than blanks: a mistake of its own."""


def format_script(text: bytes | str, name: str) -> bytes:
    """The script's text in the one style. It is its own result.

    Raises CompileError if the text has what is no token, or brackets that do not match, and FormatError.
    """
    source = Source(name, decode(text).replace("\r\n", "\n"))
    before = pieces(source)
    formatted = _text(_aligned(Layout(before).run()))
    if _compared(pieces(Source(name, formatted))) != _compared(before):
        raise FormatError(f"{name} cannot be formatted without a change of what it means")
    return encode(formatted)


def _text(lines: Sequence[Line]) -> str:
    return "".join(f"{line.margin}{_whole(line)}".rstrip(" \t") + "\n" for line in lines)


def _whole(line: Line) -> str:
    return f"{line.code}  {line.comment}" if line.comment else line.code


def _aligned(lines: Sequence[Line]) -> list[Line]:
    """Puts the comments behind adjacent lines of one level below each other."""
    aligned: list[Line] = []
    group: list[Line] = []
    for line in [*lines, Line("")]:
        fits = line.comment and "\n" not in line.code
        if group and not (fits and line.margin == group[-1].margin):
            aligned += _padded(group)
            group = []
        if fits:
            group.append(line)
        else:
            aligned.append(line)
    return aligned[:-1]


def _padded(group: Sequence[Line]) -> list[Line]:
    width = max(len(line.code) for line in group)
    if width > _WIDEST:
        return list(group)
    return [replace(line, code=line.code.ljust(width)) for line in group]


def _compared(found: Sequence[Piece]) -> list[tuple[object, ...]]:
    """What must be equal before and after: all text, and blanks where they have a meaning."""
    result: list[tuple[object, ...]] = []
    last = Piece("", "", 0, False)
    for piece in found:
        lines = enumerate(piece.text.split("\n"))
        text = [line if number in piece.fixed else line.strip() for number, line in lines]
        counts = piece.counts and last.counts and {last.kind, piece.kind} <= COMPONENT
        counts = counts or joins(last, piece)
        result.append((piece.kind, text, counts and piece.touches))
        last = piece
    return result
