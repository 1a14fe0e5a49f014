# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements: blocks flatten, `for` becomes a loop with a step, prints become event records."""

from __future__ import annotations

from functools import partial

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.resolve import calls, overloads, pointer_types, print_statements
from compiler.resolve.contexts import FunctionContext, GlobalSymbol
from compiler.resolve.path_expressions import propagate
from compiler.resolve.static_tests import (
    constant,
    lower_skipped,
    lower_unreachable,
    selects_by_context,
)
from compiler.resolve.statistics_ops import buckets, statistic
from compiler.resolve.type_environment import UNKNOWN, Symbol, article
from compiler.resolve.variables import array, lower_keys
from runtime.abi.manifest import ValueType
from runtime.support.exhaustive import assert_never

_LEAVES = (syntax.Next, syntax.Return, syntax.Break, syntax.Continue)


def lower_block(ctx: FunctionContext, block: syntax.Block) -> p.Stmts:
    """All statements of a block. In functions, statements after one that leaves the block type nothing."""
    found: list[p.Stmt] = []
    left = False
    for s in block.body:
        if left and ctx.in_function:
            calls.check_names(ctx, s)
        elif left:
            found += lower_skipped(ctx, partial(lower_stmt, ctx, s))
        else:
            found += lower_stmt(ctx, s)
        left = left or isinstance(s, _LEAVES)
    return tuple(found)


def lower_stmt(ctx: FunctionContext, s: syntax.Stmt) -> p.Stmts:
    """One statement, as none or several."""
    match s:
        case syntax.Block():
            return lower_block(ctx, s)
        case syntax.Empty():
            return ()
        case syntax.ExprStmt():
            return _expr_stmt(ctx, s)
        case syntax.If():
            return _if(ctx, s)
        case syntax.While():
            test = ctx.typed(s.test, LONG)
            body = _loop_body(ctx, s.test, s.body)
            return (p.Loop(test, None, body, s.span),)
        case syntax.For():
            return _for(ctx, s)
        case syntax.Foreach():
            return _foreach(ctx, s)
        case syntax.Break() | syntax.Continue():
            return _leave_loop(ctx, s)
        case syntax.Next():
            return (p.Next(s.span),) if ctx.overloads is None else overloads.call_next(ctx, s.span)
        case syntax.Return():
            return _return(ctx, s)
        case syntax.Delete():
            return _delete(ctx, s)
        case syntax.TryCatch():
            return _try(ctx, s)
        case _:
            assert_never(s)


def _leave_loop(ctx: FunctionContext, s: syntax.Break | syntax.Continue) -> p.Stmts:
    is_break = isinstance(s, syntax.Break)
    if not ctx.loop_depth:
        word = "break" if is_break else "continue"
        ctx.report("outside-loop", f"'{word}' stands outside any loop", s.span)
        return ()
    return (p.Break(s.span) if is_break else p.Continue(s.span),)


def _try(ctx: FunctionContext, s: syntax.TryCatch) -> p.Stmts:
    body = lower_block(ctx, s.body)
    variable: p.Local | None = None
    first: p.Stmts = ()
    if s.variable is not None:
        variable, first = _assigned_by_statement(ctx, s.variable, STRING)
    return (p.Try(body, variable, (*first, *lower_block(ctx, s.handler)), s.span),)


def _body(ctx: FunctionContext, s: syntax.Stmt) -> p.Stmts:
    ctx.loop_depth += 1
    found = lower_stmt(ctx, s)
    ctx.loop_depth -= 1
    return found


def _loop_body(ctx: FunctionContext, test: syntax.Expr | None, s: syntax.Stmt) -> p.Stmts:
    """The body of a loop, which may never run."""
    value = constant(ctx, test) if test is not None else None
    if test is not None and isinstance(value, p.Number) and not value.value:
        return lower_unreachable(ctx, test, partial(_body, ctx, s))
    return _body(ctx, s)


def _expr_stmt(ctx: FunctionContext, s: syntax.ExprStmt) -> p.Stmts:
    match s.value:
        case syntax.Print() as e:
            return (print_statements.lower_print_stmt(ctx, e),)
        case syntax.Call(name="log", args=(_,)) as e if "log" not in ctx.program.functions:
            return (print_statements.lower_log(ctx, e),)
        case syntax.Call() as e:
            return (p.ExprStmt(calls.call(ctx, e, None, is_statement=True), s.span),)
        case syntax.Assign(op="<<<") as e:
            return _accumulate(ctx, e)
        case syntax.Conditional() as e:  # often used as a statement; its branches may print
            then = syntax.ExprStmt(e.then, e.then.span)
            otherwise = syntax.ExprStmt(e.otherwise, e.otherwise.span)
            return _if(ctx, syntax.If(e.test, then, otherwise, s.span))
        case e:
            return (p.ExprStmt(ctx.expr(e, None), s.span),)


