# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the diagnostic for a token that the grammar does not allow at its position.

    probe begin { foo( }    at '}'   ->  error[syntax]: expected an expression or ')', found '}'
                                         with a label at the '('

This code runs only after a syntax error. It runs the LALR parser again, without values, to find
the terminals that the parser would accept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from compiler.frontend.grammar_table import END, Table
from compiler.frontend.lexer import KEYWORDS, OPERATORS, Token
from compiler.ir.diagnostics import Diagnostics, Label
from compiler.ir.source import Span, outermost, readable
from compiler.support.did_you_mean import did_you_mean

_SPELLINGS = {kind: text for text, kind in (*OPERATORS.items(), *KEYWORDS.items())}
_SPELLINGS |= {"OPEN_BRACE": "{", "CLOSE_BRACE": "}", "RETURN_BARE": "return", "ARROW": "->"}
_WORDS = {
    "IDENT": "a name",
    "PRETTY": "'$'",
    "TYPE": "'long' or 'string'",
    "NUMBER": "a number",
    "STRING": "a string literal",
    "COMPONENT": "a probe point",
    "FIELD": "a field name",
    "EMBEDDED": "'%{'",
    "TARGET": "a context variable",
    END: "the end",
}
_OPENERS = {"LPAR": "RPAR", "LBRACKET": "RBRACKET", "LBRACE": "RBRACE", "OPEN_BRACE": "CLOSE_BRACE"}
_ITEM_STARTS = ("probe", "function", "global", "private")
_HISTOGRAMS = ("HIST_LOG", "HIST_LINEAR")
# If all terminals of a set are expected, the message names the set: a list of them would be too long.
_EXPRESSION = frozenset({"IDENT", "NUMBER", "STRING", "LPAR", "MINUS", "TILDE", "CAST", "PRINTF"})
_OPERAND = _EXPRESSION - {"MINUS", "TILDE"}
_STATEMENT = frozenset({"IF", "WHILE", "FOREACH", "TRY", "DELETE", "LBRACE"})
_OPERATORS = frozenset({"BAR", "CARET", "SHIFT", "DIVIDE", "AND", "OR", "COMPARE"})
_AFTER_POINT = frozenset({"DOT", "COMMA", "QUESTION", "IF"})
# After these diagnostics, the rest of the text is missing.
_TRUNCATING = frozenset(
    {
        *("unterminated-comment", "unterminated-conditional", "expansion-too-large"),
        *("bad-macro", "macro-arguments"),
    }
)
# After these diagnostics, tokens may be missing or replaced.
_TOKEN_ERRORS = frozenset(
    {
        *("bad-character", "byte-order-mark", "unterminated-string", "unterminated-comment"),
        *("unterminated-embedded-c", "missing-argument", "nested-argument", "bad-macro"),
        *("macro-arguments", "macro-recursion", "expansion-too-large", "unknown-operator"),
        *("bad-condition", "stray-conditional", "unterminated-conditional"),
    }
)


def report_syntax_error(
    tokens: Sequence[Token], at: int, token: Token, table: Table, diagnostics: Diagnostics
) -> None:
    """Reports that `token` is not allowed at index `at` of the tokens of an item, or at its end."""
    if _is_consequence(tokens[0], token, diagnostics):
        return
    expected = _expected(tokens[:at], table)
    if _report_histogram(tokens, at, expected, diagnostics):
        return
    opener = _unclosed(tokens[:at])
    labels = []
    closes = opener is not None and _OPENERS[opener.kind] in expected
    if opener is not None and closes and token.kind in (END, "RBRACE", "RBRACKET", "RPAR"):
        labels = [Label(opener.span, "opened here")]
    message, hint = f"expected {_phrase(expected)}", _hint(tokens, at, token, expected)
    if token.kind == END:
        message = f"{_item(tokens)} ends too early: {message}"
        diagnostics.error("unexpected-end", message, token.span, labels=labels, hint=hint)
    else:
        message = f"{message}, found {_found(token)}"
        diagnostics.error("syntax", message, token.span, labels=labels, hint=hint)


def _is_consequence(first: Token, token: Token, diagnostics: Diagnostics) -> bool:
    """Whether an earlier diagnostic in this item explains the syntax error at `token`."""
    start, end = outermost(first.span), outermost(token.span)
    for diagnostic in diagnostics:
        earlier = outermost(diagnostic.span)
        truncates = token.kind == END and diagnostic.slug in _TRUNCATING
        if (
            diagnostic.slug in _TOKEN_ERRORS
            and earlier.source is end.source
            and start.start <= earlier.start
            and (earlier.start <= end.end or truncates)
        ):
            return True
    return False


def _report_histogram(
    tokens: Sequence[Token], at: int, expected: set[str], diagnostics: Diagnostics
) -> bool:
    """Reports a histogram that is used as a value, if the syntax error after it means this."""
    if not at or tokens[at - 1].kind != "RPAR" or expected != {"LBRACKET"}:
        return False
    start = _histogram(tokens, at - 1)
    if start is None:
        return False
    diagnostics.error(
        "histogram-as-value",
        "a histogram cannot be used as a value",
        Span(start.source, start.start, max(start.end, tokens[at - 1].span.end)),
        hint="print it, index it, or loop over it with foreach",
    )
    return True


def _hint(tokens: Sequence[Token], at: int, token: Token, expected: set[str]) -> str | None:
    """Advice for common errors. The first rule that fits wins, so the order of the rules matters."""
    if not at or (expected >= {"PROBE", "GLOBAL"}):
        return _item_hint(token)
    return (
        _keyword_hint(token, expected)
        or _literal_hint(tokens, at, token, expected)
        or _loop_hint(tokens, at, token)
        or _word_hint(tokens, at, token, expected)
    )


def _item_hint(token: Token) -> str | None:
    """Advice where an item is expected."""
    if token.kind == "IDENT" and (near := did_you_mean(str(token.value), _ITEM_STARTS)):
        return near
    if token.kind == "SEMICOLON":
        return "only a global may end with ';'"
    return "a script consists of probes, functions and globals" if token.kind != END else None


def _keyword_hint(token: Token, expected: set[str]) -> str | None:
    kind = token.kind
    if kind in KEYWORDS.values() and expected & {"IDENT"}:
        if kind == "ELSE":
            return "an 'else' directly follows its 'if': is there an extra ';' before it?"
        return f"'{token.value}' is a keyword and cannot be a name"
    if kind == "ELSE":
        return "there is no 'if' before this 'else'"
    if kind == "TARGET" and "IDENT" in expected:
        return "context variables belong to the kernel; leave out the '$'"
    return None


def _literal_hint(tokens: Sequence[Token], at: int, token: Token, expected: set[str]) -> str | None:
    if expected == {"STRING"}:
        if tokens[at - 1].kind == "MATCH":
            return "a regular expression is a literal: it is compiled with the script"
        return "this has to be a literal, known when the script is compiled"
    if token.kind == "COLON" and at + 1 < len(tokens) and tokens[at + 1].kind == "EQUAL":
        return "'=' assigns"
    return None


def _loop_hint(tokens: Sequence[Token], at: int, token: Token) -> str | None:
    kinds = [t.kind for t in tokens[max(0, at - 5) : at]]
    if token.kind == "COMMA" and kinds[-3:] == ["FOREACH", "LPAR", "IDENT"]:
        return "several keys need brackets: foreach ([a, b] in array)"
    if token.kind == "RPAR" and kinds == ["FOR", "LPAR", "IDENT", "IN", "IDENT"]:
        return (
            f"a loop over an array is: foreach ({tokens[at - 3].value} in {tokens[at - 1].value})"
        )
    return None


def _word_hint(tokens: Sequence[Token], at: int, token: Token, expected: set[str]) -> str | None:
    previous, kind = tokens[at - 1], token.kind
    if kind == "IDENT" and expected == {"NUMBER", "STRING", "MINUS"}:
        if previous.kind == "EQUAL":
            return "an initial value is a literal; assign a computed value in 'probe begin'"
        return f'write the name in quotes: "{token.value}"'
    if kind == "MATCH":
        return "put parentheses around the other comparison"
    if previous.kind == "IDENT" and kind in ("IDENT", "LBRACE", "NUMBER"):
        words = [word for word in KEYWORDS if word not in _ITEM_STARTS]
        return did_you_mean(str(previous.value), words) or None
    if previous.kind == "LPAR" and kind == "RPAR" and at > 1 and tokens[at - 2].kind == "PRINT":
        return "println() prints an empty line"
    if expected == {"CATCH"}:
        return "a try needs its catch: try { ... } catch { ... }"
    return None


def _expected(tokens: Iterable[Token], table: Table) -> set[str]:
    """All terminals that the parser would accept after these tokens."""
    states = [0]
    for token in tokens:
        assert _feed(states, token.kind, table)
    return {kind for kind in table.terminals if _feed(states.copy(), kind, table)}


def _feed(states: list[int], kind: str, table: Table) -> bool:
    """Runs the parser's states over one terminal; returns False if it does not accept it."""
    while (action := table.actions[states[-1]].get(kind)) is not None:
        if action >= 0:
            states.append(action - 1)
            return True
        rule = table.rules[-action - 1]
        if rule.size:
            del states[-rule.size :]
        states.append(table.gotos[states[-1]][rule.symbol])
    return False


def _phrase(expected: set[str]) -> str:
    """The expected terminals in words: "a value or ')'"."""
    left = set(expected)
    words = []
    if left >= _STATEMENT | _EXPRESSION:
        # Inside a block: leave out the operators that could continue the statement before.
        words, left = ["a statement"], left & {"RBRACE", "ELSE"}
    elif left >= _EXPRESSION:
        words, left = ["an expression"], left & {"RPAR", "RBRACKET", "RBRACE", "STAR"}
    elif left >= _OPERAND:
        words, left = ["a value"], set()
    elif left >= _AFTER_POINT:
        left &= {"COMMA", "LBRACE", "CLOSE_BRACE", "EQUAL"}
    elif left >= _OPERATORS:
        left &= {"RPAR", "RBRACKET", "RBRACE", "COMMA", "SEMICOLON", "COLON"}
    elif left >= {"PROBE", "GLOBAL", "FUNCTION"}:
        words, left = ["'probe', 'function', 'global', 'private' or '%{'"], set()
    spelled = {_WORDS.get(kind) or f"'{_SPELLINGS.get(kind, kind.lower())}'" for kind in left}
    words += sorted(spelled, key=lambda word: (not word.startswith("a"), word))
    if len(words) > 7:
        words = [*words[:6], "the like"]
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def _found(token: Token) -> str:
    match token.kind:
        case "STRING":
            return "a string"
        case "NUMBER":
            return "a number"
        case "EMBEDDED":
            return "embedded C"
        case _:
            return f"'{readable(str(token.value))}'"


def _item(tokens: Sequence[Token]) -> str:
    first = tokens[0].kind
    if first == "PRIVATE" and len(tokens) > 1:
        first = tokens[1].kind if tokens[1].kind == "FUNCTION" else "GLOBAL"
    return {"PROBE": "this probe", "FUNCTION": "this function", "GLOBAL": "this global"}.get(
        first, "this"
    )


def _unclosed(tokens: Sequence[Token]) -> Token | None:
    """The innermost open bracket."""
    opened: list[Token] = []
    for token in tokens:
        if token.kind in _OPENERS:
            opened.append(token)
        elif opened and token.kind == _OPENERS[opened[-1].kind]:
            opened.pop()
    return opened[-1] if opened else None


def _histogram(tokens: Sequence[Token], close: int) -> Span | None:
    """The span of the `@hist_` operator whose parentheses end at token `close`, or None."""
    depth = 0
    for at in range(close, 0, -1):
        depth += (tokens[at].kind == "RPAR") - (tokens[at].kind == "LPAR")
        if not depth:
            before = tokens[at - 1]
            return before.span if before.kind in _HISTOGRAMS else None
    return None
