# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import pytest

from compiler.frontend.lexer import InvalidToken, scan, unescape
from compiler.ir import syntax as s
from compiler.ir.source import Source, decode, encode
from tests.compiler.frontend.support import expression, faults, places, shape, slugs, statements


def kinds(text: str, *args: str) -> list[str]:
    return [token.kind for token in scan(Source("x", text), args)]


def values(text: str, *args: str) -> list[object]:
    return [token.value for token in scan(Source("x", text), args)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("42", 42),
        ("0777", 511),
        ("0x7fffFFFF", 0x7FFFFFFF),
        ("0XA", 10),
        ("9223372036854775807", 2**63 - 1),
        ("9223372036854775808", -(2**63)),
        ("18446744073709551615", -1),
        ("0xffffffffffffffff", -1),
        ("01777777777777777777777", -1),
    ],
)
def test_numbers_wrap_to_signed_64_bits(text: str, value: int) -> None:
    assert values(text) == [value]


@pytest.mark.parametrize("text", ["08", "0x", "1a", "0xg", "18446744073709551616", "9" * 5000])
def test_what_is_no_number_is_refused_in_one_piece(text: str) -> None:
    [token] = scan(Source("x", text), ())
    assert isinstance(token.value, InvalidToken)
    assert token.value.diagnostic.slug == "bad-number"
    assert token.span.text == text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\a\b\t\n\v\f\r", "\a\b\t\n\v\f\r"),
        (r"\\ \"", '\\ "'),
        (r"\0 \12 \101 \1011 \777", "\0 \n A A1 \xff"),
        (r"\x41 \xA \x0041 \xg", "A \n A xg"),
        (r"\q \8 \ ", "q 8  "),
        ("\\\n", "\n"),
    ],
)
def test_escapes(written: str, meant: str) -> None:
    assert unescape(written) == meant
    literal = expression(f'"{written}"')
    assert isinstance(literal, s.String)
    assert literal.value == meant


def test_adjacent_literals_join_across_comments_and_conditionals() -> None:
    assert shape('"a" /* x */ "b" // y\n "c" %( 1 == 1 %? "d" %) @1', "e") == '"abcde"'


def test_a_string_is_the_bytes_of_the_file() -> None:
    literal = expression('"größe\udcff"')
    assert isinstance(literal, s.String)
    assert encode(literal.value) == "größe".encode() + b"\xff"
    assert decode("größe\udcff") == decode("größe".encode() + b"\xff")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a>>>b>>c>d>=e", "IDENT SHIFT IDENT SHIFT IDENT COMPARE IDENT COMPARE IDENT"),
        ("a<<<b<<=c<<d", "IDENT ASSIGN IDENT ASSIGN IDENT SHIFT IDENT"),
        ("a->b-- - --c", "IDENT ARROW IDENT CREMENT MINUS CREMENT IDENT"),
        ("x=~y!~z=!1", "IDENT MATCH IDENT MATCH IDENT EQUAL BANG NUMBER"),
        ("a.=b.c", "IDENT ASSIGN IDENT DOT IDENT"),
        ("%( %? %: %) %=%", "PP_IF PP_THEN PP_ELSE PP_END ASSIGN PERCENT"),
        ("$ $$ $a $a$b a$", "PRETTY PRETTY TARGET TARGET IDENT"),
        ("probe limit long prober", "PROBE LIMIT TYPE IDENT"),
        ("# a\n/* b /* */ c // d", "IDENT"),
        ("%{ } %% %}", "EMBEDDED"),
    ],
)
def test_the_longest_token_wins(text: str, expected: str) -> None:
    assert kinds(text) == expected.split()


def test_arguments_are_pasted_where_a_token_starts_only() -> None:
    assert shape("$1 * 2", "1 + 3") == "(1 + (3 * 2))"
    assert shape('"$1" . @1', "x") == '("$1" . "x")'
    assert shape("a$1", "x") == "a$1"
    assert shape("$1b + $1", "a") == "(ab + a)"
    assert shape("$# . @# . $01", "7", "8") == '((2 . "2") . 7)'
    assert shape("/* $9 */ 1") == "1"
    assert [type(x) for x in statements("$1", "a = 1; b")] == [s.ExprStmt, s.ExprStmt]


def test_tokens_of_an_argument_stand_at_the_argument() -> None:
    found = faults("probe begin {\n  a = $1 + b }", "1 + * 2")
    assert places(found) == [(2, 7)]
    assert places(faults("probe begin { $1 }", "a = 08")) == [(1, 15)]
    assert places(faults("probe begin { $1\n 08 }", "a\n\n\n=")) == [(2, 2)]


def test_a_missing_argument_matters_only_where_it_is_used() -> None:
    assert shape("%( $# > 0 %? $1 %: 5 %)") == "5"
    assert slugs("probe begin { a = $1 + @2 + $0 + $99999999999 }", "x") == ["missing-argument"] * 3


def test_an_argument_cannot_refer_to_an_argument() -> None:
    assert slugs("probe begin { a = $1 }", "$2", "3") == ["nested-argument"]
