# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of `-p1` and `-p2`: the tree as written, or the program with its inferred types.

# globals          # functions            # probes
n:long [string]    f:string (x:long)      begin /* <- begin */
                     # locals               # locals
                     y:long                 z:string
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.syntax_printer import print_script
from runtime.abi.manifest import ValueType


def tree(script: syntax.Script) -> str:
    """The normalised script."""
    return print_script(script)


def program(found: p.Program) -> str:
    """Globals, functions and probes, one a line, each with its types, as SystemTap lists them."""
    lines = []
    if found.globals:
        lines.append("# globals")
    for g in found.globals:
        limit = "%" * g.wrap + (f"[{g.size}]" if g.size is not None else "")
        keys = f" [{', '.join(map(_type, g.keys))}]" if g.keys else ""
        lines.append(f"{g.name}{limit}:{_type(g.type)}{keys}")
    if found.functions:
        lines.append("# functions")
    for f in found.functions:
        lines.append(signature(f))
        lines += _locals(f.body.locals if f.body is not None else ())
    if found.probes:
        lines.append("# probes")
    for probe in found.probes:
        lines.append(f"{probe.point} /* <- {probe.written} */")
        lines += _locals(probe.body.locals)
    return "\n".join(lines) + "\n"


def signature(f: p.Function) -> str:
    """`name:string (x:long, y:string)`; the type is `unknown` if the function returns nothing."""
    parameters = ", ".join(f"{x.name}:{_type(x.type)}" for x in f.parameters)
    return f"{f.name}:{_type(f.result)} ({parameters})"


def _locals(found: Iterable[p.Local]) -> Iterator[str]:
    names = [f"  {x.name}:{_type(x.type)}" for x in found if "." not in x.name]
    if names:
        yield "  # locals"
        yield from names


def _type(type_: ValueType | None) -> str:
    match type_:
        case None:
            return "unknown"
        case p.STAT:
            return "stats"
        case _:
            return str(type_)
