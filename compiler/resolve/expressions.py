# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions: names to symbols, operators to typed nodes.

reads[execname()]++  -> Increment(GlobalRef("reads", (Call("execname"),)), step=1)
"""

from __future__ import annotations

from typing import Literal, TypeGuard, cast

from compiler.frontend.literal_spans import literal_span
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.kernel.errors import KernelFactError
from compiler.resolve import embedded_c, path_expressions, pointer_types, print_statements
from compiler.resolve.calls import call
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import TargetError
from compiler.resolve.static_tests import (
    asks_what_exists,
    constant,
    lower_unreachable_expr,
    selects_by_context,
)
from compiler.resolve.statistics_ops import buckets, extract, statistic
from compiler.resolve.type_environment import UNKNOWN
from compiler.resolve.variables import array, element, lower_keys, lvalue, require_known, scalar
from runtime.abi.manifest import ValueType
from runtime.support.exhaustive import assert_never
from runtime.support.int64 import wrapped

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def lower(ctx: FunctionContext, e: syntax.Expr, expected: ValueType | None) -> p.Expr:
    """The typed form of an expression; `expected` is the type that its use needs, if that is known."""
    match e:
        case syntax.Number():
            return p.Number(e.value, e.span)
        case syntax.String():
            return p.String(e.value, e.span)
        case syntax.Name():
            return _name(ctx, e, expected)
        case syntax.Index():
            return element(ctx, e, expected)
        case syntax.Call():
            return call(ctx, e, expected)
        case syntax.Unary():
            return _unary(ctx, e)
        case syntax.Increment():
            return _increment(ctx, e)
        case syntax.Binary():
            return _binary(ctx, e)
        case syntax.Match():
            return _match(ctx, e)
        case syntax.In():
            return _in(ctx, e)
        case syntax.Conditional():
            return _conditional(ctx, e, expected)
        case syntax.Assign():
            return _assign(ctx, e, expected)
        case syntax.Extract():
            return extract(ctx, e)
        case syntax.Histogram():
            ctx.report(
                "histogram-value",
                "a histogram has no value of its own",
                e.span,
                "print it, index it, or loop over it",
            )
            return ctx.error_expr(e.span)
        case syntax.Bucket():
            found = buckets(ctx, e.histogram)
            index = ctx.typed(e.index, LONG)
            return p.Bucket(found, index, e.span) if found else ctx.error_expr(e.span)
        case syntax.Print():
            return print_statements.lower_print(ctx, e, expected)
        case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
            return _target(ctx, e)
        case syntax.Defined():
            return p.Number(int(path_expressions.is_defined(ctx, e.operand)), e.span)
        case syntax.Entry():
            from compiler.resolve.at_operators import lower_entry  # few scripts need it

            return lower_entry(ctx, e)
        case syntax.AtCall():
            from compiler.resolve.at_operators import lower_at_call

            return lower_at_call(ctx, e, expected)
        case syntax.EmbeddedExpr():
            return _embedded(ctx, e)
        case _:
            assert_never(e)


def _target(ctx: FunctionContext, e: path_expressions.Target) -> p.Expr:
    """A context variable or a path; where the library keeps the variable's text, a call."""
    answer = path_expressions.answer_of(ctx, e)
    if answer is None:
        return path_expressions.lower_target(ctx, e)
    if not answer.read:
        hint = "keep the text in a variable of your own"
        ctx.report("not-readable", "this can only be assigned to here", e.span, hint)
        return ctx.error_expr(e.span)
    return call(ctx, syntax.Call(answer.read, (), e.span, e.span), STRING)


def _embedded(ctx: FunctionContext, e: syntax.EmbeddedExpr) -> p.Expr:
    c = embedded_c.inspect(e.code)
    return p.EmbeddedExpr(
        c.code,
        STRING if c.string else LONG,
        e.span,
        c.pure,
        c.fallible,
        embedded_c.symbols(ctx, c.reads, e.span),
        embedded_c.symbols(ctx, c.writes, e.span),
    )


# ---------------------------------------------------------------- names


def _name(ctx: FunctionContext, e: syntax.Name, expected: ValueType | None) -> p.Expr:
    symbol, found = ctx.resolve(e.name)
    if found is not None:
        return scalar(ctx, found, e.span, expected)
    if expected is not None and expected is not STAT:
        ctx.types.learn(symbol, expected, e.span)
    require_known(ctx, e.name, symbol, e.span)
    return p.LocalRef(ctx.local(e.name), e.span)


# ---------------------------------------------------------------- operators


