# SPDX-License-Identifier: GPL-2.0-or-later
"""Script text to tokens.

    scan(Source("x.stp", "n <<< 0x10 // all"), args=())
      ->  [Token("IDENT", "n", 0-1), Token("STATISTIC", "<<<", 2-5), Token("NUMBER", 16, 6-10)]

There is one mode only: macros and conditionals may begin and end anywhere, so what stands around a
token is known only after they are expanded. `compiler.frontend.item_tokens` then tells the tokens of a probe
point from those of a body.

`$1` is replaced by the text of the first script argument *before* the text at that place is read,
so `$1=4` with the argument `x =` gives `x ==4`; `@1` is a string literal instead. Both only where a
token starts: not inside a literal, a name or a comment. Tokens that come out of an argument carry
the span of the `$1`.

A mistake becomes a token of kind JUNK that holds its diagnostic and the nearest valid token: it
counts only if it survives the conditionals.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from compiler.ir.diagnostics import Diagnostic
from compiler.ir.source import Source, Span
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

KEYWORDS = {
    word: word.upper()
    for word in (
        *("probe", "global", "function", "private", "if", "else", "for", "foreach", "in", "limit"),
        *("return", "delete", "while", "break", "continue", "next", "try", "catch"),
    )
} | {"string": "TYPE", "long": "TYPE"}

# Tokens of the preprocessor are `PP_*` and never reach the parser.
OPERATORS = {
    "%(": "PP_IF", "%?": "PP_THEN", "%:": "PP_ELSE", "%)": "PP_END",
    "(": "LPAR", ")": "RPAR", "[": "LBRACKET", "]": "RBRACKET", "{": "LBRACE", "}": "RBRACE",
    ",": "COMMA", ";": "SEMICOLON", ":": "COLON", "?": "QUESTION", "!": "BANG", "~": "TILDE",
    ".": "DOT", "->": "ARROW", "++": "CREMENT", "--": "CREMENT",
    "=": "EQUAL", "+=": "ADD_ASSIGN", "<<<": "ASSIGN", "-=": "ASSIGN", "*=": "ASSIGN",
    "/=": "ASSIGN", "%=": "ASSIGN", "<<=": "ASSIGN", ">>=": "ASSIGN", "&=": "ASSIGN",
    "^=": "ASSIGN", "|=": "ASSIGN", ".=": "ASSIGN",
    "||": "OR", "&&": "AND", "|": "BAR", "^": "CARET", "&": "AMPERSAND",
    "==": "COMPARE", "!=": "COMPARE", "<": "COMPARE", ">": "COMPARE", "<=": "COMPARE",
    ">=": "COMPARE", "=~": "MATCH", "!~": "MATCH",
    "<<": "SHIFT", ">>": "SHIFT", ">>>": "SHIFT",
    "+": "PLUS", "-": "MINUS", "*": "STAR", "/": "DIVIDE", "%": "PERCENT",
}  # fmt: skip


class Token(NamedTuple):
    """`value` is an int for NUMBER, a `Junk` for JUNK, else a str: the text, or for STRING and
    EMBEDDED what it stands for."""

    kind: str
    value: object
    span: Span


@record
class Junk:
    """A mistake in the text, and the token to go on with (None: leave it out)."""

    diagnostic: Diagnostic
    instead: Token | None


_OPERATOR = "|".join(sorted(map(re.escape, OPERATORS), key=len, reverse=True))
# Atomic groups keep garbage linear: nothing that was read as blank is ever tried again.
_TOKEN = pattern(
    rf"""
    (?> [ \t\r\n\f\v]++ | \#[^\n]*+ | //[^\n]*+ | /\*(?>.*?\*/) )*+
    (?:
      (?P<argument> [$@] (?: \# | [0-9]+ ) )
    | (?P<name> [A-Za-z_$][A-Za-z0-9_$]*+ )
    | (?P<number> [0-9][0-9A-Za-z]*+ )
    | (?P<at> @[A-Za-z_][A-Za-z0-9_]*+ )
    | (?P<string> "(?> [^"\\\n]++ | \\. )*+" )
    | (?P<embedded> %\{{.*?%\}} )
    | (?P<bad_embedded> %\{{ )
    | (?P<bad_string> "(?> [^"\\\n]++ | \\[^\n] )*+ )
    | (?P<bad_comment> /\* )
    | (?P<operator> {_OPERATOR} )
    | (?P<junk> . )
    )
    """,
    re.VERBOSE | re.DOTALL,
)

ESCAPE = pattern(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]+)|(.))", re.DOTALL)
_QUOTED = pattern(r"([^'\"\n%]*)'")
_ESCAPES = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


def scan(source: Source, args: Sequence[str]) -> list[Token]:
    """All tokens of a source, script arguments pasted. Never fails: see `Junk`."""
    return _Scanner(source, args).scan()


def unescape(text: str) -> str:
    """The bytes between the quotes of a literal. An unknown escape stands for its character, and
    like C's `\\x` takes every hexadecimal digit that follows, of which the low byte counts."""
    return ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    octal, hexadecimal, other = match.groups()
    if octal:
        return chr(int(octal, 8) & 0xFF)
    if hexadecimal:
        return chr(int(hexadecimal[-2:], 16))
    return _ESCAPES.get(other, other)


class _Scanner:
    def __init__(self, source: Source, args: Sequence[str]) -> None:
        self.source = source
        self.args = args
        self.text = source.text
        self.tokens: list[Token] = []
        # Where the last pasted argument stands in `text`, the `$N` it came from in the source, and
        # how much longer `text` is than the source up to here.
        self.pasted = (0, 0)
        self.written = (0, 0)
        self.grown = 0

    def scan(self) -> list[Token]:
        match, position = _TOKEN.match, 0
        source, append = self.source, self.tokens.append
        keywords, operators = KEYWORDS, OPERATORS
        new = tuple.__new__  # NamedTuple's own constructor costs twice as much
        while (found := match(self.text, position)) is not None:
            group = found.lastgroup
            assert group is not None
            text = found[group]
            position = found.end()
            start = position - len(text)
            if start >= self.pasted[1] and not self.grown:
                span = new(Span, (source, start, position))
            else:
                span = self._original(start, position)
            if group == "name":
                if text[0] != "$":
                    append(new(Token, (keywords.get(text, "IDENT"), text, span)))
                else:
                    append(Token("PRETTY" if text.strip("$") == "" else "TARGET", text, span))
            elif group == "operator":
                append(new(Token, (operators[text], text, span)))
            elif group == "string":
                append(Token("STRING", unescape(text[1:-1]), span))
            elif group == "number":
                self._number(text, span)
            elif group == "at":
                append(Token("AT", text[1:], span))
            elif group == "argument":
                position = self._argument(text, start, position, span)
            elif group == "embedded":
                append(Token("EMBEDDED", text[2:-2], span))
            else:
                position = self._mistake(group, text, position, span)
        return self.tokens

    def _original(self, start: int, end: int) -> Span:
        first, last = self.pasted
        if start < last:
            start = self.written[0]
        else:
            start -= self.grown
        end = self.written[1] if first < end <= last else end - self.grown
        return Span(self.source, start, max(end, start))

    def _number(self, text: str, span: Span) -> None:
        try:
            if text[:2] in ("0x", "0X"):
                value = int(text, 16)
            elif text[0] == "0":
                value = int(text, 8)
            else:
                # int() refuses very long digits with the same exception
                value = int(text)
            if value >= 1 << 64:
                raise ValueError
        except ValueError:
            shown = text if len(text) <= 40 else text[:37] + "..."
            self._junk(
                Diagnostic(
                    "bad-number",
                    f"'{shown}' is no number, or does not fit 64 bits",
                    span,
                    hint="numbers are decimal, octal with a leading 0, or hexadecimal with 0x",
                ),
                Token("NUMBER", 0, span),
            )
            return
        self.tokens.append(Token("NUMBER", value - (1 << 64) if value >> 63 else value, span))

    def _argument(self, text: str, start: int, end: int, span: Span) -> int:
        """Handles `$N @N $# @#`; returns where to go on reading."""
        if start < self.pasted[1]:
            self._junk(
                Diagnostic(
                    "nested-argument",
                    f"the text of an argument refers to the argument '{text}'",
                    span,
                    hint="arguments are pasted once; write the value itself",
                ),
                Token("NUMBER", 0, span),
            )
            return end
        if text[1] == "#":
            value = str(len(self.args))
        else:
            number = int(text[1:]) if len(text) < 10 else 0
            if not 1 <= number <= len(self.args):
                have = f"{len(self.args)} argument{'' if len(self.args) == 1 else 's'}"
                self._junk(
                    Diagnostic(
                        "missing-argument",
                        f"'{text}' is not given: the script has {have}",
                        span,
                        hint="arguments follow the script's name and count from 1",
                    ),
                    Token(
                        "STRING" if text[0] == "@" else "NUMBER", "" if text[0] == "@" else 0, span
                    ),
                )
                return end
            value = self.args[number - 1]
        if text[0] == "@":
            self.tokens.append(Token("STRING", value, span))
            return end
        self.text = self.text[:end] + value + self.text[end:]
        self.pasted = (end, end + len(value))
        self.written = (span.start, span.end)
        self.grown += len(value)
        return end

    def _mistake(self, group: str, text: str, end: int, span: Span) -> int:
        if group == "bad_string":
            fault = Diagnostic(
                "unterminated-string",
                "this string has no closing quote",
                span,
                hint='a literal ends on its line; adjacent literals join: "one" "two"',
            )
            self._junk(fault, Token("STRING", unescape(text[1:].removesuffix("\\")), span))
        elif group == "bad_comment":
            fault = Diagnostic(
                "unterminated-comment", "this comment has no end", span, hint="close it with '*/'"
            )
            self._junk(fault, None)
            return len(self.text)
        elif group == "bad_embedded":
            fault = Diagnostic(
                "unterminated-embedded-c",
                "this embedded C has no end",
                span,
                hint="close it with '%}'",
            )
            self._junk(fault, Token("EMBEDDED", self.text[end:], span))
            return len(self.text)
        elif text == "'" and (quoted := _QUOTED.match(self.text, end)) is not None:
            inner = quoted[1]
            whole = span._replace(end=span.end + len(quoted[0]))
            fault = Diagnostic(
                "bad-character", "strings stand in double quotes", whole, hint=f'write "{inner}"'
            )
            self._junk(fault, Token("STRING", unescape(inner), whole))
            return quoted.end()
        else:
            shown = text if text.isprintable() and ord(text) < 0x80 else f"\\x{ord(text):02x}"
            hint = None
            if text == "'":
                hint = "strings stand in double quotes"
            elif ord(text) >= 0x80:
                hint = "names are ASCII; other characters belong in strings and comments"
            self._junk(
                Diagnostic("bad-character", f"unexpected character '{shown}'", span, hint=hint),
                None,
            )
            # one report for a run of them
            while end < len(self.text) and ord(text) >= 0x80 and ord(self.text[end]) >= 0x80:
                end += 1
        return end

    def _junk(self, diagnostic: Diagnostic, instead: Token | None) -> None:
        self.tokens.append(Token("JUNK", Junk(diagnostic, instead), diagnostic.span))
