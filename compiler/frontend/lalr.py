# SPDX-License-Identifier: GPL-2.0-or-later
"""The LALR(1) parser: turns the tokens of an item into syntax trees, or reports one syntax error.

    LalrParser(table, Actions(...), diagnostics).parse([PROBE, COMPONENT, ...])  ->  [Probe(...)]

The parser does not recurse, so no script can overflow the stack. The trees that it returns are at
most MAX_DEPTH levels deep, so later passes may recurse over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from compiler.frontend.grammar_table import END, Table
from compiler.frontend.lexer import Token
from compiler.ir.diagnostics import Diagnostics
from compiler.ir.source import Span

MAX_DEPTH = 256


class LalrParser:
    """A grammar's table together with its semantic actions.

    `actions` has one method for each action that the table names. The parser calls it with the
    values of all symbols of the rule; the value of a terminal is its Token.
    """

    def __init__(self, table: Table, actions: object, diagnostics: Diagnostics) -> None:
        self.table = table
        self.diagnostics = diagnostics
        self.reductions: list[tuple[Callable[..., Any] | None, str, int, int]] = [
            (getattr(actions, r.action) if r.action else None, r.symbol, r.size, r.deepens)
            for r in table.rules
        ]

    def parse(self, tokens: Sequence[Token]) -> Any:
        """Returns the value of the start symbol, or None after it has reported a syntax error.

        `tokens` is not empty. This is the inner loop of the front end, so it stays one function.

        Invariant: `states`, `values` and `depths` are one stack in three lists of equal length.
        Entry 0 is the start state, which has no value. `depths` is how deep the tree of each value
        is. `state` is `states[-1]`.
        """
        table, reductions = self.table, self.reductions
        transitions, gotos, shortcuts = table.actions, table.gotos, table.shortcuts
        states, values, depths = [0], [cast(Any, None)], [0]
        last = tokens[-1].span
        end = Token(END, "", Span(last.source, last.end, last.end))
        state = 0
        for at, token in enumerate((*tokens, end)):
            kind = token[0]
            while True:
                action = transitions[state].get(kind)
                if action is None:
                    self._syntax_error(tokens, at, token)
                    return None
                if action > 0:  # shift
                    state = action - 1
                    states.append(state)
                    values.append(token)
                    depths.append(0)
                    break
                if action == 0:  # accept
                    return values[-1]
                build, symbol, size, deepens = reductions[-action - 1]
                if build is None:
                    # The rule passes on the value of its one symbol, so only the state changes.
                    below = states[-2]
                    further = shortcuts.get((below, state, kind))
                    if further is None:
                        further = _follow_unit_rules(table, below, state, kind)
                        shortcuts[below, state, kind] = further
                    state = states[-1] = further
                    continue
                if size == 1:
                    # A tree deepened here is checked when a rule of more symbols takes it.
                    values[-1] = build(values[-1])
                    if deepens:
                        depths[-1] += 1
                elif size:
                    values[-size:] = (build(*values[-size:]),)
                    depth = max(depths[-size:]) + deepens
                    depths[-size:] = (depth,)
                    del states[1 - size :]
                    if depth > MAX_DEPTH:
                        self._too_deep(token)
                        return None
                else:
                    values.append(build())
                    depths.append(0)
                    states.append(0)
                state = states[-1] = gotos[states[-2]][symbol]
        raise AssertionError("the table has no end")

    def _syntax_error(self, tokens: Sequence[Token], at: int, token: Token) -> None:
        from compiler.frontend.syntax_errors import report_syntax_error  # rarely needed

        report_syntax_error(tokens, at, token, self.table, self.diagnostics)

    def _too_deep(self, token: Token) -> None:
        self.diagnostics.error(
            "nesting-too-deep",
            f"this is nested more than {MAX_DEPTH} levels deep",
            token.span,
            hint="split it: assign a part to a variable, or write a function",
        )


def _follow_unit_rules(table: Table, below: int, state: int, kind: str) -> int:
    """The state after all reductions by rules that only pass on the value of one symbol.

    `below` is the state under `state` on the stack, `kind` the next terminal.
    """
    while (action := table.actions[state].get(kind)) is not None and action < 0:
        rule = table.rules[-action - 1]
        if rule.action is not None:
            break
        state = table.gotos[below][rule.symbol]
    return state
