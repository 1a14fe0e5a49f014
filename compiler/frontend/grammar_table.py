# SPDX-License-Identifier: GPL-2.0-or-later
"""The LALR(1) table of the grammar. lark builds it; a file next to this module stores it.

    load()  ->  Table(rules=(Rule("binary", "sum", 3, True), ...), actions=({"PLUS": 17, ...}, ...))

lark analyses `grammar.lark` once, when stapwatch is packaged (`python -m compiler.frontend.parser
--build-table`). The file is JSON, so reading it executes nothing, and it contains the grammar's hash,
so a stale file is never used. Without a valid file, `load` builds the table in memory, which takes
more than ten times as long.
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
    """One alternative of the grammar.

    `action` is the method that makes its value; None passes on the value of its only symbol. The
    rule reduces `size` symbols to `symbol`. `deepens` is set if its value is a tree that is one
    level deeper than the values of its symbols.
    """

    action: str | None
    symbol: str
    size: int
    deepens: bool


@record
class Table:
    """The LALR(1) parsing table. State 0 is the start state.

    `actions[state][terminal]` is s + 1 to shift and go to state s, -(r + 1) to reduce by rule r,
    and 0 to accept. `gotos[state][symbol]` is the state after a reduction.

    `shortcuts` caches a pure function of the table, and fills while parsing: from (state below,
    state, next terminal) to the state after all reductions that only pass on a value. Ten levels of
    precedence lie between a name and a statement, so most reductions are of this kind.
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
    """Returns the table, from the file if that was built from this grammar."""
    text = GRAMMAR.read_text(encoding="utf-8")
    return read(TABLE, _hash(text)) or build(text)


def read(path: Path, grammar_hash: str | None = None) -> Table | None:
    """Returns the table in a file, or None if the file is missing, invalid or of another grammar."""
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
    """Builds the table and stores it. The file is replaced atomically. Raises OSError."""
    import tempfile  # here, since each compile imports this module and never calls write()

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
    """Builds the table of a grammar. Raises lark.exceptions.GrammarError if it is not LALR(1)."""
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Keeps lark from building a lexer: the grammar declares its terminals and defines none."""

        def __init__(self, lexer_conf: Any) -> None:
            pass

        def lex(self, lexer_state: Any, parser_state: Any) -> Any:
            raise NotImplementedError

    analysed: Any = Lark(grammar, parser="lalr", lexer=NoLexer)
    return _converted(analysed.parser.parser._parse_table)


def _converted(lark_table: Any) -> Table:
    """Converts lark's table, which is the same in lark 1.1.5 and 1.3.1.

    A state maps each symbol, terminal or not, to (Shift, state) or (Reduce, rule).
    """
    start, end = lark_table.start_states["start"], lark_table.end_states["start"]
    order = _in_order(lark_table.states, start)
    numbers = {state: number for number, state in enumerate(order)}
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
                shifts[symbol] = numbers[argument] + 1
            else:
                goes[symbol] = numbers[argument]
        if state == end:
            shifts[END] = 0
        actions.append(shifts)
        gotos.append(goes)
    return Table(tuple(_rule(rule) for rule in rules), tuple(actions), tuple(gotos))


def _in_order(states: Any, start: Any) -> list[Any]:
    """The states in the order in which they are reached: lark's own numbers are others in each process."""
    order = {start: None}
    waiting = [start]
    for state in waiting:
        for _, (action, argument) in sorted(states[state].items()):
            if str(action) != "Reduce" and argument not in order:
                order[argument] = None
                waiting.append(argument)
    return waiting


def _rule(rule: Any) -> Rule:
    name: str | None = rule.alias
    size = len(rule.expansion)
    if name is None and size != 1:
        raise ValueError(f"an alternative of '{rule.origin.name}' has no action: {rule}")
    deepens = name is not None and not name.startswith(("list_", "pass_"))
    return Rule(name, rule.origin.name, size, deepens)


def _hash(grammar: str) -> str:
    return hashlib.sha256(grammar.encode()).hexdigest()
