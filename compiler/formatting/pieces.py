# SPDX-License-Identifier: GPL-2.0-or-later
"""Divides a script's text into pieces: tokens, comments, and what the formatter keeps as it is.

    a = 1 // one
    %( CONFIG_NUMA == "y" %? b = 2 %)
      ->  IDENT(a) EQUAL(=) NUMBER(1) COMMENT(// one) KEPT(%( ... %))

A conditional is one piece, and so are a macro's definition and embedded C.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from compiler.frontend.lexer import InvalidToken, Token, scan
from compiler.frontend.point_tokens import blanks_count
from compiler.ir.diagnostics import CompileError, Diagnostic
from compiler.ir.source import Source, Span
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

COMMENT = "COMMENT"
KEPT = "KEPT"  # a conditional or the definition of a macro
ARGUMENT = "ARGUMENT"  # `$1` and its like, which any text may replace

_COMMENT = pattern(r"\#[^\n]*|//[^\n]*|/\*.*?\*/", re.DOTALL)
_APART = frozenset(
    {"LPAR", "RPAR", "LBRACKET", "RBRACKET", "LBRACE", "RBRACE", "COMMA", "SEMICOLON", COMMENT}
)
_OPEN = {"LPAR": "RPAR", "LBRACKET": "RBRACKET", "LBRACE": "RBRACE"}


@record
class Piece:
    """`newlines`: how many ends of lines are before it. `touches`: nothing is before it but another piece.
    `counts`: blanks next to it have a meaning (point_tokens). `braces`: of a kept piece, how many blocks it
    opens. `margin`: the blanks before it, if it is the first of its line."""

    kind: str
    text: str
    newlines: int
    touches: bool
    counts: bool = False
    braces: int = 0
    margin: str | None = None
    fixed: frozenset[int] = (
        frozenset()
    )  # numbers of its lines that begin inside a literal or embedded C

    @property
    def is_line_comment(self) -> bool:
        return self.kind == COMMENT and not self.text.startswith("/*")


def joins(last: Piece, piece: Piece) -> bool:
    """Whether two pieces could become one token if nothing were between them: an argument's text is any."""
    kinds = {last.kind, piece.kind}
    return ARGUMENT in kinds and not kinds & _APART


def pieces(source: Source) -> list[Piece]:
    """All pieces of a text. Raises CompileError for text that is no token, and brackets without partner."""
    tokens = scan(source, ())
    _check_tokens(tokens)
    _check_brackets(tokens)
    return list(_pieces(source, tokens))


def _check_tokens(tokens: Sequence[Token]) -> None:
    """Refuses what is no token, except in a branch of a conditional, which may not be read at all."""
    wrong: list[Diagnostic] = []
    conditionals = 0
    for token in tokens:
        conditionals += (token.kind == "PP_IF") - (token.kind == "PP_END")
        if isinstance(token.value, InvalidToken) and conditionals <= 0:
            wrong.append(token.value.diagnostic)
    if wrong := [d for d in wrong if d.slug != "missing-argument"]:
        raise CompileError(wrong)


def _check_brackets(tokens: Sequence[Token]) -> None:
    """Refuses brackets that are not closed. In a conditional only `%(` and `%)` count."""
    opened: list[Token] = []
    conditionals: list[Token] = []
    changed = False  # a conditional has opened or closed a block: its other branch may do it, too
    for at, token in enumerate(tokens):
        if token.kind == "PP_IF":
            if not conditionals:
                changed = changed or bool(_braces(tokens[at : _end(tokens, at)]))
            conditionals.append(token)
        elif token.kind == "PP_END":
            if not conditionals:
                raise _unmatched(token, "closes nothing")
            conditionals.pop()
        elif conditionals:
            continue
        elif token.kind in _OPEN:
            opened.append(token)
        elif token.kind in _OPEN.values():
            if opened and _OPEN[opened[-1].kind] == token.kind:
                opened.pop()
            elif not changed:
                raise _unmatched(token, "closes nothing that is open here")
    if conditionals or (opened and not changed):
        raise _unmatched((conditionals or opened)[-1], "is not closed")


