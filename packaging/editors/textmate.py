# SPDX-License-Identifier: GPL-2.0-or-later
"""The TextMate grammar, as JSON.

grammar()["patterns"][0] -> {"include": "#comment"}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from editors.words import groups

SCOPE = "source.stapwatch"
# Of our groups of words, those that have a scope of their own.
_WORDS = {
    "declaration": "storage.type",
    "conditional": "keyword.control.conditional",
    "repeat": "keyword.control.loop",
    "exception": "keyword.control.exception",
    "statement": "keyword.control",
    "type": "support.type",
    "print": "support.function.print",
    "library": "support.function",
}


def files() -> dict[str, str]:
    return {"stapwatch.tmLanguage.json": json.dumps(grammar(), indent=2, ensure_ascii=False) + "\n"}


def grammar() -> dict[str, Any]:
    parts = {
        "comment": _comments(),
        "embedded": _embedded(),
        "string": _strings(),
        **_signs(),
        **_words(),
    }
    return {
        "name": "stapwatch",
        "scopeName": SCOPE,
        "fileTypes": ["stp", "stpm"],
        "firstLineMatch": r"^#!.*\b(stapwatch run|stap)\b",
        "patterns": [{"include": f"#{name}"} for name in parts],
        "repository": {name: {"patterns": patterns} for name, patterns in parts.items()},
    }


def _comments() -> list[dict[str, Any]]:
    return [
        _match("comment.line.number-sign", r"#.*$"),
        _match("comment.line.double-slash", r"//.*$"),
        _between("comment.block", r"/\*", r"\*/", []),
    ]


def _embedded() -> list[dict[str, Any]]:
    return [
        {
            "begin": r"%\{",
            "end": r"%\}",
            "beginCaptures": {"0": {"name": _scope("punctuation.section.embedded.begin")}},
            "endCaptures": {"0": {"name": _scope("punctuation.section.embedded.end")}},
            "contentName": "source.c",
            "patterns": [{"include": "source.c"}],
        }
    ]


def _strings() -> list[dict[str, Any]]:
    inner = [
        _match("constant.character.escape", r"\\([0-7]{1,3}|x[0-9A-Fa-f]+|.)"),
        _match(
            "constant.other.placeholder",
            r"%[-+ #0]?([0-9]+|\*)?(\.([0-9]+|\*)?)?l*[a-zA-Z%]",
        ),
    ]
    return [_between("string.quoted.double", '"', r'"|(?<!\\)\n', inner)]


def _signs() -> dict[str, list[dict[str, Any]]]:
    return {
        "preprocessor": [
            _match("keyword.control.preprocessor", r"%[(?:)]"),
            _match("storage.type.macro", r"@define\b"),
        ],
        "argument": [_match("constant.other.argument", r"[$@]([0-9]+|#)")],
        "variable": [_match("variable.other", r"\$+[A-Za-z_$][A-Za-z0-9_$]*|\$\$+")],
        "at": [
            _match("keyword.operator.at", rf"@({_any(groups()['at'])})\b"),
            _match("entity.name.function.macro", r"@[A-Za-z_]\w*"),
        ],
        "number": [_match("constant.numeric", r"\b[0-9]\w*")],
    }


def _words() -> dict[str, list[dict[str, Any]]]:
    words = groups()
    # behind a dot stands a part of a probe point, as in kernel.function("f").return
    named = {
        name: [_match(scope, rf"(?<!\.)\b({_any(words[name])})\b")]
        for name, scope in _WORDS.items()
    }
    family = rf"\b({_any(words['family'])})\b(?=\s*[.({{,?!])"
    return {
        **named,
        "family": [_match("entity.name.type.probe", family)],
        "function": [_match("entity.name.function", r"\b[A-Za-z_]\w*(?=\s*\()")],
    }


def _match(scope: str, regex: str) -> dict[str, Any]:
    return {"name": _scope(scope), "match": regex}


def _between(scope: str, begin: str, end: str, patterns: list[dict[str, Any]]) -> dict[str, Any]:
    return {"name": _scope(scope), "begin": begin, "end": end, "patterns": patterns}


def _scope(name: str) -> str:
    return f"{name}.stapwatch"


def _any(words: Iterable[str]) -> str:
    return "|".join(words)
