# SPDX-License-Identifier: GPL-2.0-or-later
"""The LALR(1) table of the grammar: built by lark, kept in a file beside the package.

    load()  ->  Table(rules=(Rule("binary", "sum", 3, True), ...), actions=({"PLUS": 17, ...}, ...))

lark analyses `grammar.lark` once, at package time (`python -m compiler.frontend.parser --build-table`). The
file is JSON with the grammar's hash in it, so a stale one is never used and reading it executes
nothing. Without a file that fits, the table is built in memory, ten times slower.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from runtime.support.record import field, record

GRAMMAR = Path(__file__).with_name("grammar.lark")
TABLE = Path(__file__).with_name("grammar.bin")
END = "$END"
_FORMAT = 1


@record
class Rule:
    """One alternative: what to call for its value (None passes the only one on), the symbol it
    makes, how many symbols it takes, and whether its value is one level deeper than they are."""

    action: str | None
    symbol: str
    size: int
    deepens: bool


@record
class Table:
    """The automaton. State 0 is the start.

    `actions[state][terminal]` is s + 1 to shift and go to state s, -(r + 1) to reduce by rule r,
    and 0 to accept; `gotos[state][symbol]` is the state after a reduction. `shortcuts` is filled
    while parsing: what a state comes to, for a terminal, after all reductions that only pass a
    value on. It is a pure function of the table, kept because ten levels of precedence lie between
    a name and a statement.
    """

    rules: tuple[Rule, ...]
    actions: tuple[dict[str, int], ...]
    gotos: tuple[dict[str, int], ...]
    shortcuts: dict[tuple[int, int, str], int] = field(default_factory=dict, repr=False)

    @property
    def terminals(self) -> set[str]:
        return {terminal for actions in self.actions for terminal in actions}


@cache
def load() -> Table:
    """The table, from the file if it was built from this grammar."""
    text = GRAMMAR.read_text(encoding="utf-8")
    return read(TABLE, _hash(text)) or build(text)


def read(path: Path, grammar_hash: str | None = None) -> Table | None:
    """The table in a file, or None if there is none that fits this grammar and this code."""
    try:
        stored = json.loads(path.read_bytes())
        if stored["format"] != _FORMAT:
            return None
        if grammar_hash is not None and stored["grammar"] != grammar_hash:
            return None
        rows: list[dict[str, int]] = stored["rows"]
        return Table(
            tuple(Rule(*rule) for rule in stored["rules"]),
            tuple(rows[number] for number in stored["actions"]),
            tuple(rows[number] for number in stored["gotos"]),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def write(path: Path = TABLE) -> Table:
    """Builds the table and stores it; the file appears whole or not at all. Raises OSError."""
    import tempfile  # only here: every start of the compiler imports this module

    text = GRAMMAR.read_text(encoding="utf-8")
    table = build(text)
    rows: list[dict[str, int]] = []
    numbers: dict[str, int] = {}

    def number(row: dict[str, int]) -> int:
        key = json.dumps(row, sort_keys=True)
        if key not in numbers:
            numbers[key] = len(rows)
            rows.append(row)
        return numbers[key]

    stored = {
        "format": _FORMAT,
        "grammar": _hash(text),
        "rules": [[r.action, r.symbol, r.size, r.deepens] for r in table.rules],
        "actions": [number(row) for row in table.actions],
        "gotos": [number(row) for row in table.gotos],
        "rows": rows,
    }
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(stored, file, separators=(",", ":"), sort_keys=True)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return table


def build(grammar: str) -> Table:
    """Analyses a grammar. Raises lark.exceptions.GrammarError for one that is not LALR(1)."""
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Keeps lark from building a lexer: every terminal is declared, none is defined."""

        def __init__(self, lexer_conf: Any) -> None:
            pass

        def lex(self, lexer_state: Any, parser_state: Any) -> Any:
            raise NotImplementedError

    analysed: Any = Lark(grammar, parser="lalr", lexer=NoLexer)
    # The one place that knows how lark keeps its table, the same in 1.1.5 and 1.3.1: states map a
    # symbol to (Shift, state) or (Reduce, rule), and terminals and rules share the mapping.
    lark_table = analysed.parser.parser._parse_table
    start, end = lark_table.start_states["start"], lark_table.end_states["start"]
    order = [start, *sorted(state for state in lark_table.states if state != start)]
    place = {state: number for number, state in enumerate(order)}
    rules: dict[Any, int] = {}
    actions: list[dict[str, int]] = []
    gotos: list[dict[str, int]] = []
    for state in order:
        shifts: dict[str, int] = {}
        goes: dict[str, int] = {}
        for symbol, (action, argument) in sorted(lark_table.states[state].items()):
            if str(action) == "Reduce":
                shifts[symbol] = -rules.setdefault(argument, len(rules)) - 1
            elif symbol == END:
                shifts[symbol] = 0
            elif symbol.isupper():
                shifts[symbol] = place[argument] + 1
            else:
                goes[symbol] = place[argument]
        if state == end:
            shifts[END] = 0
        actions.append(shifts)
        gotos.append(goes)
    return Table(tuple(_rule(rule) for rule in rules), tuple(actions), tuple(gotos))


def _rule(rule: Any) -> Rule:
    name: str | None = rule.alias
    size = len(rule.expansion)
    if name is None and size != 1:
        raise ValueError(f"an alternative of '{rule.origin.name}' has no name: {rule}")
    deepens = name is not None and not name.startswith(("list_", "pass_"))
    return Rule(name, rule.origin.name, size, deepens)


def _hash(grammar: str) -> str:
    return hashlib.sha256(grammar.encode()).hexdigest()
