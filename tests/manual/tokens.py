# SPDX-License-Identifier: GPL-2.0-or-later
"""What an editor must take each piece of a script for, by the lexer's tokens.

wanted('n = "a" # x') -> [(0, 1, WORD, "n"), (4, 7, STRING, '"a"'), (8, 11, COMMENT, "# x"), ...]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from compiler.frontend.lexer import KEYWORDS, PRINT_KINDS, scan
from compiler.ir.source import Source
from editors.words import ROLES, groups
from runtime.support.str_enum import StrEnum
from tests import PROJECT

ROLE_OF = {word: role for role, words in ROLES.items() for word in words}
_LIBRARY = set(groups()["library"])
_ARGUMENT = re.compile(r"[$@](\d+|#)")


class Kind(StrEnum):
    """What is shown alike; words have the names of ROLES besides."""

    STRING = "string"
    NUMBER = "number"
    VARIABLE = "variable"
    ARGUMENT = "argument"
    COMMENT = "comment"
    PREPROCESSOR = "preprocessor"
    AT = "at"
    PRINT = "print"
    LIBRARY = "library"
    PLAIN = "plain"


class Piece(NamedTuple):
    start: int
    end: int
    kind: str
    text: str

    @property
    def columns(self) -> list[int]:
        """Where its characters are; the end of a line has no colour."""
        return [at for at, character in enumerate(self.text, self.start) if character != "\n"]


def scripts() -> list[Path]:
    """Scripts of all kinds: the examples, much of the library, and the cases of the language for what a lexer sees."""
    library = [f"compiler/tapset/{name}" for name in ("functions", "probes")]
    cases = [
        f"tests/language/cases/{name}" for name in ("arguments", "lexical", "macros", "printing")
    ]
    folders = ("packaging/probes.d", *library, *cases, "tests/language/cases/statements")
    return sorted(path for folder in folders for path in (PROJECT / folder).rglob("*.stp*"))


def wanted(text: str) -> Iterator[Piece]:
    """The pieces of a script that have one kind; embedded C and single signs are left out."""
    tokens = scan(Source("x", text), ["1"] * 9)
    at = 0
    for token in tokens:
        start, end = token.span.start, token.span.end
        if start < at:
            continue  # a further token of an argument
        yield from _comments(text, at, start)
        at = end
        kind = _kind(token.kind, text, start, end)
        if kind:
            yield Piece(start, end, kind, text[start:end])
    yield from _comments(text, at, len(text))


def _comments(text: str, start: int, end: int) -> Iterator[Piece]:
    """Between two tokens there are blanks and comments."""
    for line in re.finditer(r"\S(?:.*\S)?", text[start:end]):
        yield Piece(start + line.start(), start + line.end(), Kind.COMMENT, line[0])


def _kind(kind: str, text: str, start: int, end: int) -> str:
    word = text[start:end]
    if _ARGUMENT.fullmatch(word):
        return Kind.ARGUMENT
    if kind.startswith("PP_"):
        return Kind.PREPROCESSOR
    if word in KEYWORDS and kind == KEYWORDS[word]:
        return Kind.PLAIN if text[start - 1 : start] == "." else ROLE_OF[word]
    known = {"STRING": Kind.STRING, "NUMBER": Kind.NUMBER, "AT": Kind.AT}
    known |= {"TARGET": Kind.VARIABLE, "PRETTY": Kind.VARIABLE}
    if kind in known:
        return known[kind]
    if kind == "IDENT" and text[start - 1 : start] != ".":
        return Kind.PRINT if word in PRINT_KINDS else Kind.LIBRARY if word in _LIBRARY else ""
    return ""
