# SPDX-License-Identifier: GPL-2.0-or-later
"""Script text to tokens.

    scan(Source("x.stp", "n <<< 0x10 // all"), args=())
      ->  [Token("IDENT", "n", 0-1), Token("STATISTIC", "<<<", 2-5), Token("NUMBER", 16, 6-10)]

The lexer has one mode. Macros and conditionals may begin and end anywhere, so the context of a token
is known only after they are expanded; `compiler.frontend.item_tokens` then separates the tokens of
a probe point from the tokens of a body.

The lexer replaces `$1` with the text of the first script argument *before* it reads the text at that
position, so `$1=4` with the argument `x =` gives `x ==4`. `@1` is a string literal instead. Both are
recognised only where a token starts: not inside a literal, a name or a comment. Tokens that come
from an argument carry the span of the `$1`.

Invalid text becomes a token of kind INVALID that holds the diagnostic and a replacement token. The
diagnostic is reported only if the token is still there after conditional compilation.
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


# The `@` operators by their syntactic form, which is all that the grammar distinguishes.
AT_KINDS = {
    "count": "EXTRACTOR", "sum": "EXTRACTOR", "min": "EXTRACTOR", "max": "EXTRACTOR",
    "avg": "EXTRACTOR", "variance": "VARIANCE", "hist_log": "HIST_LOG",
    "hist_linear": "HIST_LINEAR", "cast": "CAST", "var": "VAR", "defined": "DEFINED",
    "entry": "ENTRY", "const": "AT_STRING", "perf": "AT_STRING", "enum": "AT_STRING",
    "kregister": "AT_NUMBER", "uregister": "AT_NUMBER", "kderef": "AT_DEREF",
    "uderef": "AT_DEREF", "probewrite": "AT_TARGET", "choose_defined": "AT_EITHER",
    "enumname": "ENUMNAME",
}  # fmt: skip

# The printing functions by their syntactic form.
PRINT_KINDS = {
    "print": "PRINT", "sprint": "PRINT", "println": "PRINTLN", "sprintln": "PRINTLN",
    "printd": "PRINTD", "printdln": "PRINTD", "sprintd": "PRINTD", "sprintdln": "PRINTD",
    "printf": "PRINTF", "sprintf": "PRINTF", "print_char": "PRINT_CHAR",
}  # fmt: skip


class Token(NamedTuple):
    """One token.

    `value` is an int for NUMBER, an `InvalidToken` for INVALID, the decoded contents for STRING and
    EMBEDDED, and the token's text for all other kinds.
    """

    kind: str
    value: object
    span: Span


@record
class InvalidToken:
    """Text that forms no valid token, and the token that replaces it (None if nothing does)."""

    diagnostic: Diagnostic
    replacement: Token | None


_OPERATOR = "|".join(sorted(map(re.escape, OPERATORS), key=len, reverse=True))
# The scan is linear without atomic groups, which Python 3.10 lacks: some alternative fits what follows the
# blanks, so they are never entered again, and a string can be divided in one way only.
_TOKEN = pattern(
    rf"""
    (?: [ \t\r\n\f\v]+ | \#[^\n]* | //[^\n]* | /\*.*?\*/ )*
    (?:
      (?P<argument> [$@] (?: \# | [0-9]+ ) )
    | (?P<name> [A-Za-z_$][A-Za-z0-9_$]* )
    | (?P<number> [0-9][0-9A-Za-z]* )
    | (?P<at> @[A-Za-z_][A-Za-z0-9_]* )
    | (?P<string> "[^"\\\n]* (?: \\. [^"\\\n]* )*" )
    | (?P<embedded> %\{{.*?%\}} )
    | (?P<bad_embedded> %\{{ )
    | (?P<bad_string> "[^"\\\n]* (?: \\[^\n] [^"\\\n]* )* )
    | (?P<bad_comment> /\* )
    | (?P<operator> {_OPERATOR} )
    | (?P<bad_character> . )
    | \Z
    )
    """,
    re.VERBOSE | re.DOTALL,
)

ESCAPE = pattern(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]+)|(.))", re.DOTALL)
_QUOTED = pattern(r"([^'\"\n%]*)'")
_BYTE_ORDER_MARK = pattern(r"\xef\xbb\xbf|\A(?:\xff\xfe|\xfe\xff)")
_ESCAPES = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


def scan(source: Source, args: Sequence[str]) -> list[Token]:
    """Returns all tokens of a source, with script arguments pasted in.

    Invalid text raises no error: see `InvalidToken`.
    """
    return _Scanner(source, args).scan()


def unescape(text: str) -> str:
    """Decodes the escapes in the text between the quotes of a literal.

    An unknown escape stands for its character. `\\x` takes all hexadecimal digits that follow, as in
    C, and keeps the low byte.
    """
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
        self.pasted = (0, 0)  # the range in `text` of the argument pasted last
        self.reference = (0, 0)  # the range in the source of the `$N` that it replaced
        self.grown = 0  # by how many characters pasting has made `text` longer than the source

    def scan(self) -> list[Token]:
        match, position = _TOKEN.match, 0
        source, append = self.source, self.tokens.append
        keywords, operators = KEYWORDS, OPERATORS
        new = tuple.__new__  # NamedTuple's own constructor costs twice as much
        while (found := match(self.text, position)) is not None:
            group = found.lastgroup
            if group is None:  # the end of the text
                break
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
                position = self._invalid_text(group, text, position, span)
        return self.tokens

    def _original(self, start: int, end: int) -> Span:
        """The span in the source of a range of `text`, which has arguments pasted in."""
        first, last = self.pasted
        if start < last:
            start = self.reference[0]
        else:
            start -= self.grown
        end = self.reference[1] if first < end <= last else end - self.grown
        return Span(self.source, start, max(end, start))

    def _number(self, text: str, span: Span) -> None:
        try:
            value = _parse_number(text)
        except ValueError:
            shown = text if len(text) <= 40 else text[:37] + "..."
            diagnostic = Diagnostic(
                "bad-number",
                f"'{shown}' is not a number, or does not fit into 64 bits",
                span,
                hint="numbers are decimal, octal with a leading 0, hexadecimal with 0x, or binary with 0b",
            )
            self._invalid(diagnostic, Token("NUMBER", 0, span))
            return
        self.tokens.append(Token("NUMBER", value - (1 << 64) if value >> 63 else value, span))

    # ------------------------------------------------------------ script arguments

    def _argument(self, text: str, start: int, end: int, span: Span) -> int:
        """Handles `$N @N $# @#`. Returns the offset where scanning continues."""
        if start < self.pasted[1]:
            diagnostic = Diagnostic(
                "nested-argument",
                f"the text of an argument refers to the argument '{text}'",
                span,
                hint="references in an argument's text are not replaced; write the value itself",
            )
            self._invalid(diagnostic, Token("NUMBER", 0, span))
            return end
        value = self._argument_value(text)
        if value is None:
            self._missing_argument(text, span)
        elif text[0] == "@":
            self.tokens.append(Token("STRING", value, span))
        else:
            self._paste(value, end, span)
        return end

    def _argument_value(self, text: str) -> str | None:
        """The text that `$N`, `@N`, `$#` or `@#` stands for, or None if the script has no such
        argument."""
        if text[1] == "#":
            return str(len(self.args))
        number = int(text[1:]) if len(text) < 10 else 0
        return self.args[number - 1] if 1 <= number <= len(self.args) else None

    def _missing_argument(self, text: str, span: Span) -> None:
        have = f"{len(self.args)} argument{'' if len(self.args) == 1 else 's'}"
        diagnostic = Diagnostic(
            "missing-argument",
            f"'{text}' is missing: the script has {have}",
            span,
            hint="arguments follow the script's name and are numbered from 1",
        )
        is_string = text[0] == "@"
        replacement = Token("STRING", "", span) if is_string else Token("NUMBER", 0, span)
        self._invalid(diagnostic, replacement)

    def _paste(self, value: str, end: int, span: Span) -> None:
        """Inserts the text of an argument after its reference, so that the scan reads it next."""
        self.text = self.text[:end] + value + self.text[end:]
        self.pasted = (end, end + len(value))
        self.reference = (span.start, span.end)
        self.grown += len(value)

    # ------------------------------------------------------------ invalid text

    def _invalid(self, diagnostic: Diagnostic, replacement: Token | None) -> None:
        self.tokens.append(Token("INVALID", InvalidToken(diagnostic, replacement), diagnostic.span))

    def _invalid_text(self, group: str, text: str, end: int, span: Span) -> int:
        """Handles text that starts no valid token. Returns the offset where scanning continues."""
        if group == "bad_string":
            diagnostic = Diagnostic(
                "unterminated-string",
                "this string has no closing quote",
                span,
                hint='a literal ends on its line; adjacent literals are joined: "one" "two"',
            )
            value = unescape(text[1:].removesuffix("\\"))
            self._invalid(diagnostic, Token("STRING", value, span))
            return end
        if group == "bad_comment":
            diagnostic = Diagnostic(
                "unterminated-comment", "this comment has no end", span, hint="close it with '*/'"
            )
            self._invalid(diagnostic, None)
            return len(self.text)
        if group == "bad_embedded":
            diagnostic = Diagnostic(
                "unterminated-embedded-c",
                "this embedded C has no end",
                span,
                hint="close it with '%}'",
            )
            self._invalid(diagnostic, Token("EMBEDDED", self.text[end:], span))
            return len(self.text)
        return self._bad_character(text, end, span)

    def _bad_character(self, text: str, end: int, span: Span) -> int:
        if text == "'" and (quoted := _QUOTED.match(self.text, end)) is not None:
            inner = quoted[1]
            whole = span._replace(end=span.end + len(quoted[0]))
            diagnostic = Diagnostic(
                "bad-character", "string literals use double quotes", whole, hint=f'write "{inner}"'
            )
            self._invalid(diagnostic, Token("STRING", unescape(inner), whole))
            return quoted.end()
        if (mark := _BYTE_ORDER_MARK.match(self.text, end - 1)) is not None:
            return self._byte_order_mark(mark[0], end, span)
        shown = text if text.isprintable() and ord(text) < 0x80 else f"\\x{ord(text):02x}"
        hint = None
        if text == "'":
            hint = "string literals use double quotes"
        elif ord(text) >= 0x80:
            hint = "names are ASCII; other characters belong in strings and comments"
        diagnostic = Diagnostic("bad-character", f"unexpected character '{shown}'", span, hint=hint)
        self._invalid(diagnostic, None)
        # One diagnostic covers a run of non-ASCII bytes.
        while end < len(self.text) and ord(text) >= 0x80 and ord(self.text[end]) >= 0x80:
            end += 1
        return end

    def _byte_order_mark(self, mark: str, end: int, span: Span) -> int:
        is_utf8 = len(mark) == 3
        coding = "UTF-8" if is_utf8 else "UTF-16"
        hint = "save the file as UTF-8 without a byte-order mark"
        diagnostic = Diagnostic(
            "byte-order-mark", f"a byte-order mark of {coding}", span, hint=hint
        )
        self._invalid(diagnostic, None)
        return end + len(mark) - 1 if is_utf8 else len(self.text)


def _parse_number(text: str) -> int:
    """The value of a literal, below 2^64. Raises ValueError for any other text."""
    if text[:2] in ("0x", "0X"):
        value = int(text, 16)
    elif text[:2] in ("0b", "0B"):
        value = int(text, 2)
    elif text[0] == "0":
        value = int(text, 8)
    else:
        value = int(text)  # raises ValueError for thousands of digits, too
    if value >= 1 << 64:
        raise ValueError
    return value