def _assign(ctx: FunctionContext, e: syntax.Assign, expected: ValueType | None) -> p.Expr:
    """`=`, `op=` and `<<<`. The target and the value type each other."""
    if e.op == "<<<":
        return _accumulate(ctx, e)
    if _is_memory(e.target):
        return _write(ctx, e.target, e.op, e.value, e.span)
    # what the operator takes; `=` takes any type
    operand = {"=": None, ".=": STRING}.get(e.op, LONG)
    target = lvalue(ctx, e.target, operand)
    if isinstance(target, p.Number):
        ctx.expr(e.value, None)
        return target
    known = target.type if target.type is not UNKNOWN else expected
    value = ctx.expr(e.value, operand or known)
    if value.type is None:
        ctx.require(value, LONG, e.value.span)
        return ctx.error_expr(e.span)
    if operand is not None:
        ctx.require(value, operand, e.value.span)
    elif value.type is STAT:
        ctx.report("type-mismatch", "a statistic cannot be assigned", e.value.span)
    else:
        target = cast(p.Lvalue, lvalue(ctx, e.target, value.type))
        path_expressions.propagate(ctx, e.value, pointer_types.symbol_of(ctx, e.target))
    op = None if e.op == "=" else e.op[:-1]
    return p.Assign(cast("p.ArithmeticOp | None", op), target, value, target.type, e.span)


def _accumulate(ctx: FunctionContext, e: syntax.Assign) -> p.Expr:
    """`s <<< v` used as a value: it is v."""
    target = statistic(ctx, e.target)
    added = p.LocalRef(ctx.temporary(LONG), e.span)
    value = p.Assign(None, added, ctx.typed(e.value, LONG), LONG, e.span)
    if target is None:
        return ctx.error_expr(e.span)
    return p.After(p.Accumulate(target, value, e.span), added, e.span)


def _is_memory(e: syntax.Expr) -> TypeGuard[path_expressions.Target | syntax.AtCall]:
    """Whether this names memory or a register."""
    by_address = isinstance(e, syntax.AtCall) and e.name in ("kderef", "uderef", "kregister")
    return by_address or isinstance(e, path_expressions.Target)


def _write(
    ctx: FunctionContext,
    target: path_expressions.Target | syntax.AtCall,
    op: str,
    value: syntax.Expr,
    span: Span,
) -> p.Expr:
    """An assignment to memory or a register, or to a context variable whose text the library keeps."""
    answer = path_expressions.answer_of(ctx, target)
    if answer is not None and op in ("=", ".="):
        function = answer.set if op == "=" else answer.append
        if not function:
            ctx.report("not-assignable", "this can only be read here", target.span)
            return ctx.error_expr(span)
        return call(ctx, syntax.Call(function, (value,), span, target.span), STRING)
    if op == ".=":
        # the variables of a probe without a site are not known
        if ctx.site is None and not ctx.in_function:
            ctx.typed(value, STRING)
        else:
            ctx.report("type-mismatch", "a string is needed here, not a number", target.span)
        return ctx.error_expr(span)
    from compiler.resolve.guru_writes import lower_write  # few scripts need it

    new = ctx.typed(value, LONG)
    try:
        if op != "=":
            old = ctx.typed(target, LONG)
            new = p.Arithmetic(cast(p.ArithmeticOp, op[:-1]), old, new, span)
        return lower_write(ctx, target, new, span)
    except (TargetError, KernelFactError) as error:
        path_expressions.report(ctx, error, target.span)
    return ctx.error_expr(span)


def _increment(ctx: FunctionContext, e: syntax.Increment) -> p.Expr:
    step = 1 if e.op == "++" else -1
    if _is_memory(e.target):
        new = _write(ctx, e.target, "+=", syntax.Number(step, e.span), e.span)
        return new if e.prefix else p.Arithmetic("-", new, p.Number(step, e.span), e.span)
    target = lvalue(ctx, e.target, LONG)
    if isinstance(target, p.Number):
        return target
    return p.Increment(step, e.prefix, target, e.span)


def _unary(ctx: FunctionContext, e: syntax.Unary) -> p.Expr:
    operand = ctx.typed(e.operand, LONG)
    if e.op == "+":
        return operand
    if e.op == "-" and isinstance(operand, p.Number):
        return p.Number(wrapped(-operand.value), e.span)
    return p.Unary(e.op, operand, e.span)


def _binary(ctx: FunctionContext, e: syntax.Binary) -> p.Expr:
    if e.op in ("&&", "||"):
        return _logic(ctx, e, e.op)
    if e.op == "." and isinstance(e.left, syntax.Number) and isinstance(e.right, syntax.Number):
        hint = "scale it: count thousandths, and print them as %d.%03d"
        ctx.report("type-mismatch", "numbers are whole; '.' joins strings", e.span, hint)
        return ctx.error_expr(e.span)
    if e.op == ".":
        return p.Concat(_text(ctx, e.left, e.right), _text(ctx, e.right), e.span)
    if e.op in _COMPARISONS:
        return _compare(ctx, e)
    left, right = ctx.expr(e.left, LONG), ctx.expr(e.right, LONG)
    if left.type is right.type is STRING:  # one error, not two
        joined = "strings are joined by '.'" if e.op == "+" else None
        message = f"'{e.op}' takes numbers, and these are strings"
        ctx.report("type-mismatch", message, e.span, joined)
        return ctx.error_expr(e.span)
    ctx.require(left, LONG, e.left.span)
    ctx.require(right, LONG, e.right.span)
    return p.Arithmetic(cast(p.ArithmeticOp, e.op), left, right, e.span)


