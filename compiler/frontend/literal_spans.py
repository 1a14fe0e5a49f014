# SPDX-License-Identifier: GPL-2.0-or-later
r"""Places inside of string literals: where in the source a character of the value stands.

place(<"a\tb[c">, 4, 5)   -> the span of `c`
"""

from __future__ import annotations

import re

from compiler.frontend.lexer import ESCAPE, unescape
from compiler.ir import syntax
from compiler.ir.source import Span
from runtime.support.lazy_regex import pattern

_PIECE = pattern(r'"((?:[^"\\\n]|\\.)*)"', re.DOTALL)


def place(literal: syntax.String, start: int, end: int) -> Span:
    """The span of the characters `start` up to `end` of a literal's value.

    The whole literal where its text is not in the source as such: it came from a script argument.
    """
    span = literal.span
    value, places = "", []
    for piece in _PIECE.finditer(span.source.text, span.start, span.end):
        at, last = piece.span(1)
        while at < last:
            escape = ESCAPE.match(span.source.text, at, last)
            after = escape.end() if escape else at + 1
            value += unescape(span.source.text[at:after])
            places.append((at, after))
            at = after
    if value != literal.value or not places:
        return span
    if start >= len(places):
        return Span(span.source, places[-1][1], places[-1][1])
    return Span(span.source, places[start][0], places[max(start, min(end, len(places)) - 1)][1])