def _accumulate(ctx: FunctionContext, e: syntax.Assign) -> p.Stmts:
    target = statistic(ctx, e.target)
    value = ctx.typed(e.value, LONG)
    return (p.Accumulate(target, value, e.span),) if target is not None else ()


def _if(ctx: FunctionContext, s: syntax.If) -> p.Stmts:
    value = constant(ctx, s.test)
    runs = (True, True)
    if isinstance(value, p.Number):
        if selects_by_context(ctx, s.test):  # the other branch is written for other probes
            chosen = s.then if value.value else s.otherwise
            return lower_stmt(ctx, chosen) if chosen is not None else ()
        runs = (value.value != 0, value.value == 0)
    test = ctx.typed(s.test, LONG)
    then, otherwise = (
        ()
        if branch is None
        else lower_stmt(ctx, branch)
        if does_run
        else lower_skipped(ctx, partial(lower_stmt, ctx, branch))
        for branch, does_run in zip((s.then, s.otherwise), runs, strict=True)
    )
    return (p.If(test, then, otherwise, s.span),)


def _for(ctx: FunctionContext, s: syntax.For) -> p.Stmts:
    init: p.Stmts = ()
    if s.init is not None:
        init = lower_stmt(ctx, syntax.ExprStmt(s.init, s.init.span))
    test = ctx.typed(s.test, LONG) if s.test is not None else p.Number(1, s.span)
    body = _loop_body(ctx, s.test, s.body)
    step = ctx.expr(s.step, None) if s.step is not None else None
    return (*init, p.Loop(test, step, body, s.span))


def _assigned_by_statement(
    ctx: FunctionContext, name: syntax.Name, type_: ValueType
) -> tuple[p.Local, p.Stmts]:
    """The local that a statement (foreach, catch) assigns to, and the statements its block begins with.

    A global is assigned through a temporary local, so these statements copy the local to it.
    """
    symbol, found = ctx.resolve(name.name)
    ctx.types.learn(symbol, type_, name.span)
    if found is None:
        return ctx.local(name.name), ()
    ctx.types.learn_arity(found.symbol, 0, name.span)
    local = ctx.temporary(ctx.types.type_of(symbol))
    target = p.GlobalRef(found.symbol, (), local.type, name.span)
    value = p.LocalRef(local, name.span)
    return local, (p.ExprStmt(p.Assign(None, target, value, local.type, name.span), name.span),)


def _loop_variable(
    ctx: FunctionContext, name: syntax.Name, symbol: Symbol
) -> tuple[p.Local, p.Stmts]:
    """A loop's variable, which has the type of the key or value that it visits; each types the other."""
    own, _ = ctx.resolve(name.name)
    type_ = ctx.types.type_of(symbol)
    if type_ is not STAT:
        ctx.types.learn(symbol, ctx.types.type_of(own), name.span)
        pointer_types.unify(ctx, own, symbol)
    return _assigned_by_statement(ctx, name, UNKNOWN if type_ is STAT else type_)


def _loop_variables(
    ctx: FunctionContext, s: syntax.Foreach, found: GlobalSymbol
) -> list[tuple[p.Local, p.Stmts]]:
    """The variables of the keys, and of the value if the loop has one."""
    visited = [_loop_variable(ctx, k, ("key", found.symbol, i)) for i, k in enumerate(s.keys)]
    for i, k in enumerate(s.keys):
        ctx.types.key_names.setdefault((found.symbol, i), k.name)
    if s.value is not None:
        if ctx.types.type_of(("global", found.symbol)) is STAT:
            ctx.report(
                "type-mismatch",
                f"'{found.declared.name}' holds statistics, which a variable cannot",
                s.value.span,
                f"use @count({found.declared.name}[...]) in the loop",
            )
        visited.append(_loop_variable(ctx, s.value, ("global", found.symbol)))
    return visited


