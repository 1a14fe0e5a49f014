# SPDX-License-Identifier: GPL-2.0-or-later
"""The code runs on the oldest Python that pyproject.toml names.

mypy refuses what the standard library and the syntax of that version lack (it knows since when each name is
there), so it has to check for that version. It does not read regular expressions, which Python 3.11 extended.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli

from tests import PROJECT

_NEWER = re.compile(r"\(\?>|(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})\+")
_ONE = re.compile(r"\\.|\[[^\]]*\]", re.DOTALL)  # an escape, or a class of characters
_COMPILES = {"pattern", "compile", "match", "fullmatch", "search", "sub", "findall", "finditer"}


def newer_expressions(text: str) -> Iterator[str]:
    """Regular expressions with atomic groups or possessive quantifiers."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and node.args:
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            parts = ast.walk(node.args[0]) if name in _COMPILES else ()
            for part in parts:
                if isinstance(part, ast.Constant) and isinstance(part.value, str | bytes):
                    shown = (
                        part.value if isinstance(part.value, str) else part.value.decode("latin-1")
                    )
                    if _NEWER.search(_ONE.sub("x", shown)):
                        yield shown


def test_all_tools_check_for_the_oldest_python() -> None:
    with (PROJECT / "pyproject.toml").open("rb") as file:
        found = tomli.load(file)
    oldest = found["project"]["requires-python"].removeprefix(">=")
    assert found["tool"]["mypy"]["python_version"] == oldest
    assert found["tool"]["ruff"]["target-version"] == "py" + oldest.replace(".", "")


@pytest.mark.parametrize("package", ["agent", "compiler", "runtime", "packaging"])
def test_no_expression_needs_python_3_11(package: str) -> None:
    files: list[Path] = list((PROJECT / package).rglob("*.py"))
    found = {str(path): list(newer_expressions(path.read_text())) for path in files}
    assert {path: texts for path, texts in found.items() if texts} == {}
    assert len(files) > 10


@pytest.mark.parametrize(
    ("expression", "is_newer"),
    [
        ('re.compile(r"a++")', True),
        ('pattern(rf"(?>{x} b)")', True),
        ('re.sub(rb"\\d{2,3}+", b"", text)', True),
        ('pattern(r"a\\++[*+]+x+")', False),
        ('print("n++")', False),
    ],
)
def test_newer_expressions_are_found(expression: str, is_newer: bool) -> None:
    assert bool(list(newer_expressions(expression))) is is_newer
