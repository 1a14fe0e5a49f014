# SPDX-License-Identifier: GPL-2.0-or-later
"""Conditions of probes: they are looked at outside the handler, whenever a global that they name changes.

probe timer.s(1) if (n > 3)       -> fine
probe timer.s(1) if (pid() == 1)  -> error[condition-effect]: a condition cannot call pid()
"""

from __future__ import annotations

from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.resolve.scope import Scope
from compiler.resolve.syntax_queries import walk
from compiler.support.did_you_mean import did_you_mean

_HINT = "test it in the handler instead: probe ... { if (!(...)) next; ... }"


def check(scope: Scope, test: syntax.Expr) -> None:
    """It has no locals, and changes nothing."""
    for node in walk(test):
        match node:
            case syntax.Name():
                _check_name(scope, node)
            case syntax.Call():
                _fault(scope, f"call {node.name}()", node.span)
            case syntax.Assign() | syntax.Increment():
                _fault(scope, "change a variable", node.span)
            case syntax.Print() if not node.name.startswith("s"):
                _fault(scope, "print", node.span)
            case syntax.EmbeddedExpr() if "/* pure */" not in node.code:
                _fault(scope, "hold C that may have effects", node.span)
            case _:
                pass


def _fault(scope: Scope, does: str, span: Span) -> None:
    scope.facts.fault("condition-effect", f"a probe's condition cannot {does}", span, _HINT)


def _check_name(scope: Scope, name: syntax.Name) -> None:
    world = scope.world
    if world.find_global(name.name, name.span.source.name):
        return
    if name.name in world.functions:
        _fault(scope, f"call {name.name}()", name.span)
        return
    scope.facts.fault(
        "condition-variable",
        f"the condition names '{name.name}', which is no global",
        name.span,
        did_you_mean(name.name, {n for _, n in world.globals}) or f"declare it: global {name.name}",
    )
