# SPDX-License-Identifier: GPL-2.0-or-later
"""Tells which pieces have a blank between them when they are on one line.

a=- b*f ( c ) ,d [1]   ->   a = -b * f(c), d[1]
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.formatting.pieces import ARGUMENT, KEPT, Piece, joins

_BODIES = frozenset({"IF", "ELSE", "WHILE", "FOR", "FOREACH", "TRY", "CATCH"})
_SIMPLE = frozenset({"RETURN", "DELETE", "BREAK", "CONTINUE", "NEXT"})
ITEMS = frozenset({"PROBE", "FUNCTION", "GLOBAL", "PRIVATE"})
STATEMENTS = _BODIES | _SIMPLE
_OPERANDS = frozenset(
    {"IDENT", "NUMBER", "STRING", "AT", "TARGET", "EMBEDDED", "TYPE", ARGUMENT, KEPT}
)
_ENDS = _OPERANDS | {"PRETTY", "RPAR", "RBRACKET", "BREAK", "CONTINUE", "NEXT"}
_SIGNS = frozenset({"MINUS", "PLUS", "BANG", "TILDE", "AMPERSAND"})
_OPERATORS = _SIGNS | {
    *("EQUAL", "ADD_ASSIGN", "ASSIGN", "OR", "AND", "BAR", "CARET", "COMPARE", "MATCH", "SHIFT"),
    *("STAR", "DIVIDE", "PERCENT", "DOT", "QUESTION", "COLON"),
}
_DIRECTED = frozenset({"IN", "COMMA", "RBRACKET", "RPAR", "LIMIT"})


def is_brace(piece: Piece, kind: str) -> bool:
    """Whether a piece is LBRACE or RBRACE of a block, and not of a probe point's alternatives."""
    return piece.kind == kind and not piece.counts


class Roles:
    """What a piece is, by the pieces around it. `pieces` has no comments."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.ends: list[bool] = []  # whether an expression or a statement may end with the piece
        self.sign: list[bool] = []  # whether it is an operator with one operand
        self.head: list[str] = []  # the item that the piece is in the head of, or ""
        head, parentheses, foreach = "", 0, False
        for at, piece in enumerate(pieces):
            field = at > 0 and pieces[at - 1].kind == "ARROW"
            if piece.kind in ITEMS and not field and not piece.counts:
                head, parentheses = piece.kind, 0
            parentheses += (piece.kind == "LPAR") - (piece.kind == "RPAR")
            if piece.kind == "FOREACH" and not field:
                foreach, parentheses = True, 0
            elif foreach and piece.kind == "RPAR" and not parentheses:
                foreach = False
            self.head.append(head)
            if piece.kind in ("EMBEDDED", "SEMICOLON") or is_brace(piece, "LBRACE"):
                head = ""
            self._add(at, field, foreach)

    def _add(self, at: int, field: bool, foreach: bool) -> None:
        piece = self.pieces[at]
        before = at > 0 and self.ends[at - 1]
        sign = False
        if piece.kind == "CREMENT":
            ends = before and self.pieces[at - 1].kind != "CREMENT"
            sign = not ends
        elif foreach and piece.kind in ("PLUS", "MINUS") and self._follows(at) in _DIRECTED:
            ends = True  # the direction of a sort
        else:
            ends = piece.kind in _ENDS or field
            sign = piece.kind in _SIGNS and not before
        self.ends.append(ends)
        self.sign.append(sign)

    def _follows(self, at: int) -> str:
        return self.pieces[at + 1].kind if at + 1 < len(self.pieces) else ""

    def begins(self, at: int) -> bool:
        """Whether the piece can be the first of an expression: after an end, of the next statement."""
        piece = self.pieces[at]
        return piece.kind in _OPERANDS or piece.kind == "LPAR" or self.sign[at]

    def is_field(self, at: int) -> bool:
        return at > 0 and self.pieces[at - 1].kind == "ARROW"

    def is_direction(self, at: int) -> bool:
        return self.ends[at] and self.pieces[at].kind in ("PLUS", "MINUS")

    # ------------------------------------------------------------ blanks

    def blank(self, at: int) -> bool:
        """Whether a blank is before the piece `at`, which is not the first of its line."""
        last, piece = self.pieces[at - 1], self.pieces[at]
        if joins(last, piece):
            return not piece.touches
        if piece.counts or last.counts:
            return self._in_points(last, piece)
        kind = piece.kind
        if kind in ("COMMA", "SEMICOLON", "RPAR", "RBRACKET", "ARROW"):
            return last.kind == "SEMICOLON" and kind == "SEMICOLON" and not piece.touches
        if last.kind in ("LPAR", "LBRACKET", "ARROW"):
            return False
        if last.kind in ("COMMA", "SEMICOLON") or kind in ("LBRACE", "RBRACE"):
            return True
        if last.kind == "PRIVATE" or kind == KEPT or last.kind == KEPT:
            return not piece.touches or last.kind == "PRIVATE"
        if self.head[at] in ("GLOBAL", "PRIVATE", "FUNCTION"):
            return self._in_declaration(at, last, piece)
        return self._in_expression(at, last, piece)

    def _in_points(self, last: Piece, piece: Piece) -> bool:
        if "DOT" in (last.kind, piece.kind) or piece.kind == "COMMA":
            return False
        if piece.kind == "LPAR":
            return last.kind == "IF"
        if last.kind == "LBRACE" or piece.kind == "RBRACE":  # of alternatives
            return False
        known = {"QUESTION", "BANG", "EQUAL", "ADD_ASSIGN", "IF", "COMMA", "LBRACE", "PROBE"}
        if piece.kind in known - {"COMMA", "PROBE"} or last.kind in known:
            return True
        return not piece.touches

    def _in_declaration(self, at: int, last: Piece, piece: Piece) -> bool:
        if piece.kind == "COLON" or last.kind == "COLON" or piece.kind == "LBRACKET":
            return False
        if piece.kind == "PERCENT":
            return False
        return not (last.kind == "MINUS" and self.sign[at - 1])

    def _in_expression(self, at: int, last: Piece, piece: Piece) -> bool:
        kind = piece.kind
        if self.sign[at - 1]:
            # `- -x` is not `--x`, and `! ~x` is not `!~x`
            return not piece.touches and kind in _OPERATORS | {"CREMENT"}
        if kind == "CREMENT":
            return self.sign[at]
        if kind == "PRETTY":
            return not piece.touches
        if self.is_direction(at):
            return False
        if kind == "LBRACKET":
            return not self.ends[at - 1]
        if kind == "LPAR":
            if self.is_field(at - 1):
                return True
            return last.kind not in ("IDENT", "AT")
        return True
