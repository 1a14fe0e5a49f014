# SPDX-License-Identifier: GPL-2.0-or-later
"""What to say about a token that cannot stand where it does.

    probe begin { foo( }    at '}'   ->  error[syntax]: expected an expression or ')', found '}'
                                         with a mark on the '(' and what closes it as the hint

Only error paths come here: the automaton is run again without values to learn what it would take.
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
# Where these are all possible, a list of tokens would only bury what the reader should know.
_EXPRESSION = frozenset({"IDENT", "NUMBER", "STRING", "LPAR", "MINUS", "TILDE", "CAST", "PRINTF"})
_OPERAND = _EXPRESSION - {"MINUS", "TILDE"}
_STATEMENT = frozenset({"IF", "WHILE", "FOREACH", "TRY", "DELETE", "LBRACE"})
_OPERATORS = frozenset({"BAR", "CARET", "SHIFT", "DIVIDE", "AND", "OR", "COMPARE"})
_AFTER_POINT = frozenset({"DOT", "COMMA", "QUESTION", "IF"})
# These leave out the rest of the text.
_SWALLOWING = frozenset(
    {
        *("unterminated-comment", "unterminated-conditional", "expansion-too-large"),
        *("bad-macro", "macro-arguments"),
    }
)
# After these a token may be missing or standing in for another.
_BREAKING = frozenset(
    {
        *("bad-character", "unterminated-string", "unterminated-comment"),
        *("unterminated-embedded-c", "missing-argument", "nested-argument", "bad-macro"),
        *("macro-arguments", "macro-recursion", "expansion-too-large", "unknown-operator"),
        *("bad-condition", "stray-conditional", "unterminated-conditional"),
    }
)


def report(
    tokens: Sequence[Token], at: int, token: Token, table: Table, faults: Diagnostics
) -> None:
    """Reports that `token`, number `at` of an item (or its end), is not possible there."""
    if _is_consequence(tokens[0], token, faults):
        return
    expected = _expected(tokens[:at], table)
    previous = tokens[at - 1] if at else None
    if previous and previous.kind == "RPAR" and expected == {"LBRACKET"}:
        start = _histogram(tokens, at - 1)
        if start is not None:
            faults.error(
                "histogram-as-value",
                "a histogram is no value",
                Span(start.source, start.start, max(start.end, previous.span.end)),
                hint="print it, index it, or loop over it with foreach",
            )
            return
    opener = _unclosed(tokens[:at])
    labels = []
    closes = opener is not None and _OPENERS[opener.kind] in expected
    if opener is not None and closes and token.kind in (END, "RBRACE", "RBRACKET", "RPAR"):
        labels = [Label(opener.span, "opened here")]
    message = f"expected {_phrase(expected)}"
    if token.kind == END:
        what = _item(tokens)
        faults.error(
            "unexpected-end",
            f"{what} ends too early: {message}",
            token.span,
            labels=labels,
            hint=_hint(tokens, at, token, expected),
        )
        return
    faults.error(
        "syntax",
        f"{message}, found {_found(token)}",
        token.span,
        labels=labels,
        hint=_hint(tokens, at, token, expected),
    )


def _is_consequence(first: Token, token: Token, faults: Diagnostics) -> bool:
    """Whether an earlier mistake in this item has left out or put in tokens."""
    start, end = outermost(first.span), outermost(token.span)
    for fault in faults:
        place = outermost(fault.span)
        if (
            fault.slug in _BREAKING
            and place.source is end.source
            and start.start <= place.start
            and (place.start <= end.end or (token.kind == END and fault.slug in _SWALLOWING))
        ):
            return True
    return False


def _hint(tokens: Sequence[Token], at: int, token: Token, expected: set[str]) -> str | None:
    previous = tokens[at - 1] if at else None
    kind, text = token.kind, str(token.value)
    if not at or (expected >= {"PROBE", "GLOBAL"}):
        if kind == "IDENT" and (near := did_you_mean(text, _ITEM_STARTS)):
            return near
        if kind == "SEMICOLON":
            return "only a global may end with ';'"
        return "a script consists of probes, functions and globals" if kind != END else None
    assert previous is not None
    if kind in KEYWORDS.values() and expected & {"IDENT"}:
        if kind == "ELSE":
            return "an 'else' follows its 'if' directly: is there a ';' too many before it?"
        return f"'{text}' is a word of the language and cannot be a name"
    if kind == "ELSE":
        return "there is no 'if' before this 'else'"
    if kind == "TARGET" and "IDENT" in expected:
        return "context variables belong to the kernel; leave out the '$'"
    if expected == {"STRING"}:
        if previous.kind == "MATCH":
            return "a regular expression is a literal: it is compiled with the script"
        return "this has to be a literal, known when the script is compiled"
    if kind == "COLON" and at + 1 < len(tokens) and tokens[at + 1].kind == "EQUAL":
        return "'=' assigns"
    words = [t.kind for t in tokens[:at]]
    if kind == "COMMA" and words[-3:] == ["FOREACH", "LPAR", "IDENT"]:
        return "several keys stand in brackets: foreach ([a, b] in array)"
    if kind == "RPAR" and words[-5:] == ["FOR", "LPAR", "IDENT", "IN", "IDENT"]:
        return f"a loop over an array is: foreach ({tokens[at - 3].value} in {previous.value})"
    if kind == "IDENT" and expected == {"NUMBER", "STRING", "MINUS"}:
        if previous.kind == "EQUAL":
            return "an initial value is a literal; what is computed is assigned in 'probe begin'"
        return f'names stand in quotes: "{text}"'
    if kind == "MATCH":
        return "put brackets around the other comparison"
    if previous.kind == "IDENT" and kind in ("IDENT", "LBRACE", "NUMBER"):
        near = did_you_mean(str(previous.value), [w for w in KEYWORDS if w not in _ITEM_STARTS])
        return near or None
    if previous.kind == "LPAR" and kind == "RPAR" and at > 1 and tokens[at - 2].kind == "PRINT":
        return "println() prints an empty line"
    if expected == {"CATCH"}:
        return "a try needs its catch: try { ... } catch { ... }"
    return None


def _expected(tokens: Iterable[Token], table: Table) -> set[str]:
    """Every terminal that could follow these tokens."""
    states = [0]
    for token in tokens:
        assert _feed(states, token.kind, table)
    return {kind for kind in table.terminals if _feed(states.copy(), kind, table)}


def _feed(states: list[int], kind: str, table: Table) -> bool:
    """Moves the automaton by one terminal; False if it cannot."""
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
    left = set(expected)
    words = []
    if left >= _STATEMENT | _EXPRESSION:
        # inside a block: what could go on with the statement before is not worth telling
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
    """The innermost bracket that is still open."""
    opened: list[Token] = []
    for token in tokens:
        if token.kind in _OPENERS:
            opened.append(token)
        elif opened and token.kind == _OPENERS[opened[-1].kind]:
            opened.pop()
    return opened[-1] if opened else None


def _histogram(tokens: Sequence[Token], close: int) -> Span | None:
    """The operator whose brackets end at token `close`, if it is a histogram."""
    depth = 0
    for at in range(close, 0, -1):
        depth += (tokens[at].kind == "RPAR") - (tokens[at].kind == "LPAR")
        if not depth:
            before = tokens[at - 1]
            return before.span if before.kind in _HISTOGRAMS else None
    return None
