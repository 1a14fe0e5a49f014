# SPDX-License-Identifier: GPL-2.0-or-later
"""stapwatch-language(7) names every word of the language and every limit, and all scripts in the pages compile."""

from __future__ import annotations

import re

import pytest

from compiler.frontend.lexer import AT_KINDS, KEYWORDS, PRINT_KINDS
from compiler.ir.options import Limits
from runtime.support.record import fields
from tests.language.userspace import Script, translate
from tests.manual.page import page, pages

SCRIPTS = [
    pytest.param(text, id=f"{name}-{number}")
    for name, found in pages().items()
    for number, text in enumerate(found.literals())
    if re.search(r"^(probe|function|global) .*$", text, re.MULTILINE) and "{" in text
]


def test_every_word_is_named() -> None:
    words = set(re.findall(r"@?\w+", page("stapwatch-language.7").text))
    assert {*KEYWORDS, *PRINT_KINDS} <= words
    assert {f"@{name}" for name in AT_KINDS} <= words


def test_every_limit_is_named_with_its_default() -> None:
    found = page("stapwatch-language.7").terms("WHAT A SCRIPT CANNOT DO")
    assert found == [f"{f.name} ({getattr(Limits(), f.name):,})" for f in fields(Limits)]


@pytest.mark.parametrize("text", SCRIPTS)
def test_scripts_compile(text: str) -> None:
    translate(Script("x", text))


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 6
