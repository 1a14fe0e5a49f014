# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes programs dear: the same statements, but loops go on for long, strings are long and arrays are full.

Such a program has no output that is worth comparing. It is there to end in "MAXACTION exceeded", wherever it
spends its actions.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from tests.language.fuzz import tree as t
from tests.language.fuzz.text import script

ROUNDS = 10_000  # times what a loop had
WIDTH = 30  # times what a text had
ELEMENTS = 900  # of each array


def swollen(program: t.Program, *, room: int) -> str:
    """The script of a program with strings of up to `room` bytes."""
    dear = t.Program(
        program.globals,
        tuple(replace(f, body=_swell(f.body)) for f in program.functions),
        tuple(replace(probe, body=_swell(probe.body)) for probe in program.probes),
        program.rounds,
        room,
        program.lanes,
    )
    return script(dear, brackets=False) + "\n" + _filled(program)


def _swell(node: Any) -> Any:
    match node:
        case t.Text(value=value):
            return t.Text(value * WIDTH)
        case t.Count():
            return replace(node, times=node.times * ROUNDS, body=_swell(node.body))
        case t.Match():
            return replace(node, value=_swell(node.value))
        case tuple():
            return tuple(_swell(each) for each in node)
        case _ if is_dataclass(node) and not isinstance(node, type):
            return replace(node, **{f.name: _swell(getattr(node, f.name)) for f in fields(node)})
    return node


def _filled(program: t.Program) -> str:
    """A probe that runs first and fills the arrays."""
    lines = []
    for g in program.globals:
        if not g.keys or g.size is not None:
            continue
        keys = ", ".join(
            f"i * {7 + n} % 1009"
            if kind == "long"
            else f'sprintf("%d {"common " * 9}%d", i % 7, i)'
            for n, kind in enumerate(g.keys)
        )
        change = {"long": "+= i", "string": '.= sprintf("%d", i)', "stat": "<<< i"}[g.kind]
        lines.append(
            f"try {{ for (i = 0; i < {ELEMENTS}; i++) {g.name}[{keys}] {change} }} catch {{}}"
        )
    return "probe begin(0) {\n" + "\n".join(lines) + "\n}\n" if lines else ""
