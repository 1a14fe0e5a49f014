# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be told of program nodes by looking at them: effects, errors, what they call and touch.

can_fail(<a / b>, fallible)  -> True      has_effect(<n++>, pure) -> True
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import TypeAlias

from compiler import program as p

Node: TypeAlias = "p.Expr | p.Stmt | p.Buckets"

_NO_NODES = (p.Local, p.Sort)
# Fields of each class of nodes that may hold nodes: walking is what most passes do all the time.
_FIELDS: dict[type, tuple[str, ...]] = {
    kind: tuple(f.name for f in fields(kind) if f.name not in ("span", "type", "op"))
    for kind in vars(p).values()
    if isinstance(kind, type)
    and is_dataclass(kind)
    and kind.__module__ == p.__name__
    and kind not in _NO_NODES
}


def children(node: Node) -> list[Node]:
    """The nodes directly in a node, in the order they run."""
    found: list[Node] = []
    for name in _FIELDS[type(node)]:
        value = getattr(node, name)
        if type(value) in _FIELDS:
            found.append(value)
        elif type(value) is tuple:
            _gather(value, found)
    return found


def _gather(values: tuple[object, ...], found: list[Node]) -> None:
    for value in values:
        if type(value) in _FIELDS:
            found.append(value)  # type: ignore[arg-type]
        elif type(value) is tuple:
            _gather(value, found)


def walk(*nodes: Node) -> Iterator[Node]:
    """Nodes and all that is in them, outer ones first."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def calls(stmts: Sequence[Node]) -> set[str]:
    """Symbols of the functions that are called."""
    return {node.function for node in walk(*stmts) if isinstance(node, p.Call)}


def body_of(f: p.Function) -> p.Stmts:
    return f.body.stmts if f.body is not None else ()


def reachable(stmts: Sequence[Node], functions: dict[str, p.Function]) -> set[str]:
    """Functions called, and those that they call."""
    found: set[str] = set()
    waiting = calls(stmts)
    while waiting:
        symbol = waiting.pop()
        if symbol not in found:
            found.add(symbol)
            waiting |= calls(body_of(functions[symbol]))
    return found


def recursive_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that can be under way twice."""
    by_symbol = {f.symbol: f for f in functions}
    return frozenset(f.symbol for f in functions if f.symbol in reachable(body_of(f), by_symbol))


def _own_failure(node: Node) -> bool:
    match node:
        case p.Arithmetic(op="/" | "%", right=right):
            return not (isinstance(right, p.Number) and right.value != 0)
        case p.Assign(op="/" | "%", value=value):
            return not (isinstance(value, p.Number) and value.value != 0)
        case p.Extract(extractor="min" | "max" | "avg" | "variance"):
            return True
        case p.Deref() | p.CharsAt() | p.Loop() | p.Foreach() | p.ForeachBucket():
            return True
        case p.Bucket() | p.EmbeddedExpr():
            return True
        case _:
            return False


def can_fail(node: Node, fallible: frozenset[str]) -> bool:
    """Whether running a node may end in a script error."""
    return any(
        _own_failure(n) or (isinstance(n, p.Call) and n.function in fallible) for n in walk(node)
    )


def has_effect(node: Node, pure: frozenset[str]) -> bool:
    """Whether running a node does more than give its value."""
    for n in walk(node):
        match n:
            case p.Assign() | p.Increment() | p.Accumulate() | p.Print() | p.Delete():
                return True
            case p.Next() | p.Return() | p.EmbeddedExpr():
                return True
            case p.Call(function=symbol) if symbol not in pure:
                return True
    return False


def fallible_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that may end in a script error; recursive ones may nest too deep."""
    found = frozenset(f.symbol for f in functions if f.fallible) | recursive_functions(functions)
    while True:
        grown = found | {f.symbol for f in functions if any(can_fail(s, found) for s in body_of(f))}
        if grown == found:
            return found
        found = grown


def pure_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions whose only effect is their result."""
    found = frozenset(f.symbol for f in functions if f.pure or f.body is not None)
    while True:
        kept = frozenset(
            f.symbol
            for f in functions
            if f.symbol in found
            and (f.body is None or not any(_outward(s, found) for s in f.body.stmts))
        )
        if kept == found:
            return found
        found = kept


def _outward(stmt: p.Stmt, pure: frozenset[str]) -> bool:
    """An effect that is seen outside the function's own locals."""
    for n in walk(stmt):
        match n:
            case p.Assign(target=p.GlobalRef()) | p.Increment(target=p.GlobalRef()):
                return True
            case p.Accumulate() | p.Print() | p.Delete() | p.EmbeddedExpr():
                return True
            case p.Call(function=symbol) if symbol not in pure:
                return True
    return False
