# SPDX-License-Identifier: GPL-2.0-or-later
"""Preprocessed tokens to one token list an item, as the grammar wants them.

    probe vfs.*, if.x { n = $p->if }
      ->  PROBE COMPONENT(vfs) DOT COMPONENT(*) COMMA COMPONENT(if) DOT COMPONENT(x)
          LBRACE IDENT EQUAL TARGET ARROW FIELD(if) RBRACE

The words `probe function global private` cannot occur inside an item except as part of a probe
point or after `->`, so the list is cut there whatever brackets are still open, and each item
reports its own mistake.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.frontend.lexer import KEYWORDS, Junk, Token
from compiler.ir.diagnostics import Diagnostics
from compiler.ir.source import Span, join

# The `@` operators by their shape, which is all that the grammar cares about.
AT_KINDS = {
    "count": "EXTRACTOR", "sum": "EXTRACTOR", "min": "EXTRACTOR", "max": "EXTRACTOR",
    "avg": "EXTRACTOR", "variance": "VARIANCE", "hist_log": "HIST_LOG",
    "hist_linear": "HIST_LINEAR", "cast": "CAST", "var": "VAR", "defined": "DEFINED",
    "entry": "ENTRY", "const": "AT_STRING", "perf": "AT_STRING", "enum": "AT_STRING",
    "kregister": "AT_NUMBER", "uregister": "AT_NUMBER", "kderef": "AT_DEREF",
    "uderef": "AT_DEREF", "probewrite": "AT_TARGET", "choose_defined": "AT_EITHER",
}  # fmt: skip

PRINT_KINDS = {
    "print": "PRINT", "sprint": "PRINT", "println": "PRINTLN", "sprintln": "PRINTLN",
    "printd": "PRINTD", "printdln": "PRINTD", "sprintd": "PRINTD", "sprintdln": "PRINTD",
    "printf": "PRINTF", "sprintf": "PRINTF", "print_char": "PRINT_CHAR",
}  # fmt: skip

_NAMES = frozenset({"IDENT", "TARGET", "PRETTY", *KEYWORDS.values()})
_ITEMS = frozenset({"PROBE", "FUNCTION", "GLOBAL", "PRIVATE"})
_SPECIAL = frozenset(
    {"IDENT", "TARGET", "AT", "STRING", "RETURN", "ARROW", "PROBE", *KEYWORDS.values()}
)


def arrange(tokens: Sequence[Token], faults: Diagnostics) -> list[list[Token]]:
    """The items of a file; a list holds embedded C that stands after its item as well."""
    return _Arranger(_valid(tokens, faults)).items()


def _valid(tokens: Sequence[Token], faults: Diagnostics) -> Sequence[Token]:
    """Reports the mistakes of the lexer that the conditionals have left in."""
    if not any(token[0] == "JUNK" for token in tokens):
        return tokens
    valid: list[Token] = []
    for token in tokens:
        if isinstance(token.value, Junk):
            faults.add(token.value.diagnostic)
            if token.value.instead is not None:
                valid.append(token.value.instead)
        else:
            valid.append(token)
    return valid


class _Arranger:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.item: list[Token] = []
        self.cut: list[list[Token]] = []
        self.at = 0

    def items(self) -> list[list[Token]]:
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
                    self.finish()
                self.item.append(token)
                self.at += 1
                if kind == "PROBE":
                    self.probe_points()
            else:
                self.body_token(token)
        self.finish()
        return self.cut

    def finish(self) -> None:
        if self.item:
            self.cut.append(self.item)
        self.item = []

    def after_arrow(self) -> bool:
        return bool(self.item) and self.item[-1].kind == "ARROW"

    def inside_name(self) -> bool:
        """Whether a word here belongs to a path, or to what somebody meant to be one."""
        return bool(self.item) and self.item[-1].kind in ("ARROW", "DOT")

    def body_token(self, token: Token) -> None:
        """Takes over one token, or several literals, of a body."""
        kind, value, span = token
        self.at += 1
        item = self.item
        following = self.tokens[self.at].kind if self.at < len(self.tokens) else ""
        if kind == "STRING":
            if following == "STRING":
                parts = [str(value)]
                while self.at < len(self.tokens) and self.tokens[self.at].kind == "STRING":
                    parts.append(str(self.tokens[self.at].value))
                    self.at += 1
                span = join(span, self.tokens[self.at - 1].span)
                token = Token(kind, "".join(parts), span)
            item.append(token)
        elif kind in _NAMES and self.after_arrow():
            self.pretty("FIELD", str(value), span)
        elif kind == "IDENT":
            printing = PRINT_KINDS.get(value)  # type: ignore[call-overload]
            if item and item[-1].kind in ("FUNCTION", "GLOBAL"):
                printing = None  # may be declared, though no call reaches it
            item.append(Token(printing, value, span) if printing else token)
        elif kind == "TARGET":
            self.pretty(kind, str(value), span)
        elif kind == "AT":
            item.append(Token(AT_KINDS[str(value)], value, span))
        elif kind == "RETURN" and (following in ("SEMICOLON", "RBRACE", "") or following in _ITEMS):
            item.append(Token("RETURN_BARE", value, span))
        else:
            item.append(token)

    def pretty(self, kind: str, text: str, span: Span) -> None:
        """A name whose final `$` or `$$` asks for a formatted value."""
        name = text.rstrip("$")
        if not name or name == text:
            self.item.append(Token(kind if name else "PRETTY", text, span))
            return
        split = max(span.start, span.end - (len(text) - len(name)))
        self.item.append(Token(kind, name, span._replace(end=split)))
        self.item.append(Token("PRETTY", text[len(name) :], span._replace(start=split)))

    def probe_points(self) -> None:
        """Takes over what stands between `probe` and its body, where every word is a name."""
        name_next, braces = True, 0
        tokens, item = self.tokens, self.item
        while self.at < len(tokens):
            token = tokens[self.at]
            kind = token.kind
            if name_next:
                if kind in _NAMES or kind == "STAR":
                    self.component()
                    name_next = False
                elif kind == "LBRACE":
                    item.append(Token("OPEN_BRACE", "{", token.span))
                    self.at += 1
                    braces += 1
                else:
                    return
            elif kind in ("DOT", "COMMA", "EQUAL", "ADD_ASSIGN"):
                item.append(token)
                self.at += 1
                name_next = True
            elif kind == "RBRACE" and braces:
                item.append(Token("CLOSE_BRACE", "}", token.span))
                self.at += 1
                braces -= 1
            elif kind == "LPAR":
                self.bracketed()
            elif kind in ("QUESTION", "BANG", "IF"):
                item.append(token)
                self.at += 1
            else:
                return

    def component(self) -> None:
        """Joins the names and wildcards that touch each other to one component."""
        first = last = self.tokens[self.at]
        text = str(first.value)
        self.at += 1
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            touches = token.span.source is last.span.source and token.span.start == last.span.end
            if not touches or not (token.kind in _NAMES or token.kind == "STAR"):
                break
            text += str(token.value)
            last = token
            self.at += 1
        self.item.append(Token("COMPONENT", text, join(first.span, last.span)))

    def bracketed(self) -> None:
        """Takes over the argument of a component, or a condition, as ordinary tokens."""
        depth = 0
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind in _ITEMS and not self.inside_name():
                return
            depth += (token.kind == "LPAR") - (token.kind == "RPAR")
            self.body_token(token)
            if not depth:
                return
