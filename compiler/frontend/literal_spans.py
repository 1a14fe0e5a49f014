# SPDX-License-Identifier: GPL-2.0-or-later
r"""Maps characters of a string literal's value to their positions in the source.

literal_span(<"a\tb[c">, 4, 5)   -> the span of `c`
"""

from __future__ import annotations

import re

from compiler.frontend.lexer import ESCAPE, unescape
from compiler.ir import syntax
from compiler.ir.source import Span
from runtime.support.lazy_regex import pattern

_PIECE = pattern(r'"((?:[^"\\\n]|\\.)*)"', re.DOTALL)


def literal_span(literal: syntax.String, start: int, end: int) -> Span:
    """Returns the span of the characters `start` up to `end` of a literal's value.

    Returns the span of the whole literal if the source does not contain its text: then the literal
    comes from a script argument.
    """
    span = literal.span
    value, spans = "", []
    for piece in _PIECE.finditer(span.source.text, span.start, span.end):
        at, last = piece.span(1)
        while at < last:
            escape = ESCAPE.match(span.source.text, at, last)
            after = escape.end() if escape else at + 1
            value += unescape(span.source.text[at:after])
            spans.append((at, after))
            at = after
    if value != literal.value or not spans:
        return span
    if start >= len(spans):
        return Span(span.source, spans[-1][1], spans[-1][1])
    return Span(span.source, spans[start][0], spans[max(start, min(end, len(spans)) - 1)][1])
