# SPDX-License-Identifier: GPL-2.0-or-later
"""Walking and rewriting the program tree, without knowing what its nodes mean.

walk(<a + f(b)>)   -> a + f(b), a, f(b), b       calls(...) -> {"f"}
map_children(<a + b>, rename, ...) -> <rename(a) + rename(b)>
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeGuard, TypeVar

from compiler.ir import program as p
from runtime.support.record import fields, is_record, replace

Node: TypeAlias = "p.Expr | p.Stmt | p.Buckets | p.Memory"
_N = TypeVar("_N")

_NO_NODES = (p.Local, p.Sort)


class _NodeFields(dict[type, "tuple[str, ...] | None"]):
    """For each class met so far, the fields that may hold nodes; None if the class is not a node.

    The passes spend most of their time walking, so this is looked up and not computed.
    """

    def __missing__(self, cls: type) -> tuple[str, ...] | None:
        found = None
        if cls.__module__ == p.__name__ and cls not in _NO_NODES and is_record(cls):
            found = tuple(f.name for f in fields(cls) if f.name not in ("span", "type"))
        self[cls] = found
        return found


_NODE_FIELDS = _NodeFields()


def is_node(value: object) -> TypeGuard[Node]:
    """Whether a value is an expression or a statement of the program."""
    return _NODE_FIELDS[type(value)] is not None


def children(node: Node) -> list[Node]:
    """The nodes directly in a node, in the order they run."""
    found: list[Node] = []
    for name in _NODE_FIELDS[type(node)] or ():
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


def walk(*nodes: Node) -> Iterator[Node]:
    """The given nodes and all nodes in them, outer ones first."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


# ---------------------------------------------------------------- rewriting


def map_children(
    node: _N, change: Callable[[Any], Any], change_block: Callable[[p.Stmts], p.Stmts]
) -> _N:
    """A node with its children replaced: blocks of statements by `change_block`, which may drop and
    add some, all other nodes by `change`. The node itself if nothing changes.
    """
    changes: dict[str, object] = {}
    for name in _NODE_FIELDS[type(node)] or ():
        before = getattr(node, name)
        if type(before) is tuple:
            after = _map_tuple(before, change, change_block)
        else:
            after = change(before) if is_node(before) else before
        if after is not before:
            changes[name] = after
    return replace(node, **changes) if changes else node


def _map_tuple(
    values: tuple[Any, ...],
    change: Callable[[Any], Any],
    change_block: Callable[[p.Stmts], p.Stmts],
) -> tuple[Any, ...]:
    if values and isinstance(values[0], p.Stmt):
        after = change_block(values)
    else:
        after = tuple(change(value) if is_node(value) else value for value in values)
    same = len(after) == len(values) and all(map(_is, after, values))
    return values if same else after


def _is(one: object, other: object) -> bool:
    return one is other


def rewritten(stmts: p.Stmts, change: Callable[[Any], Any]) -> p.Stmts:
    """Statements with every node passed through `change`, inner ones first; None drops a statement."""

    def rewrite(node: Any) -> Any:
        return change(map_children(node, rewrite, rewrite_block))

    def rewrite_block(block: p.Stmts) -> p.Stmts:
        return tuple(new for s in block if (new := rewrite(s)) is not None)

    return rewrite_block(stmts)


# ---------------------------------------------------------------- functions and probes


def calls(stmts: Sequence[Node]) -> set[str]:
    """The symbols of the functions that are called."""
    return {node.function for node in walk(*stmts) if isinstance(node, p.Call)}


def body_of(f: p.Function) -> p.Stmts:
    """A function's statements. C that names globals is shown as one statement that uses them."""
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
    """The symbols of the functions that are called, directly or by other functions."""
    found: set[str] = set()
    waiting = calls(stmts)
    while waiting:
        symbol = waiting.pop()
        if symbol not in found:
            found.add(symbol)
            waiting |= calls(body_of(functions[symbol]))
    return found


def with_callees(stmts: Sequence[Node], functions: dict[str, p.Function]) -> list[Node]:
    """The given nodes, and the bodies of all functions that they reach."""
    return [*stmts, *(s for f in reachable(stmts, functions) for s in body_of(functions[f]))]
