# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions: names to symbols, operators to typed nodes.

reads[execname()]++  -> Increment(GlobalRef("reads", (Call("execname"),)), step=1)
"""

from __future__ import annotations

from typing import Literal, TypeGuard, assert_never, cast

from compiler.frontend.literal_spans import literal_span
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.kernel.errors import KernelFactError
from compiler.resolve import (
    context_variables,
    embedded_c,
    guru_writes,
    pointer_types,
    print_statements,
)
from compiler.resolve.at_operators import at, entry
from compiler.resolve.calls import call
from compiler.resolve.scope import Scope
from compiler.resolve.static_tests import constant, dead_value, guards
from compiler.resolve.statistics_ops import buckets, extract, statistic
from compiler.resolve.type_facts import UNKNOWN
from compiler.resolve.type_names import Fault
from compiler.resolve.variables import array, element, lower_keys, lvalue, require_known, scalar
from runtime.abi.manifest import ValueType
from runtime.support.int64 import wrapped

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def lower(scope: Scope, e: syntax.Expr, want: ValueType | None) -> p.Expr:
    """The typed form of an expression; `want` is a type its surroundings need, if they know."""
    match e:
        case syntax.Number():
            return p.Number(e.value, e.span)
        case syntax.String():
            return p.String(e.value, e.span)
        case syntax.Name():
            return _name(scope, e, want)
        case syntax.Index():
            return element(scope, e, want)
        case syntax.Call():
            return call(scope, e, want)
        case syntax.Unary():
            return _unary(scope, e)
        case syntax.Increment():
            return _increment(scope, e)
        case syntax.Binary():
            return _binary(scope, e)
        case syntax.Match():
            return _match(scope, e)
        case syntax.In():
            return _in(scope, e)
        case syntax.Conditional():
            return _conditional(scope, e, want)
        case syntax.Assign():
            return assign(scope, e, want)
        case syntax.Extract():
            return extract(scope, e)
        case syntax.Histogram():
            scope.facts.fault(
                "histogram-value",
                "a histogram has no value of its own",
                e.span,
                "print it, index it, or loop over it",
            )
            return scope.unsettled(e.span)
        case syntax.Bucket():
            found = buckets(scope, e.histogram)
            index = scope.typed(e.index, LONG)
            return p.Bucket(found, index, e.span) if found else scope.unsettled(e.span)
        case syntax.Print():
            return print_statements.lower_print(scope, e, want)
        case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
            answer = context_variables.answer_of(scope, e)
            if answer is not None and not answer.read:
                hint = "keep what you give in a variable"
                scope.facts.fault("not-readable", "this is only given here", e.span, hint)
                return scope.unsettled(e.span)
            if answer is not None:
                return call(scope, syntax.Call(answer.read, (), e.span, e.span), STRING)
            return context_variables.lower_target(scope, e)
        case syntax.Defined():
            return p.Number(int(context_variables.is_defined(scope, e.operand)), e.span)
        case syntax.Entry():
            return entry(scope, e)
        case syntax.AtCall():
            return at(scope, e, want)
        case syntax.EmbeddedExpr():
            return _embedded(scope, e)
        case _:
            assert_never(e)


def _embedded(scope: Scope, e: syntax.EmbeddedExpr) -> p.Expr:
    c = embedded_c.inspect(e.code)
    return p.EmbeddedExpr(
        c.code,
        STRING if c.string else LONG,
        e.span,
        c.pure,
        c.fallible,
        embedded_c.symbols(scope, c.reads, e.span),
        embedded_c.symbols(scope, c.writes, e.span),
    )


# ---------------------------------------------------------------- names


def _name(scope: Scope, e: syntax.Name, want: ValueType | None) -> p.Expr:
    if e.name not in scope.parameters and e.name not in scope.locals:
        found = scope.world.find_global(e.name, scope.file)
        if found is not None:
            return scalar(scope, found, e.span, want)
    if want is not None and want is not STAT:
        scope.facts.learn((*scope.key, e.name), want, e.span)
    require_known(scope, e.name, (*scope.key, e.name), e.span)
    return p.LocalRef(scope.local(e.name), e.span)


# ---------------------------------------------------------------- operators


def assign(scope: Scope, e: syntax.Assign, wish: ValueType | None = None) -> p.Expr:
    """`=` and `op=`; `<<<` where a value is wanted gives what it has added."""
    if e.op == "<<<":
        stat = statistic(scope, e.target)
        added = p.LocalRef(scope.temporary(LONG), e.span)
        given = p.Assign(None, added, scope.typed(e.value, LONG), LONG, e.span)
        if stat is None:
            return scope.unsettled(e.span)
        return p.After(p.Accumulate(stat, given, e.span), added, e.span)
    if _is_place(e.target):
        return _write(scope, e.target, e.op, e.value, e.span)
    want: ValueType | None = STRING if e.op == ".=" else LONG
    if e.op == "=":
        want = None
    target = lvalue(scope, e.target, want)
    if isinstance(target, p.Number):
        scope.expr(e.value, None)
        return target
    known = target.type if target.type is not UNKNOWN else wish
    value = scope.expr(e.value, want or known)
    if value.type is None:
        scope.require(value, LONG, e.value.span)
        return scope.unsettled(e.span)
    if want is not None:
        scope.require(value, want, e.value.span)
    elif value.type is STAT:
        scope.facts.fault("type-mismatch", "a statistic cannot be assigned", e.value.span)
    else:
        target = cast(p.Lvalue, lvalue(scope, e.target, value.type))
        pointer_types.flow(scope, e.value, pointer_types.symbol_of(scope, e.target))
    op = None if e.op == "=" else e.op[:-1]
    return p.Assign(cast("p.ArithmeticOp | None", op), target, value, target.type, e.span)


def _is_place(e: syntax.Expr) -> TypeGuard[guru_writes.Place]:
    """Whether this names the kernel's memory or a register."""
    by_address = isinstance(e, syntax.AtCall) and e.name in ("kderef", "uderef", "kregister")
    return by_address or isinstance(e, context_variables.Target)


