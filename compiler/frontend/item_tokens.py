# SPDX-License-Identifier: GPL-2.0-or-later
"""Splits preprocessed tokens into items, and gives each token the kind that the grammar expects.

    probe vfs.*, if.x { n = $p->if }
      ->  [[PROBE COMPONENT(vfs) DOT COMPONENT(*) COMMA COMPONENT(if) DOT COMPONENT(x)
            LBRACE IDENT EQUAL TARGET ARROW FIELD(if) RBRACE]]

The words `probe function global private` cannot occur inside an item, except as part of a probe
point or after `->`. The list is therefore cut at these words, whatever brackets are still open, so
that each item reports its own syntax error.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.frontend.lexer import AT_KINDS, KEYWORDS, PRINT_KINDS, InvalidToken, Token
from compiler.ir.diagnostics import Diagnostics
from compiler.ir.source import Span, join

_NAMES = frozenset({"IDENT", "TARGET", "PRETTY", *KEYWORDS.values()})
COMPONENT = _NAMES | {"STAR"}  # kinds that join to one component of a probe point if they touch
_ITEMS = frozenset({"PROBE", "FUNCTION", "GLOBAL", "PRIVATE"})
# Tokens whose kind may depend on what is around them.
_SPECIAL = frozenset(
    {"IDENT", "TARGET", "AT", "STRING", "RETURN", "ARROW", "PROBE", *KEYWORDS.values()}
)


def touches(last: Token, token: Token) -> bool:
    """Whether nothing is between two tokens."""
    return token.span.source is last.span.source and token.span.start == last.span.end


def split_items(tokens: Sequence[Token], diagnostics: Diagnostics) -> list[list[Token]]:
    """Returns one token list for each item of a file.

    Embedded C at file level does not end an item: it is in the list of the item before it.
    """
    return ItemSplitter(_without_invalid(tokens, diagnostics)).split()


def _without_invalid(tokens: Sequence[Token], diagnostics: Diagnostics) -> Sequence[Token]:
    """Reports the invalid tokens that are left, and puts their replacements in their place."""
    if not any(token[0] == "INVALID" for token in tokens):
        return tokens
    valid: list[Token] = []
    for token in tokens:
        if isinstance(token.value, InvalidToken):
            diagnostics.add(token.value.diagnostic)
            if token.value.replacement is not None:
                valid.append(token.value.replacement)
        else:
            valid.append(token)
    return valid


class ItemSplitter:
    """Moves tokens from `tokens`, beginning at `at`, to the list `item` of the current item."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.item: list[Token] = []
        self.items: list[list[Token]] = []

    def split(self) -> list[list[Token]]:
        tokens, special = self.tokens, _SPECIAL
        count = len(tokens)
        while self.at < count:
            token = tokens[self.at]
            kind = token[0]
            if kind not in special:
                self.item.append(token)
                self.at += 1
            elif kind in _ITEMS and not self.inside_name():
                if not (self.item and self.item[-1].kind == "PRIVATE"):
                    self.finish_item()
                self.item.append(token)
                self.at += 1
                if kind == "PROBE":
                    self.take_probe_points()
            else:
                self.take_body_token(token)
        self.finish_item()
        return self.items

    def finish_item(self) -> None:
        if self.item:
            self.items.append(self.item)
        self.item = []

    def after_arrow(self) -> bool:
        return bool(self.item) and self.item[-1].kind == "ARROW"

    def inside_name(self) -> bool:
        """Whether the next word follows `->` or `.`, and so cannot start an item."""
        return bool(self.item) and self.item[-1].kind in ("ARROW", "DOT")

    # ------------------------------------------------------------ bodies

    def take_body_token(self, token: Token) -> None:
        """Takes one token of a body, or several adjacent string literals as one."""
        kind, value, span = token
        self.at += 1
        item = self.item
        following = self.tokens[self.at].kind if self.at < len(self.tokens) else ""
        if kind == "STRING":
            item.append(self.joined_literals(token) if following == "STRING" else token)
        elif kind in _NAMES and self.after_arrow():
            self.take_pretty("FIELD", str(value), span)
        elif kind == "IDENT":
            printing = PRINT_KINDS.get(value)  # type: ignore[call-overload]
            if item and item[-1].kind in ("FUNCTION", "GLOBAL"):
                printing = None  # a script may declare such a name, though it cannot call it
            item.append(Token(printing, value, span) if printing else token)
        elif kind == "TARGET":
            self.take_pretty(kind, str(value), span)
        elif kind == "AT":
            item.append(Token(AT_KINDS[str(value)], value, span))
        elif kind == "RETURN" and (following in ("SEMICOLON", "RBRACE", "") or following in _ITEMS):
            item.append(Token("RETURN_BARE", value, span))
        else:
            item.append(token)

    def joined_literals(self, first: Token) -> Token:
        """Joins a string literal with the literals that follow it."""
        parts = [str(first.value)]
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "STRING":
            parts.append(str(self.tokens[self.at].value))
            self.at += 1
        span = join(first.span, self.tokens[self.at - 1].span)
        return Token("STRING", "".join(parts), span)

    def take_pretty(self, kind: str, text: str, span: Span) -> None:
        """Takes a name, and splits off a final `$` or `$$`, which formats the whole value."""
        name = text.rstrip("$")
        if not name or name == text:
            self.item.append(Token(kind if name else "PRETTY", text, span))
            return
        split = max(span.start, span.end - (len(text) - len(name)))
        self.item.append(Token(kind, name, span._replace(end=split)))
        self.item.append(Token("PRETTY", text[len(name) :], span._replace(start=split)))

    # ------------------------------------------------------------ probe points

    def take_probe_points(self) -> None:
        """Takes the tokens between `probe` and its body, where every word is a name."""
        name_expected, braces = True, 0
        tokens, item = self.tokens, self.item
        while self.at < len(tokens):
            token = tokens[self.at]
            kind = token.kind
            if name_expected:
                if kind in _NAMES or kind == "STAR":
                    self.take_component()
                    name_expected = False
                elif kind == "LBRACE":
                    item.append(Token("OPEN_BRACE", "{", token.span))
                    self.at += 1
                    braces += 1
                else:
                    return
            elif kind in ("DOT", "COMMA", "EQUAL", "ADD_ASSIGN"):
                item.append(token)
                self.at += 1
                name_expected = True
            elif kind == "RBRACE" and braces:
                item.append(Token("CLOSE_BRACE", "}", token.span))
                self.at += 1
                braces -= 1
            elif kind == "LPAR":
                self.take_parentheses()
            elif kind in ("QUESTION", "BANG", "IF"):
                item.append(token)
                self.at += 1
            else:
                return

    def take_component(self) -> None:
        """Joins adjacent names and wildcards, without blanks between them, to one component."""
        first = last = self.tokens[self.at]
        text = str(first.value)
        self.at += 1
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if not touches(last, token) or token.kind not in COMPONENT:
                break
            text += str(token.value)
            last = token
            self.at += 1
        self.item.append(Token("COMPONENT", text, join(first.span, last.span)))

    def take_parentheses(self) -> None:
        """Takes the argument of a component, or a condition, as ordinary tokens."""
        depth = 0
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind in _ITEMS and not self.inside_name():
                return
            depth += (token.kind == "LPAR") - (token.kind == "RPAR")
            self.take_body_token(token)
            if not depth:
                return
