# SPDX-License-Identifier: GPL-2.0-or-later
"""Which conditions take a probe's hook out while they are false, and who has to look at them.

probe kernel.function("f") if (on > 2) { }      disarmable: its hook is there while on > 2
probe kernel.function("f") if (pid() == 1) { }  not: the handler tests it at each hit

A condition of scalar globals, literals and operators changes only when a handler writes one of its globals.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.analysis.storage_class import Access, accesses
from compiler.ir import program as p
from compiler.ir.traits import Node, body_of, reachable, walk

_LEAVES = (p.Number, p.String)
_OPERATORS = (p.Unary, p.Compare, p.Logical, p.Conditional)


def disarmable(probe: p.Probe) -> bool:
    """Whether the probe's hook is in place only while its condition holds."""
    if probe.condition is None or probe.hook.is_phase:
        return False
    return all(_settled(node) for node in walk(probe.condition))


def _settled(node: Node) -> bool:
    match node:
        case p.GlobalRef(keys=keys):
            return not keys
        case p.Arithmetic(op="/" | "%", right=right):
            return isinstance(right, p.Number) and right.value != 0
        case p.Arithmetic():
            return True
        case _:
            return isinstance(node, _LEAVES + _OPERATORS)


def conditions(program: p.Program) -> dict[int, p.Expr]:
    """The conditions that arm and disarm, by their probe's index."""
    return {
        i: probe.condition
        for i, probe in enumerate(program.probes)
        if probe.condition is not None and disarmable(probe)
    }


def names(condition: p.Expr) -> frozenset[str]:
    """The globals of a condition."""
    return frozenset(n.name for n in walk(condition) if isinstance(n, p.GlobalRef))


def changed_by(program: p.Program, roots: Sequence[Node]) -> list[int]:
    """Probes whose condition may change when a handler runs these nodes."""
    found = conditions(program)
    if not found:
        return []
    functions = {f.symbol: f for f in program.functions}
    nodes = [*roots, *(s for f in reachable(roots, functions) for s in body_of(functions[f]))]
    written = {
        name for node in nodes for name, access in accesses(node) if access is not Access.READ
    }
    return [i for i, condition in found.items() if names(condition) & written]
