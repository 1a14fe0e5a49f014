# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be told of program nodes by looking at them: effects, errors, what they call and touch.

can_fail(<a / b>, fallible)  -> True      has_effect(<n++>, pure) -> True
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, TypeGuard

from compiler.ir import program as p
from runtime.events.printf import Kind, arguments, parse
from runtime.support.lazy_regex import pattern
from runtime.support.record import fields, is_record, replace

Node: TypeAlias = "p.Expr | p.Stmt | p.Buckets | p.Memory"

_NO_NODES = (p.Local, p.Sort)
_MATCH = pattern(r"\bc->match\b|\bsw_matched\b|\bsw_groups\b")


class _Kinds(dict[type, "tuple[str, ...] | None"]):
    """For each class that was met, its fields that may hold nodes; None for what is no node.

    Walking is what most passes do most of the time.
    """

    def __missing__(self, kind: type) -> tuple[str, ...] | None:
        found = None
        if kind.__module__ == p.__name__ and kind not in _NO_NODES and is_record(kind):
            found = tuple(f.name for f in fields(kind) if f.name not in ("span", "type"))
        self[kind] = found
        return found


_KINDS = _Kinds()


def children(node: Node) -> list[Node]:
    """The nodes directly in a node, in the order they run."""
    found: list[Node] = []
    for name in _KINDS[type(node)] or ():
        value = getattr(node, name)
        if type(value) is tuple:
            _gather(value, found)
        elif is_node(value):
            found.append(value)
    return found


def _gather(values: tuple[object, ...], found: list[Node]) -> None:
    for value in values:
        if type(value) is tuple:
            _gather(value, found)
        elif is_node(value):
            found.append(value)


def is_node(value: object) -> TypeGuard[Node]:
    """Whether something is an expression or a statement of the program."""
    return _KINDS[type(value)] is not None


def walk(*nodes: Node) -> Iterator[Node]:
    """Nodes and all that is in them, outer ones first."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def rewritten(stmts: p.Stmts, change: Callable[[Node], Node | None]) -> p.Stmts:
    """Statements with every node passed through `change`, inner ones first; None drops a statement."""
    found = (_rewritten(s, change) for s in stmts)
    return tuple(s for s in found if s is not None)  # type: ignore[misc]


def _rewritten(node: Node, change: Callable[[Node], Node | None]) -> Node | None:
    changed: dict[str, object] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, tuple) and any(is_node(item) for item in value):
            pairs = [(x, _rewritten(x, change) if is_node(x) else x) for x in value]
            changed[field.name] = tuple(new for old, new in pairs if new is not None or old is None)
        elif is_node(value):
            changed[field.name] = _rewritten(value, change)
    return change(replace(node, **changed) if changed else node)


def calls(stmts: Sequence[Node]) -> set[str]:
    """Symbols of the functions that are called."""
    return {node.function for node in walk(*stmts) if isinstance(node, p.Call)}


def body_of(f: p.Function) -> p.Stmts:
    """A function's statements; C that names globals counts as one that uses them."""
    if f.body is not None:
        return f.body.stmts
    if not (f.reads or f.writes):
        return ()
    touch = p.EmbeddedExpr("", p.LONG, f.span, f.pure, f.fallible, f.reads, f.writes)
    return (p.ExprStmt(touch, f.span),)


def roots_of(probe: p.Probe) -> list[Node]:
    """All that a probe runs: its body, what it saves at a function's entry, and its condition."""
    condition = [] if probe.condition is None else [probe.condition]
    return [*probe.body.stmts, *probe.entry, *condition]


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


def asks_for_match(code: str) -> bool:
    """Whether a function's C looks at what a regular expression has matched."""
    return bool(_MATCH.search(code))


def recursive_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that can be under way twice."""
    by_symbol = {f.symbol: f for f in functions}
    return frozenset(f.symbol for f in functions if f.symbol in reachable(body_of(f), by_symbol))


def reads_memory(form: str) -> bool:
    """Whether a format has a %m or %M."""
    return any(a.kind is Kind.MEMORY for a in arguments(parse(form)))


def paying_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that call functions of the script: they pay for their statements as loops do, or a few
    that call each other often would run for ever."""
    scripted = {f.symbol for f in functions if f.body is not None}
    return frozenset(f.symbol for f in functions if calls(body_of(f)) & scripted)


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
        case p.Bucket() | p.Drawing() | p.Memory() | p.EmbeddedExpr(fallible=True) | p.Fail():
            return True
        case p.Store(place=p.Deref()):
            return True
        case p.Format(format=text):
            return reads_memory(text)
        case p.Print(args=args):
            return any(isinstance(a, p.Buckets) for a in args)
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
            case p.Next() | p.Return() | p.Fail() | p.EmbeddedExpr(pure=False) | p.Store():
                return True
            case p.Match(captures=True):
                return True
            case p.Call(function=symbol) if symbol not in pure:
                return True
    return False


def _fills(node: Node) -> bool:
    """Whether it may find an array full, which is an error in a session."""
    match node:
        case (
            p.Assign(target=p.GlobalRef(keys=keys))
            | p.Increment(target=p.GlobalRef(keys=keys))
            | p.Accumulate(target=p.GlobalRef(keys=keys))
        ):
            return bool(keys)
        case _:
            return False


def fallible_functions(functions: Sequence[p.Function]) -> frozenset[str]:
    """Functions that may end in a script error: recursive ones may nest too deep."""
    found = frozenset(f.symbol for f in functions if f.fallible)
    found |= recursive_functions(functions) | paying_functions(functions)
    found |= {f.symbol for f in functions if any(_fills(n) for n in walk(*body_of(f)))}
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
            case p.Accumulate() | p.Print() | p.Delete() | p.Store():
                return True
            case p.EmbeddedExpr(pure=False):
                return True
            case p.Match(captures=True) | p.Fail():
                return True
            case p.Call(function=symbol) if symbol not in pure:
                return True
    return False
