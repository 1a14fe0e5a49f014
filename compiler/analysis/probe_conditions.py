# SPDX-License-Identifier: GPL-2.0-or-later
"""Conditional attach: which probes are detached while their condition is false, and which handlers may
change a condition.

probe kernel.function("f") if (on > 2) { }      attached only while on > 2
probe kernel.function("f") if (pid() == 1) { }  always attached; the handler tests the condition at each hit

A condition of scalar globals, literals and operators changes only when a handler writes one of its globals.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.analysis.storage_class import Access, accesses
from compiler.ir import program as p
from compiler.ir.walk import Node, walk, with_callees

_LEAVES = (p.Number, p.String)
_OPERATORS = (p.Unary, p.Compare, p.Logical, p.Conditional)


def attaches_conditionally(probe: p.Probe) -> bool:
    """Whether the probe is attached only while its condition holds."""
    if probe.condition is None or probe.hook.is_phase:
        return False
    return all(_depends_on_globals(node) for node in walk(probe.condition))


def _depends_on_globals(node: Node) -> bool:
    """Whether a node's value can only change when a global is written, and computing it cannot fail."""
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
    """The conditions that attach and detach their probe, by the probe's index."""
    return {
        i: probe.condition
        for i, probe in enumerate(program.probes)
        if probe.condition is not None and attaches_conditionally(probe)
    }


def _globals_of(condition: p.Expr) -> frozenset[str]:
    return frozenset(n.name for n in walk(condition) if isinstance(n, p.GlobalRef))


def changed_by(program: p.Program, roots: Sequence[Node]) -> list[int]:
    """The indices of the probes whose condition may change when a handler runs `roots`."""
    found = conditions(program)
    if not found:
        return []
    functions = {f.symbol: f for f in program.functions}
    written = {
        name
        for node in with_callees(roots, functions)
        for name, access in accesses(node)
        if access is not Access.READ
    }
    return [i for i, condition in found.items() if _globals_of(condition) & written]