def _foreach(ctx: FunctionContext, s: syntax.Foreach) -> p.Stmts:
    ctx.program.has_foreach = True
    limit = ctx.typed(s.limit, LONG) if s.limit is not None else None
    if isinstance(s.over, syntax.Histogram):
        return _foreach_bucket(ctx, s, s.over, limit)
    found = array(ctx, s.over)
    if found is None:
        return ()
    ctx.types.learn_arity(found.symbol, len(s.keys), s.span)
    visited = _loop_variables(ctx, s, found)
    slice_: tuple[p.Expr | None, ...] = ()
    if s.slice:
        slice_ = lower_keys(ctx, found, s.slice, s.span)
    sort = None
    if s.sort is not None:
        sort = _sort(ctx, s.sort, found)
    first = [stmt for _, stmts in visited for stmt in stmts]
    body = (*first, *_body(ctx, s.body))
    locals_ = tuple(local for local, _ in visited)
    keys, value = locals_[: len(s.keys)], locals_[-1] if s.value is not None else None
    return (p.Foreach(keys, value, found.symbol, slice_, sort, limit, body, s.span),)


def _sort(ctx: FunctionContext, s: syntax.Sort, found: GlobalSymbol) -> p.Sort:
    extractor = s.extractor
    if s.key is None:
        type_ = ctx.types.type_of(("global", found.symbol))
        if type_ is STAT and extractor is None:
            extractor = "count"
        if extractor is not None and type_ not in (STAT, UNKNOWN):
            ctx.report("not-a-statistic", f"'{found.declared.name}' holds no statistics", s.span)
    return p.Sort(s.key, extractor, s.descending)


def _foreach_bucket(
    ctx: FunctionContext, s: syntax.Foreach, over: syntax.Histogram, limit: p.Expr | None
) -> p.Stmts:
    found = buckets(ctx, over)
    if len(s.keys) != 1:
        ctx.report("arity-mismatch", "a histogram's buckets have one key", s.span)
    index, first = _assigned_by_statement(ctx, s.keys[0], LONG)
    value: p.Local | None = None
    second: p.Stmts = ()
    if s.value is not None:
        value, second = _assigned_by_statement(ctx, s.value, LONG)
    body = (*first, *second, *_body(ctx, s.body))
    if found is None:
        return ()
    if s.sort is not None and s.sort.key is None:
        ctx.report(
            "not-supported",
            "a histogram's buckets are not sorted by what they count",
            s.sort.span,
            "leave the sign out, or put it behind the bucket's variable",
        )
    descending = s.sort is not None and s.sort.descending
    return (p.ForeachBucket(index, value, found, descending, limit, body, s.span),)


def _return(ctx: FunctionContext, s: syntax.Return) -> p.Stmts:
    result = ctx.result
    if result is None:
        if s.value is not None:
            ctx.report("return-in-probe", "a probe returns no value", s.span, "write 'next'")
        return (p.Next(s.span),)
    known = ctx.types.known.get(result)
    if s.value is None:
        if known is not None:
            _, line, column = known[1].location
            ctx.report(
                "no-value",
                f"this returns nothing from a function that returns {article(known[0])}",
                s.span,
                f"compare {known[1].location[0]}:{line}:{column}",
            )
        return (p.Return(None, s.span),)
    value = ctx.expr(s.value, known[0] if known else None)
    if value.type is None:  # it calls a function that returns nothing, and no caller needs a value
        return (p.ExprStmt(value, s.value.span), p.Return(None, s.span))
    if value.type is UNKNOWN:  # the function returns a value; a later round learns its type
        ctx.types.this_round.untyped_results.add(result)
    if value.type is STAT:
        ctx.require(value, LONG, s.value.span)
    else:
        ctx.types.learn(result, value.type, s.value.span)
        propagate(ctx, s.value, result)
    return (p.Return(value, s.span),)


def _delete(ctx: FunctionContext, s: syntax.Delete) -> p.Stmts:
    match s.target:
        case syntax.Name() as name:
            if (
                ctx.local_name(name.name) in ctx.locals
                and ctx.program.find_global(name.name, ctx.file) is None
            ):
                return _reset_local(ctx, name, s.span)
            found = array(ctx, name)
            keys: tuple[p.Expr | None, ...] = ()
        case syntax.Index() as e:
            found = array(ctx, e.array)
            keys = lower_keys(ctx, found, e.keys, e.span) if found else ()
        case _:
            ctx.report("bad-delete", "only globals and their elements are deleted", s.span)
            return ()
    return (p.Delete(found.symbol, keys, s.span),) if found is not None else ()


def _reset_local(ctx: FunctionContext, name: syntax.Name, span: Span) -> p.Stmts:
    local = ctx.local(name.name)
    type_: ValueType = local.type
    zero: p.Expr = p.String("", span) if type_ is STRING else p.Number(0, span)
    return (p.ExprStmt(p.Assign(None, p.LocalRef(local, span), zero, type_, span), span),)
