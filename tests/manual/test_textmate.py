# SPDX-License-Identifier: GPL-2.0-or-later
"""A TextMate engine takes every piece of every script of the tree for what the lexer takes it for."""

from __future__ import annotations

import json
import logging
from collections import Counter
from typing import Any

import pytest
from textmate_grammar.parsers.base import LanguageParser

from editors import textmate
from editors.words import ROLES
from tests.manual.tokens import Kind, scripts, wanted

# A kind -> what its scope begins with; a word may have a longer one.
SCOPES = {
    Kind.STRING: "string.quoted.double",
    Kind.NUMBER: "constant.numeric",
    Kind.VARIABLE: "variable.other",
    Kind.ARGUMENT: "constant.other.argument",
    Kind.COMMENT: "comment.",
    Kind.PREPROCESSOR: "keyword.control.preprocessor",
    Kind.PRINT: "support.function.print",
    Kind.LIBRARY: "support.function",
    "declaration": "storage.type",
    "conditional": "keyword.control.conditional",
    "repeat": "keyword.control.loop",
    "exception": "keyword.control.exception",
    "statement": "keyword.control",
    "type": "support.type",
}
AT = ("keyword.operator.at", "storage.type.macro", "entity.name.function.macro")


@pytest.fixture(scope="module")
def parser() -> LanguageParser:
    logging.getLogger("textmate_grammar").setLevel(logging.CRITICAL)  # it logs what no rule matches
    LanguageParser(
        {"name": "C", "scopeName": "source.c", "patterns": [], "fileTypes": []}
    )  # it has none
    return LanguageParser(json.loads(textmate.files()["stapwatch.tmLanguage.json"]))


def scopes_of(parser: LanguageParser, text: str) -> list[str]:
    """The scopes of each character, joined by blanks."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = [""] * len(text)
    element = parser.parse_string(text)
    assert element is not None
    pieces: Any = element.flatten()
    for (line, column), content, scopes in pieces:
        at = starts[line] + column
        found[at : at + len(content)] = [" ".join(scopes)] * len(content)
    return found


def test_every_piece_of_every_script(parser: LanguageParser) -> None:
    seen: Counter[str] = Counter()
    for file in scripts():
        text = file.read_bytes().decode("latin-1")
        scopes = scopes_of(parser, text)
        for piece in wanted(text):
            for at in piece.columns:
                assert is_fitting(piece.kind, scopes[at]), f"{file}: {piece}: {scopes[at]!r}"
            seen[piece.kind] += 1
    assert set(seen) == {*Kind, *ROLES}


def is_fitting(kind: str, scopes: str) -> bool:
    inner = scopes.split(" ")[1:]
    if kind == Kind.PLAIN:
        return not any(scope.startswith(("storage", "keyword", "support.type")) for scope in inner)
    if kind == Kind.AT:
        return any(scope.startswith(AT) for scope in inner)
    return any(scope.startswith(SCOPES[kind]) for scope in inner)


def test_embedded_c_is_left_to_c(parser: LanguageParser) -> None:
    text = 'function f() %{ return "a"; %}\nprobe begin { f() }\n'
    scopes = scopes_of(parser, text)
    assert "source.c" in scopes[text.index("return")]
    assert "storage.type" in scopes[text.index("probe")]


def test_the_grammar_is_one_that_editors_find() -> None:
    grammar = textmate.grammar()
    assert grammar["scopeName"] == "source.stapwatch"
    assert set(grammar["fileTypes"]) == {"stp", "stpm"}
    included = {pattern["include"].removeprefix("#") for pattern in grammar["patterns"]}
    assert included == set(grammar["repository"])
    assert list(textmate.files()) == ["stapwatch.tmLanguage.json"]