def _unmatched(token: Token, what: str) -> CompileError:
    return CompileError([Diagnostic("syntax", f"this '{token.span.text}' {what}", token.span)])


def _pieces(source: Source, tokens: Sequence[Token]) -> Iterator[Piece]:
    text, position, at = source.text, 0, 0
    counts = blanks_count(tokens)
    while at < len(tokens):
        start = tokens[at].span.start
        yield from _comments(text, position, start)
        after = _kept_end(tokens, at) or at + 1
        position = tokens[after - 1].span.end
        if after - at > 1:
            inside = tokens[at:after]
            yield _piece(text, KEPT, start, position, counts[at], _braces(inside), _fixed(inside))
        else:
            kind = ARGUMENT if tokens[at].kind == "INVALID" else tokens[at].kind
            fixed = _fixed(tokens[at:after])
            yield _piece(text, kind, start, position, counts[at], fixed=fixed)
        at = after
    yield from _comments(text, position, len(text))


def _comments(text: str, start: int, end: int) -> Iterator[Piece]:
    for found in _COMMENT.finditer(text, start, end):
        yield _piece(text, COMMENT, found.start(), found.end())


def _piece(
    text: str,
    kind: str,
    start: int,
    end: int,
    counts: bool = False,
    braces: int = 0,
    fixed: frozenset[int] = frozenset(),
) -> Piece:
    before = start
    while before and text[before - 1] in " \t\r\n\f\v":
        before -= 1
    gap = text[before:start]
    margin = gap.rpartition("\n")[2] if "\n" in gap or not before else None
    own = text[start:end]
    if kind == COMMENT:
        own = "\n".join(line.rstrip() for line in own.split("\n"))
    return Piece(kind, own, gap.count("\n"), not gap, counts, braces, margin, fixed)


def _kept_end(tokens: Sequence[Token], at: int) -> int | None:
    """The end of the conditional or definition that begins at `at`, or None."""
    if tokens[at].kind == "PP_IF":
        return _end(tokens, at)
    if tokens[at].kind != "AT" or tokens[at].value != "define":
        return None
    body = at + 1
    while body < len(tokens) and tokens[body].kind in ("IDENT", "LPAR", "COMMA", "RPAR"):
        body += 1
    return _end(tokens, body) if body < len(tokens) and tokens[body].kind == "PP_IF" else None


def _end(tokens: Sequence[Token], at: int) -> int:
    """Where the conditional that begins at `at` ends: behind its `%)`, or at the end of the text."""
    depth = 0
    for number in range(at, len(tokens)):
        depth += (tokens[number].kind == "PP_IF") - (tokens[number].kind == "PP_END")
        if not depth:
            return number + 1
    return len(tokens)


def _braces(tokens: Sequence[Token]) -> int:
    """How many blocks a conditional opens, by its first branch."""
    depth = braces = 0
    is_first = True
    for token in tokens:
        depth += (token.kind == "PP_IF") - (token.kind == "PP_END")
        if depth == 1 and token.kind == "PP_ELSE":
            is_first = False
        if is_first and depth == 1:
            braces += (token.kind == "LBRACE") - (token.kind == "RBRACE")
    return braces


def _fixed(tokens: Sequence[Token]) -> frozenset[int]:
    """The lines, counted from the first token's, that begin inside a literal or embedded C."""
    found: set[int] = set()
    first = tokens[0].span
    for token in tokens:
        span: Span = token.span
        if token.kind in ("STRING", "EMBEDDED") and "\n" in span.text:
            line = first.source.text.count("\n", first.start, span.start)
            found |= set(range(line + 1, line + 1 + span.text.count("\n")))
    return frozenset(found)
