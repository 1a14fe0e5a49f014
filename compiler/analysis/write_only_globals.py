# SPDX-License-Identifier: GPL-2.0-or-later
"""Globals that handlers write and no handler reads: a session prints them when it ends.

global reads; probe kernel.function("vfs_read") { reads++ }  -> {"reads"}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from compiler.ir import program as p
from compiler.ir.walk import Node, body_of, children, roots_of


def displayed(program: p.Program, library: Collection[str]) -> frozenset[str]:
    """Symbols of the script's own globals that are only written; globals of the `library` files are left
    out."""
    read: set[str] = set()
    written: set[str] = set()
    roots: list[Node] = [s for f in program.functions for s in body_of(f)]
    for probe in program.probes:
        roots += roots_of(probe)
    for root in roots:
        for name, reads in _uses(root):
            (read if reads else written).add(name)
    own = {g.name for g in program.globals if g.span.source.name not in library}
    return frozenset((written - read) & own)


def _uses(node: Node) -> Iterator[tuple[str, bool]]:
    """Globals that a node uses, and whether it reads them. `delete` counts as a read: an array with
    deletions is working memory and not a result."""
    match node:
        case p.ExprStmt(value=p.Assign(target=p.GlobalRef() as target, value=value)):
            yield from _written(target, value)
        case p.Assign(op=None, target=p.GlobalRef() as target, value=value):
            yield from _written(target, value)
        case p.Accumulate(target=target, value=value):
            yield from _written(target, value)
        case p.ExprStmt(value=p.Increment(target=p.GlobalRef() as target)):
            yield from _written(target)
        case p.GlobalRef(name=name) | p.In(name=name) | p.Delete(name=name) | p.Foreach(name=name):
            yield name, True
            yield from _inside(node)
        case _:
            yield from _inside(node)


def _inside(node: Node) -> Iterator[tuple[str, bool]]:
    for child in children(node):
        yield from _uses(child)


def _written(target: p.GlobalRef, *values: p.Expr) -> Iterator[tuple[str, bool]]:
    yield target.name, False
    for value in (*target.keys, *values):
        yield from _uses(value)
