# SPDX-License-Identifier: GPL-2.0-or-later
"""Static tests: conditions that the compiler decides, and branches that therefore cannot run.

    if (@defined($x) && $x->y) ...        constant(test) -> Number(0) in a probe without $x
    if (0) println($x)                    $x is not looked up; the rest of the branch is typed

Where a probe has a context, a test with @defined() or its like selects code for this probe, and the
other branch is skipped: it is written for other probes. A branch that a literal excludes, and any
branch in begin, timers and functions, is speculative: it is lowered for its types, but it may name
context variables that do not exist.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STRING
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.path_expressions import is_defined
from compiler.resolve.syntax_queries import walk
from compiler.transform.constant_fold import folded
from runtime.abi.manifest import ValueType

# Operators whose value depends on what the probe, the kernel or the compiler has.
_EXISTENCE = ("choose_defined", "const", "enum", "probewrite")
_EFFECTS = (
    syntax.Call,
    syntax.Assign,
    syntax.Increment,
    syntax.Print,
    syntax.EmbeddedExpr,
    syntax.Match,
)


def selects_by_context(ctx: FunctionContext, test: syntax.Expr) -> bool:
    """Whether a test depends on what exists in this probe, so that it may differ in another one."""
    return ctx.has_probe_context and asks_what_exists(test)


def asks_what_exists(test: syntax.Expr) -> bool:
    """Whether a test is more than literals and operators."""
    return any(
        isinstance(n, syntax.Defined) or (isinstance(n, syntax.AtCall) and n.name in _EXISTENCE)
        for n in walk(test)
    )


def constant(ctx: FunctionContext, e: syntax.Expr) -> p.Number | p.String | None:
    """The value that an expression always has; None if it is known only at run time."""
    found: p.Expr | None
    match e:
        case syntax.Number() | syntax.String() | syntax.Defined():
            found = ctx.expr(e)
        case syntax.AtCall(name="choose_defined", args=(first, second)):
            found = constant(ctx, first if is_defined(ctx, first) else second)
        case syntax.AtCall(name=name) if name in _EXISTENCE:
            found = ctx.expr(e)
        case syntax.Unary():
            operand = _number(ctx, e.operand)
            found = p.Unary(e.op, operand, e.span) if operand and e.op != "+" else operand
        case syntax.Binary():
            found = _binary(ctx, e)
        case syntax.Conditional():
            test = _number(ctx, e.test)
            chosen = e.then if test is not None and test.value else e.otherwise
            found = constant(ctx, chosen) if test is not None else None
        case _:
            found = None
    found = folded(found) if found is not None else None
    is_literal = isinstance(found, p.Number | p.String) and found.type in (LONG, STRING)
    return cast("p.Number | p.String", found) if is_literal else None


def _number(ctx: FunctionContext, e: syntax.Expr) -> p.Number | None:
    found = constant(ctx, e)
    return found if isinstance(found, p.Number) else None


def _binary(ctx: FunctionContext, e: syntax.Binary) -> p.Expr | None:
    if e.op in ("&&", "||"):
        return _logic(ctx, e)
    left, right = constant(ctx, e.left), constant(ctx, e.right)
    if left is None or right is None or left.type != right.type:
        return None
    if e.op in ("==", "!=", "<", "<=", ">", ">="):
        return p.Compare(e.op, left, right, e.span)
    if e.op == "." or left.type is STRING:
        return None
    return p.Arithmetic(cast(p.ArithmeticOp, e.op), left, right, e.span)


def _logic(ctx: FunctionContext, e: syntax.Binary) -> p.Expr | None:
    """One side may decide; the left one runs for its effects, if it has any."""
    decisive = e.op == "||"
    left = _number(ctx, e.left)
    if left is not None and bool(left.value) is decisive:
        return p.Number(int(decisive), e.span)
    right = _number(ctx, e.right)
    if right is not None and bool(right.value) is decisive and not _has_effect(e.left):
        return p.Number(int(decisive), e.span)
    return p.Number(int(not decisive), e.span) if left and right else None


def _has_effect(e: syntax.Expr) -> bool:
    return any(isinstance(n, _EFFECTS) for n in walk(e))


def lower_unreachable(
    ctx: FunctionContext, test: syntax.Expr, lower: Callable[[], p.Stmts]
) -> p.Stmts:
    """Statements under a test that never holds, for their types; none if they cannot be lowered."""
    return () if selects_by_context(ctx, test) else lower_skipped(ctx, lower)


def lower_unreachable_expr(
    ctx: FunctionContext, test: syntax.Expr, e: syntax.Expr, expected: ValueType | None
) -> p.Expr | None:
    """An expression under a test that never holds; None if it cannot be lowered."""
    if selects_by_context(ctx, test):
        return None
    found, lacks_context = ctx.speculate(lambda: ctx.expr(e, expected))
    return None if lacks_context else found


def lower_skipped(ctx: FunctionContext, lower: Callable[[], p.Stmts]) -> p.Stmts:
    """Statements that never run; none if they name something that this probe does not have."""
    found, lacks_context = ctx.speculate(lower)
    return () if lacks_context else found