def _write(
    scope: Scope, target: guru_writes.Place, op: str, value: syntax.Expr, span: Span
) -> p.Expr:
    """Kernel memory or a register takes a value: guru mode. Or what a function takes."""
    answer = context_variables.answer_of(scope, target)
    if answer is not None and op in ("=", ".="):
        function = answer.set if op == "=" else answer.append
        if not function:
            scope.facts.fault("not-assignable", "this is only read here", target.span)
            return scope.unsettled(span)
        return call(scope, syntax.Call(function, (value,), span, target.span), STRING)
    if op == ".=":
        scope.facts.fault("type-mismatch", "a string is needed here, not a number", target.span)
        return scope.unsettled(span)
    given = scope.typed(value, LONG)
    try:
        if op != "=":
            old = scope.typed(target, LONG)
            given = p.Arithmetic(cast(p.ArithmeticOp, op[:-1]), old, given, span)
        return guru_writes.lower_write(scope, target, given, span)
    except (Fault, KernelFactError) as fault:
        context_variables.report(scope, fault, target.span)
    return scope.unsettled(span)


def _increment(scope: Scope, e: syntax.Increment) -> p.Expr:
    step = 1 if e.op == "++" else -1
    if _is_place(e.target):
        new = _write(scope, e.target, "+=", syntax.Number(step, e.span), e.span)
        return new if e.prefix else p.Arithmetic("-", new, p.Number(step, e.span), e.span)
    target = lvalue(scope, e.target, LONG)
    if isinstance(target, p.Number):
        return target
    return p.Increment(step, e.prefix, target, e.span)


def _unary(scope: Scope, e: syntax.Unary) -> p.Expr:
    operand = scope.typed(e.operand, LONG)
    if e.op == "+":
        return operand
    if e.op == "-" and isinstance(operand, p.Number):
        return p.Number(wrapped(-operand.value), e.span)
    return p.Unary(e.op, operand, e.span)


def _binary(scope: Scope, e: syntax.Binary) -> p.Expr:
    if e.op in ("&&", "||"):
        return _logic(scope, e, e.op)
    if e.op == "." and isinstance(e.left, syntax.Number) and isinstance(e.right, syntax.Number):
        hint = "scale it: count thousandths, and print them as %d.%03d"
        scope.facts.fault("type-mismatch", "numbers are whole; '.' joins strings", e.span, hint)
        return scope.unsettled(e.span)
    if e.op == ".":
        return p.Concat(_text(scope, e.left, e.right), _text(scope, e.right), e.span)
    if e.op in _COMPARISONS:
        return _compare(scope, e)
    left, right = scope.expr(e.left, LONG), scope.expr(e.right, LONG)
    if left.type is right.type is STRING:  # one mistake, not two
        joined = "strings are joined by '.'" if e.op == "+" else None
        message = f"'{e.op}' takes numbers, and these are strings"
        scope.facts.fault("type-mismatch", message, e.span, joined)
        return scope.unsettled(e.span)
    scope.require(left, LONG, e.left.span)
    scope.require(right, LONG, e.right.span)
    return p.Arithmetic(cast(p.ArithmeticOp, e.op), left, right, e.span)


