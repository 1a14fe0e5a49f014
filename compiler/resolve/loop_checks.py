# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of loops over arrays: an array must not change while a loop visits it.

foreach (k in a) delete a[k]   -> error[modified-in-foreach]: ...
foreach (k in a) delete a      -> allowed: nothing is left to visit, so the loop ends
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.ir import program as p
from compiler.ir.diagnostics import Diagnostic, Label
from compiler.ir.source import Span
from compiler.ir.walk import Node, body_of, reachable, walk


def check(probes: Sequence[p.Probe], functions: Sequence[p.Function]) -> list[Diagnostic]:
    """One diagnostic for every change of an array inside a loop over it."""
    by_symbol = {f.symbol: f for f in functions}
    roots = [s for probe in probes for s in probe.body.stmts]
    roots += [s for f in functions for s in body_of(f)]
    diagnostics = []
    for loop in walk(*roots):
        if isinstance(loop, p.Foreach):
            for span, message in _changes(loop, by_symbol):
                diagnostics.append(
                    Diagnostic(
                        "modified-in-foreach",
                        message,
                        span,
                        labels=(
                            Label(loop.span._replace(end=loop.span.start + 7), "in this loop"),
                        ),
                        hint="collect the keys first, or change the array after the loop",
                    )
                )
    return diagnostics


def _changes(loop: p.Foreach, functions: dict[str, p.Function]) -> Iterator[tuple[Span, str]]:
    for node in walk(*loop.body):
        if _changes_element(node, loop.name):
            yield _span(node), f"'{loop.name}' is changed while foreach visits it"
        if isinstance(node, p.Call):
            reached = reachable([node], functions)
            inside = [n for f in reached for n in walk(*body_of(functions[f]))]
            if any(_changes_element(n, loop.name) for n in inside):
                name = functions[node.function].name
                yield node.span, f"{name}() changes '{loop.name}' while foreach visits it"


def _changes_element(node: Node, name: str) -> bool:
    match node:
        case (
            p.Assign(target=p.GlobalRef(name=other))
            | p.Increment(target=p.GlobalRef(name=other))
            | p.Accumulate(target=p.GlobalRef(name=other))
        ):
            return other == name
        case p.Delete(name=other, keys=keys):
            return other == name and bool(keys)
        case _:
            return False


def _span(node: Node) -> Span:
    if isinstance(node, p.Assign | p.Increment | p.Accumulate):
        return node.target.span
    return node.span
