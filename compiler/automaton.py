# SPDX-License-Identifier: GPL-2.0-or-later
"""The LALR automaton: the tokens of an item to its syntax trees, or to one diagnostic.

    run([IDENT, EQUAL, NUMBER, ...], table, builder, faults)  ->  the value of the start symbol

It uses no recursion, so nothing that a script contains can overflow a stack; the tree it returns is
at most MAX_DEPTH levels deep, so that later passes may recurse over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from compiler.diagnostics import Diagnostics
from compiler.grammar_table import END, Table
from compiler.lexer import Token
from compiler.mistakes import report
from compiler.source import Span

MAX_DEPTH = 256


def run(tokens: Sequence[Token], table: Table, builder: object, faults: Diagnostics) -> Any:
    """What the builder makes of the start symbol; None after reporting why there is nothing.

    `builder` has a method for each action of the table, called with the values of the symbols, a
    terminal's being its Token.
    """
    reductions: list[tuple[Callable[..., Any] | None, str, int, int]] = [
        (
            getattr(builder, rule.action) if rule.action else None,
            rule.symbol,
            rule.size,
            rule.deepens,
        )
        for rule in table.rules
    ]
    actions, gotos, shortcuts = table.actions, table.gotos, table.shortcuts
    states = [0]
    values: list[Any] = [None]
    depths = [0]
    state = 0
    last = tokens[-1].span
    end = Token(END, "", Span(last.source, last.end, last.end))
    for at, token in enumerate((*tokens, end)):
        kind = token[0]
        while True:
            action = actions[state].get(kind)
            if action is None:
                report(tokens, at, token, table, faults)
                return None
            if action > 0:
                state = action - 1
                states.append(state)
                values.append(token)
                depths.append(0)
                break
            if action == 0:
                return values[-1]
            build, symbol, size, deepens = reductions[-action - 1]
            if build is None:
                key = (states[-2], state, kind)
                further = shortcuts.get(key)
                if further is None:
                    further = shortcuts[key] = _pass_on(table, states[-2], state, kind)
                state = states[-1] = further
                continue
            if size == 1:
                values[-1] = build(values[-1])
                if deepens:
                    depths[-1] += 1
            elif size:
                values[-size:] = [build(*values[-size:])]
                depth = max(depths[-size:]) + deepens
                depths[-size:] = [depth]
                del states[1 - size :]
                if depth > MAX_DEPTH:
                    faults.error(
                        "nesting-too-deep",
                        f"this is nested more than {MAX_DEPTH} levels deep",
                        token.span,
                        hint="split it: assign a part to a variable, or write a function",
                    )
                    return None
            else:
                values.append(build())
                depths.append(0)
                states.append(0)
            state = states[-1] = gotos[states[-2]][symbol]
    raise AssertionError("the table has no end")


def _pass_on(table: Table, below: int, state: int, kind: str) -> int:
    """The state after every reduction of one symbol without a value of its own."""
    while (action := table.actions[state].get(kind)) is not None and action < 0:
        rule = table.rules[-action - 1]
        if rule.action is not None:
            break
        state = table.gotos[below][rule.symbol]
    return state
