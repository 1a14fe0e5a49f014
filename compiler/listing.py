# SPDX-License-Identifier: GPL-2.0-or-later
"""What `-p1` and `-p2` print: the tree as written, or the program with its inferred types."""

from __future__ import annotations

from compiler import program as p
from compiler import syntax
from compiler.printer import print_script


def tree(script: syntax.Script) -> str:
    """The normalised script."""
    return print_script(script)


def program(found: p.Program) -> str:
    """Globals, functions and probes, one a line, each with its types."""
    lines = []
    if found.globals:
        lines.append("# globals")
    for g in found.globals:
        keys = f" [{', '.join(g.keys)}]" if g.keys else ""
        lines.append(f"{g.name}:{g.type}{keys}")
    if found.functions:
        lines.append("# functions")
    for f in found.functions:
        parameters = ", ".join(f"{x.name}:{x.type}" for x in f.parameters)
        lines.append(f"{f.name}:{f.result or 'unknown'} ({parameters})")
    if found.probes:
        lines.append("# probes")
    for probe in found.probes:
        where = f" /* <- {probe.written} */" if probe.written != probe.point else ""
        lines.append(f"{probe.point}{where}")
        lines += [f"  # locals {x.name}:{x.type}" for x in probe.body.locals]
    return "\n".join(lines) + "\n"
