# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests decide before anything runs: a branch that cannot run may name what is not there.

    if (@defined($x) && $x->y) ...        constant(test) -> Number(0) in a probe without $x
    if (0) println($x)                    $x is not looked for; the rest of the branch tells types

@defined() and its like choose where there is a context: the other branch is not looked at. After literals,
and in begin, timers and functions, it is; its types count, and only the probe's context is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STRING
from compiler.resolve import context_variables
from compiler.resolve.scope import Scope
from compiler.resolve.syntax_queries import walk
from compiler.transform.constant_fold import folded
from runtime.abi.manifest import ValueType

_T = TypeVar("_T")

_ASKING = ("choose_defined", "const", "enum", "probewrite")
_EFFECTS = (
    syntax.Call,
    syntax.Assign,
    syntax.Increment,
    syntax.Print,
    syntax.EmbeddedExpr,
    syntax.Match,
)


def guards(scope: Scope, test: syntax.Expr) -> bool:
    """Whether a test asks what is there, where it is not always the same."""
    return scope.has_context and any(
        isinstance(n, syntax.Defined) or (isinstance(n, syntax.AtCall) and n.name in _ASKING)
        for n in walk(test)
    )


def constant(scope: Scope, e: syntax.Expr) -> p.Number | p.String | None:
    """The value that an expression has whenever it is computed; None where only running it tells."""
    found: p.Expr | None
    match e:
        case syntax.Number() | syntax.String() | syntax.Defined():
            found = scope.expr(e)
        case syntax.AtCall(name="choose_defined", args=(first, second)):
            found = constant(scope, first if context_variables.is_defined(scope, first) else second)
        case syntax.AtCall(name=name) if name in _ASKING:
            found = scope.expr(e)
        case syntax.Unary():
            operand = _number(scope, e.operand)
            found = p.Unary(e.op, operand, e.span) if operand and e.op != "+" else operand
        case syntax.Binary():
            found = _binary(scope, e)
        case syntax.Conditional():
            test = _number(scope, e.test)
            chosen = e.then if test is not None and test.value else e.otherwise
            found = constant(scope, chosen) if test is not None else None
        case _:
            found = None
    found = folded(found) if found is not None else None
    settled = isinstance(found, p.Number | p.String) and found.type in (LONG, STRING)
    return cast("p.Number | p.String", found) if settled else None


def _number(scope: Scope, e: syntax.Expr) -> p.Number | None:
    found = constant(scope, e)
    return found if isinstance(found, p.Number) else None


def _binary(scope: Scope, e: syntax.Binary) -> p.Expr | None:
    if e.op in ("&&", "||"):
        return _logic(scope, e)
    left, right = constant(scope, e.left), constant(scope, e.right)
    if left is None or right is None or left.type != right.type:
        return None
    if e.op in ("==", "!=", "<", "<=", ">", ">="):
        return p.Compare(e.op, left, right, e.span)
    if e.op == "." or left.type is STRING:
        return None
    return p.Arithmetic(cast(p.ArithmeticOp, e.op), left, right, e.span)


def _logic(scope: Scope, e: syntax.Binary) -> p.Expr | None:
    """One side may decide; the left one runs for its effects, if it has any."""
    decisive = e.op == "||"
    left = _number(scope, e.left)
    if left is not None and bool(left.value) is decisive:
        return p.Number(int(decisive), e.span)
    right = _number(scope, e.right)
    if right is not None and bool(right.value) is decisive and not _has_effect(e.left):
        return p.Number(int(decisive), e.span)
    return p.Number(int(not decisive), e.span) if left and right else None


def _has_effect(e: syntax.Expr) -> bool:
    return any(isinstance(n, _EFFECTS) for n in walk(e))


def dead(scope: Scope, test: syntax.Expr, look: Callable[[], p.Stmts]) -> p.Stmts:
    """Statements that cannot run, for the types they tell; none if they name what is not there."""
    return () if guards(scope, test) else unreached(scope, look)


def dead_value(
    scope: Scope, test: syntax.Expr, e: syntax.Expr, want: ValueType | None
) -> p.Expr | None:
    """The same of an expression."""
    if guards(scope, test):
        return None
    found, missed = blindly(scope, lambda: scope.expr(e, want))
    return None if missed else found


def unreached(scope: Scope, look: Callable[[], p.Stmts]) -> p.Stmts:
    """Statements behind one that leaves the block; none if they name what is not there."""
    found, missed = blindly(scope, look)
    return () if missed else found


def blindly(scope: Scope, look: Callable[[], _T]) -> tuple[_T, bool]:
    before = scope.blind, scope.missed
    scope.blind, scope.missed = True, False
    found = look()
    missed = scope.missed
    scope.blind, scope.missed = before
    return found, missed
