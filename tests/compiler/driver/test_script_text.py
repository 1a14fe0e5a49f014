# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts that mean the same have one meaning, and others have another."""

from __future__ import annotations

import pytest

from compiler.driver import module_cache
from compiler.driver.script_text import meaning
from compiler.protocol import Request
from runtime.support.record import replace

SCRIPT = """global reads
probe vfs.read { if ($count > 16) reads["a b"]++ }
"""


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + SCRIPT,
        SCRIPT.replace("\n", " /* two\nlines */ "),
        SCRIPT.replace("{", "\n{\n\t").replace(" >", ">"),
        SCRIPT.replace("16", "0x10"),
        SCRIPT.replace("$count > 16", "$count  >\n16"),
        SCRIPT + "\n\n// the process ends here",
    ],
)
def test_no_change(text: str) -> None:
    assert meaning(text, ()) == meaning(SCRIPT.encode(), ())


def test_products_need_no_blanks() -> None:
    """Only in a probe point a star joins names."""
    text = "probe a.* if (a*b) { c = a*b } function f() { return a*b }"
    assert meaning(text, ()) == meaning(text.replace("a*b", "a * b"), ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SCRIPT, SCRIPT.replace("a b", "a  b")),
        (SCRIPT, SCRIPT.replace("16", "17")),
        ("probe vfs* {}", "probe vfs * {}"),
        ("probe {a*,b} {}", "probe {a *,b} {}"),
        ("probe a.x = %( 1 == 1 %? b* %) {}", "probe a.x = %( 1 == 1 %? b * %) {}"),
        ("probe x { a = b -- c }", "probe x { a = b - - c }"),
        ("probe x %{ /* 1 */ %}", "probe x %{ /* 2 */ %}"),
        ('probe x { a = "1" }', "probe x { a = 1 }"),
        ("probe x { ' }", "probe x {  ' }"),  # it is not a script, so nothing is known of it
    ],
)
def test_a_change(one: str, other: str) -> None:
    assert meaning(one, ()) != meaning(other, ())


def test_arguments_are_part_of_the_text() -> None:
    """An argument may begin a comment or a string, in which blanks and other comments count."""
    one, other = "probe x { a = $1 b /* 1 */ + c }", "probe x { a = $1 b + c }"
    assert meaning(one, ("1 +",)) == meaning(other, ("1 +",))
    assert meaning(one, ("/*",)) != meaning(other, ("/*",))
    assert meaning('probe x { a = $1  b" }', ('"',)) != meaning('probe x { a = $1 b" }', ('"',))


def test_the_identity_of_a_module() -> None:
    request = Request("x", text=SCRIPT)
    same = replace(request, text="# of a process\n" + SCRIPT)
    other = replace(request, text=SCRIPT.replace("16", "15"))
    identities = [module_cache.load(r).identity for r in (request, same, other)]
    assert identities[0] == identities[1] != identities[2]
