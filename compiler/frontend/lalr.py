# SPDX-License-Identifier: GPL-2.0-or-later
"""The LALR automaton: the tokens of an item to its syntax trees, or to one diagnostic.

    Automaton(table, builder, faults).run([PROBE, COMPONENT, ...])  ->  [Probe(...)]

It uses no recursion, so nothing that a script contains can overflow a stack; the tree it returns is
at most MAX_DEPTH levels deep, so that later passes may recurse over it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from compiler.frontend.grammar_table import END, Table
from compiler.frontend.lexer import Token
from compiler.ir.diagnostics import Diagnostics
from compiler.ir.source import Span

MAX_DEPTH = 256


class Automaton:
    """The table with the actions of one builder.

    `builder` has a method for each action of the table, called with the values of the symbols, a
    terminal's being its Token.
    """

    def __init__(self, table: Table, builder: object, faults: Diagnostics) -> None:
        self.table = table
        self.faults = faults
        self.reductions: list[tuple[Callable[..., Any] | None, str, int, int]] = [
            (getattr(builder, r.action) if r.action else None, r.symbol, r.size, r.deepens)
            for r in table.rules
        ]

    def run(self, tokens: Sequence[Token]) -> Any:
        """What the builder makes of the start symbol; None after reporting why there is nothing."""
        table, reductions = self.table, self.reductions
        actions, gotos, shortcuts = table.actions, table.gotos, table.shortcuts
        states, values, depths = [0], [cast(Any, None)], [0]
        last = tokens[-1].span
        end = Token(END, "", Span(last.source, last.end, last.end))
        state = 0
        for at, token in enumerate((*tokens, end)):
            kind = token[0]
            while True:
                action = actions[state].get(kind)
                if action is None:
                    from compiler.frontend.syntax_errors import report

                    report(tokens, at, token, table, self.faults)
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
                    below = states[-2]
                    further = shortcuts.get((below, state, kind))
                    if further is None:
                        further = _pass_on(table, below, state, kind)
                        shortcuts[below, state, kind] = further
                    state = states[-1] = further
                    continue
                if size == 1:
                    values[-1] = build(values[-1])
                    if deepens:
                        depths[-1] += 1
                elif size:
                    values[-size:] = (build(*values[-size:]),)
                    depth = max(depths[-size:]) + deepens
                    depths[-size:] = (depth,)
                    del states[1 - size :]
                    if depth > MAX_DEPTH:
                        self.too_deep(token)
                        return None
                else:
                    values.append(build())
                    depths.append(0)
                    states.append(0)
                state = states[-1] = gotos[states[-2]][symbol]
        raise AssertionError("the table has no end")

    def too_deep(self, token: Token) -> None:
        self.faults.error(
            "nesting-too-deep",
            f"this is nested more than {MAX_DEPTH} levels deep",
            token.span,
            hint="split it: assign a part to a variable, or write a function",
        )


def _pass_on(table: Table, below: int, state: int, kind: str) -> int:
    """The state after every reduction of one symbol without a value of its own."""
    while (action := table.actions[state].get(kind)) is not None and action < 0:
        rule = table.rules[-action - 1]
        if rule.action is not None:
            break
        state = table.gotos[below][rule.symbol]
    return state