def _text(ctx: FunctionContext, e: syntax.Expr, after: syntax.Expr | None = None) -> p.Expr:
    """An operand of '.'; `after` is the operand that follows it."""
    found = ctx.expr(e, STRING)
    is_path = isinstance(e, syntax.TargetVar | syntax.Access) and isinstance(after, syntax.Name)
    if found.type is LONG:
        hint = "members are reached by '->'" if is_path else "sprint(...) makes a string of it"
        ctx.report("type-mismatch", "'.' joins strings, and this is a number", e.span, hint)
        return ctx.error_expr(e.span)
    ctx.require(found, STRING, e.span)
    return found


def same_type(
    ctx: FunctionContext, first: syntax.Expr, second: syntax.Expr, expected: ValueType | None = None
) -> tuple[p.Expr, p.Expr]:
    """Two expressions that must have the same type; each types the other."""
    left = ctx.expr(first, expected)
    right = ctx.expr(second, left.type if _is_typed(left) else expected)
    if not _is_typed(left) and _is_typed(right):
        left = ctx.expr(first, right.type)
    if UNKNOWN not in (left.type, right.type):
        if left.type is STAT or left.type is None:
            ctx.require(left, LONG, first.span)
        else:
            ctx.require(right, left.type, second.span)
    return left, right


def _is_typed(e: p.Expr) -> bool:
    return e.type is not UNKNOWN and e.type is not None


def _logic(ctx: FunctionContext, e: syntax.Binary, op: Literal["&&", "||"]) -> p.Expr:
    value = constant(ctx, e)
    if value is not None and selects_by_context(ctx, e):
        return value
    left = constant(ctx, e.left)
    decided = isinstance(left, p.Number) and bool(left.value) is (op == "||")
    if decided and lower_unreachable_expr(ctx, e.left, e.right, LONG) is None:
        return p.Number(int(op == "||"), e.span)
    return p.Logical(op, ctx.typed(e.left, LONG), ctx.typed(e.right, LONG), e.span)


def _compare(ctx: FunctionContext, e: syntax.Binary) -> p.Expr:
    left, right = same_type(ctx, e.left, e.right)
    if not (_is_typed(left) or _is_typed(right)) and isinstance(left, p.Call):
        if ctx.types.callers_decide:  # no `return` types the function: it returns a number
            left, right = ctx.typed(e.left, LONG), ctx.typed(e.right, LONG)
        ctx.types.this_round.result_requested = True
    return p.Compare(cast(p.CompareOp, e.op), left, right, e.span)


def _match(ctx: FunctionContext, e: syntax.Match) -> p.Expr:
    value = ctx.typed(e.value, STRING)
    captures = ctx.types.captures
    if ctx.types.is_reporting:
        _check_pattern(ctx, e.pattern, captures)
    return p.Match(value, e.pattern.value, e.negated, captures, e.span)


def _check_pattern(ctx: FunctionContext, literal: syntax.String, captures: bool) -> None:
    from compiler.regex import dfa
    from compiler.regex.nfa import TooLargeError
    from compiler.regex.parser import PatternError

    try:
        dfa.compile(literal.value, captures)
    except PatternError as error:
        where = literal_span(literal, error.start, error.end)
        ctx.report("bad-regex", error.message, where, error.hint)
    except TooLargeError:
        ctx.report(
            "regex-too-large",
            "the table of this regular expression would be too large",
            literal.span,
            "repeat less, or match in two steps",
        )


def _conditional(ctx: FunctionContext, e: syntax.Conditional, expected: ValueType | None) -> p.Expr:
    value = constant(ctx, e.test)
    if isinstance(value, p.Number):
        chosen, other = (e.then, e.otherwise) if value.value else (e.otherwise, e.then)
        unreachable = lower_unreachable_expr(ctx, e.test, other, expected)
        if unreachable is None:
            return ctx.expr(chosen, expected)
        if _is_typed(unreachable) and not asks_what_exists(e.test):  # it may be of another type
            found = ctx.expr(chosen, expected)
            if _is_typed(found) and found.type is not unreachable.type:
                return found
    test = ctx.typed(e.test, LONG)
    then, otherwise = same_type(ctx, e.then, e.otherwise, expected)
    return p.Conditional(test, then, otherwise, then.type or LONG, e.span)


def _in(ctx: FunctionContext, e: syntax.In) -> p.Expr:
    found = array(ctx, e.array)
    if found is None:
        return ctx.error_expr(e.span)
    return p.In(found.symbol, lower_keys(ctx, found, e.keys, e.span), e.span)