def _text(scope: Scope, e: syntax.Expr, after: syntax.Expr | None = None) -> p.Expr:
    """An operand of '.', and what stands behind it."""
    found = scope.expr(e, STRING)
    is_path = isinstance(e, syntax.TargetVar | syntax.Access) and isinstance(after, syntax.Name)
    if found.type is LONG:
        hint = "members are reached by '->'" if is_path else "sprint(...) makes a string of it"
        scope.facts.fault("type-mismatch", "'.' joins strings, and this is a number", e.span, hint)
        return scope.unsettled(e.span)
    scope.require(found, STRING, e.span)
    return found


def same_type(
    scope: Scope, first: syntax.Expr, second: syntax.Expr, want: ValueType | None = None
) -> tuple[p.Expr, p.Expr]:
    """Two expressions that must have one type, each telling the other."""
    left = scope.expr(first, want)
    right = scope.expr(second, left.type if _tells(left) else want)
    if not _tells(left) and _tells(right):
        left = scope.expr(first, right.type)
    if UNKNOWN not in (left.type, right.type):
        if left.type is STAT or left.type is None:
            scope.require(left, LONG, first.span)
        else:
            scope.require(right, left.type, second.span)
    return left, right


def _tells(e: p.Expr) -> bool:
    return e.type is not UNKNOWN and e.type is not None


def _logic(scope: Scope, e: syntax.Binary, op: Literal["&&", "||"]) -> p.Expr:
    value = constant(scope, e)
    if value is not None and guards(scope, e):
        return value
    left = constant(scope, e.left)
    decided = isinstance(left, p.Number) and bool(left.value) is (op == "||")
    if decided and dead_value(scope, e.left, e.right, LONG) is None:
        return p.Number(int(op == "||"), e.span)
    return p.Logical(op, scope.typed(e.left, LONG), scope.typed(e.right, LONG), e.span)


def _compare(scope: Scope, e: syntax.Binary) -> p.Expr:
    left, right = same_type(scope, e.left, e.right)
    if not (_tells(left) or _tells(right)) and isinstance(left, p.Call):
        if scope.facts.wanting:  # the function gives nothing of its own
            left, right = scope.typed(e.left, LONG), scope.typed(e.right, LONG)
        scope.facts.wanted = True
    return p.Compare(cast(p.CompareOp, e.op), left, right, e.span)


def _match(scope: Scope, e: syntax.Match) -> p.Expr:
    value = scope.typed(e.value, STRING)
    captures = scope.facts.captures
    if scope.facts.final:
        _check_pattern(scope, e.pattern, captures)
    return p.Match(value, e.pattern.value, e.negated, captures, e.span)


def _check_pattern(scope: Scope, literal: syntax.String, captures: bool) -> None:
    from compiler.regex import dfa
    from compiler.regex.nfa import TooLargeError
    from compiler.regex.parser import PatternError

    try:
        dfa.compile(literal.value, captures)
    except PatternError as error:
        where = literal_span(literal, error.start, error.end)
        scope.facts.fault("bad-regex", error.message, where, error.hint)
    except TooLargeError:
        scope.facts.fault(
            "regex-too-large",
            "the table of this regular expression would be too large",
            literal.span,
            "repeat less, or match in two steps",
        )


def _conditional(scope: Scope, e: syntax.Conditional, want: ValueType | None) -> p.Expr:
    value = constant(scope, e.test)
    if isinstance(value, p.Number):
        chosen, other = (e.then, e.otherwise) if value.value else (e.otherwise, e.then)
        if dead_value(scope, e.test, other, want) is None:
            return scope.expr(chosen, want)
    test = scope.typed(e.test, LONG)
    then, otherwise = same_type(scope, e.then, e.otherwise, want)
    return p.Conditional(test, then, otherwise, then.type or LONG, e.span)


def _in(scope: Scope, e: syntax.In) -> p.Expr:
    found = array(scope, e.array)
    if found is None:
        return scope.unsettled(e.span)
    return p.In(found.symbol, lower_keys(scope, found, e.keys, e.span), e.span)
