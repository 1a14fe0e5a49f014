# SPDX-License-Identifier: GPL-2.0-or-later
"""Conditions of probes: they are evaluated outside the handler, when a global that they name changes.

probe timer.s(1) if (n > 3)       -> fine
probe timer.s(1) if (pid() == 1)  -> error[condition-effect]: a condition cannot call pid()
"""

from __future__ import annotations

from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.syntax_queries import walk
from compiler.support.did_you_mean import did_you_mean

_HINT = "test it in the handler instead: probe ... { if (!(...)) next; ... }"


def check(ctx: FunctionContext, test: syntax.Expr) -> None:
    """Report a condition that names a local or has effects."""
    for node in walk(test):
        match node:
            case syntax.Name():
                _check_name(ctx, node)
            case syntax.Call():
                _report_effect(ctx, f"call {node.name}()", node.span)
            case syntax.Assign() | syntax.Increment():
                _report_effect(ctx, "change a variable", node.span)
            case syntax.Print() if not node.name.startswith("s"):
                _report_effect(ctx, "print", node.span)
            case syntax.EmbeddedExpr() if "/* pure */" not in node.code:
                _report_effect(ctx, "hold C that may have effects", node.span)
            case _:
                pass


def _report_effect(ctx: FunctionContext, does: str, span: Span) -> None:
    ctx.report("condition-effect", f"a probe's condition cannot {does}", span, _HINT)


def _check_name(ctx: FunctionContext, name: syntax.Name) -> None:
    program = ctx.program
    if program.find_global(name.name, name.span.source.name):
        return
    if name.name in program.functions:
        _report_effect(ctx, f"call {name.name}()", name.span)
        return
    ctx.report(
        "condition-variable",
        f"the condition names '{name.name}', which is no global",
        name.span,
        did_you_mean(name.name, {n for _, n in program.globals})
        or f"declare it: global {name.name}",
    )
