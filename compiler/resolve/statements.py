# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements: blocks flatten, `for` becomes a loop with a step, prints become event records."""

from __future__ import annotations

from functools import partial
from typing import assert_never

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.resolve import calls, overloads, pointer_types, print_statements
from compiler.resolve.scope import GlobalSymbol, Scope
from compiler.resolve.static_tests import constant, dead, guards, unreached
from compiler.resolve.statistics_ops import buckets, statistic
from compiler.resolve.type_facts import UNKNOWN, article
from compiler.resolve.variables import array, lower_keys
from runtime.abi.manifest import ValueType

_LEAVES = (syntax.Next, syntax.Return, syntax.Break, syntax.Continue)


def lower_block(scope: Scope, block: syntax.Block) -> p.Stmts:
    """All statements of a block. In functions, what is behind one that leaves it tells no types."""
    found: list[p.Stmt] = []
    left = False
    for s in block.body:
        if left and scope.in_function:
            calls.check_names(scope, s)
        elif left:
            found += unreached(scope, partial(lower_stmt, scope, s))
        else:
            found += lower_stmt(scope, s)
        left = left or isinstance(s, _LEAVES)
    return tuple(found)


def lower_stmt(scope: Scope, s: syntax.Stmt) -> p.Stmts:
    """One statement, as none or several."""
    match s:
        case syntax.Block():
            return lower_block(scope, s)
        case syntax.Empty():
            return ()
        case syntax.ExprStmt():
            return _expr_stmt(scope, s)
        case syntax.If():
            return _if(scope, s)
        case syntax.While():
            test = scope.typed(s.test, LONG)
            body = _loop_body(scope, s.test, s.body)
            return (p.Loop(test, None, body, s.span),)
        case syntax.For():
            return _for(scope, s)
        case syntax.Foreach():
            return _foreach(scope, s)
        case syntax.Break() | syntax.Continue():
            word = "break" if isinstance(s, syntax.Break) else "continue"
            if not scope.loops:
                scope.facts.fault("outside-loop", f"'{word}' stands outside any loop", s.span)
                return ()
            return (p.Break(s.span) if isinstance(s, syntax.Break) else p.Continue(s.span),)
        case syntax.Next():
            return (p.Next(s.span),) if scope.overloads is None else overloads.go_on(scope, s.span)
        case syntax.Return():
            return _return(scope, s)
        case syntax.Delete():
            return _delete(scope, s)
        case syntax.TryCatch():
            body = lower_block(scope, s.body)
            variable: p.Local | None = None
            first: p.Stmts = ()
            if s.variable is not None:
                variable, first = _given(scope, s.variable, STRING)
            return (p.Try(body, variable, (*first, *lower_block(scope, s.handler)), s.span),)
        case _:
            assert_never(s)


def _body(scope: Scope, s: syntax.Stmt) -> p.Stmts:
    scope.loops += 1
    found = lower_stmt(scope, s)
    scope.loops -= 1
    return found


def _loop_body(scope: Scope, test: syntax.Expr | None, s: syntax.Stmt) -> p.Stmts:
    """The body of a loop, which may never run."""
    value = constant(scope, test) if test is not None else None
    if test is not None and isinstance(value, p.Number) and not value.value:
        return dead(scope, test, partial(_body, scope, s))
    return _body(scope, s)


def _expr_stmt(scope: Scope, s: syntax.ExprStmt) -> p.Stmts:
    match s.value:
        case syntax.Print() as e:
            return (print_statements.lower_print_stmt(scope, e),)
        case syntax.Call(name="log", args=(_,)) as e if "log" not in scope.world.functions:
            return (print_statements.lower_log(scope, e),)
        case syntax.Call() as e:
            return (p.ExprStmt(calls.call(scope, e, None, is_statement=True), s.span),)
        case syntax.Assign(op="<<<") as e:
            return _accumulate(scope, e)
        case syntax.Conditional() as e:  # often used as a statement; its branches may print
            then = syntax.ExprStmt(e.then, e.then.span)
            otherwise = syntax.ExprStmt(e.otherwise, e.otherwise.span)
            return _if(scope, syntax.If(e.test, then, otherwise, s.span))
        case e:
            return (p.ExprStmt(scope.expr(e, None), s.span),)


def _accumulate(scope: Scope, e: syntax.Assign) -> p.Stmts:
    target = statistic(scope, e.target)
    value = scope.typed(e.value, LONG)
    return (p.Accumulate(target, value, e.span),) if target is not None else ()


def _if(scope: Scope, s: syntax.If) -> p.Stmts:
    value = constant(scope, s.test)
    runs = (True, True)
    if isinstance(value, p.Number):
        if guards(scope, s.test):  # the other branch is not for this probe
            chosen = s.then if value.value else s.otherwise
            return lower_stmt(scope, chosen) if chosen is not None else ()
        runs = (value.value != 0, value.value == 0)
    test = scope.typed(s.test, LONG)
    then, otherwise = (
        ()
        if branch is None
        else lower_stmt(scope, branch)
        if does_run
        else unreached(scope, partial(lower_stmt, scope, branch))
        for branch, does_run in zip((s.then, s.otherwise), runs, strict=True)
    )
    return (p.If(test, then, otherwise, s.span),)


def _for(scope: Scope, s: syntax.For) -> p.Stmts:
    init: p.Stmts = ()
    if s.init is not None:
        init = lower_stmt(scope, syntax.ExprStmt(s.init, s.init.span))
    test = scope.typed(s.test, LONG) if s.test is not None else p.Number(1, s.span)
    body = _loop_body(scope, s.test, s.body)
    step = scope.expr(s.step, None) if s.step is not None else None
    return (*init, p.Loop(test, step, body, s.span))


def _given(scope: Scope, name: syntax.Name, type_: ValueType) -> tuple[p.Local, p.Stmts]:
    """A variable that a statement gives values of a type, and what its block begins with: a global takes them
    over from a local.
    """
    fact, found = scope.variable(name.name)
    scope.facts.learn(fact, type_, name.span)
    if found is None:
        scope.assigned.add(name.name)
        return scope.local(name.name), ()
    scope.facts.learn_arity(found.symbol, 0, name.span)
    local = scope.temporary(scope.facts.type_of(fact))
    target = p.GlobalRef(found.symbol, (), local.type, name.span)
    value = p.LocalRef(local, name.span)
    return local, (p.ExprStmt(p.Assign(None, target, value, local.type, name.span), name.span),)


def _visited(
    scope: Scope, name: syntax.Name, fact: tuple[str | int, ...]
) -> tuple[p.Local, p.Stmts]:
    """A loop's variable, of the type of what it visits; each tells the other."""
    own, _ = scope.variable(name.name)
    type_ = scope.facts.type_of(fact)
    if type_ is not STAT:
        scope.facts.learn(fact, scope.facts.type_of(own), name.span)
        pointer_types.exchange(scope, own, fact)
    return _given(scope, name, UNKNOWN if type_ is STAT else type_)


def _foreach(scope: Scope, s: syntax.Foreach) -> p.Stmts:
    limit = scope.typed(s.limit, LONG) if s.limit is not None else None
    if isinstance(s.over, syntax.Histogram):
        return _foreach_bucket(scope, s, s.over, limit)
    found = array(scope, s.over)
    if found is None:
        return ()
    scope.facts.learn_arity(found.symbol, len(s.keys), s.span)
    visited = [_visited(scope, k, ("key", found.symbol, i)) for i, k in enumerate(s.keys)]
    for i, k in enumerate(s.keys):
        scope.facts.key_names.setdefault((found.symbol, i), k.name)
    if s.value is not None:
        if scope.facts.type_of(("global", found.symbol)) is STAT:
            scope.facts.fault(
                "type-mismatch",
                f"'{s.over.name}' holds statistics, which a variable cannot",
                s.value.span,
                f"use @count({s.over.name}[...]) in the loop",
            )
        visited.append(_visited(scope, s.value, ("global", found.symbol)))
    slice_: tuple[p.Expr | None, ...] = ()
    if s.slice:
        slice_ = lower_keys(scope, found, s.slice, s.span)
    sort = None
    if s.sort is not None:
        sort = _sort(scope, s.sort, found)
    first = [stmt for _, stmts in visited for stmt in stmts]
    body = (*first, *_body(scope, s.body))
    locals_ = tuple(local for local, _ in visited)
    keys, value = locals_[: len(s.keys)], locals_[-1] if s.value is not None else None
    return (p.Foreach(keys, value, found.symbol, slice_, sort, limit, body, s.span),)


def _sort(scope: Scope, s: syntax.Sort, found: GlobalSymbol) -> p.Sort:
    extractor = s.extractor
    if s.key is None:
        type_ = scope.facts.type_of(("global", found.symbol))
        if type_ is STAT and extractor is None:
            extractor = "count"
        if extractor is not None and type_ not in (STAT, UNKNOWN):
            scope.facts.fault(
                "not-a-statistic", f"'{found.declared.name}' holds no statistics", s.span
            )
    return p.Sort(s.key, extractor, s.descending)


def _foreach_bucket(
    scope: Scope, s: syntax.Foreach, over: syntax.Histogram, limit: p.Expr | None
) -> p.Stmts:
    found = buckets(scope, over)
    if len(s.keys) != 1:
        scope.facts.fault("arity-mismatch", "a histogram's buckets have one key", s.span)
    index, first = _given(scope, s.keys[0], LONG)
    value: p.Local | None = None
    second: p.Stmts = ()
    if s.value is not None:
        value, second = _given(scope, s.value, LONG)
    body = (*first, *second, *_body(scope, s.body))
    if found is None:
        return ()
    if s.sort is not None and s.sort.key is None:
        scope.facts.fault(
            "not-supported",
            "a histogram's buckets are not sorted by what they count",
            s.sort.span,
            "leave the sign out, or put it behind the bucket's variable",
        )
    descending = s.sort is not None and s.sort.descending
    return (p.ForeachBucket(index, value, found, descending, limit, body, s.span),)


def _return(scope: Scope, s: syntax.Return) -> p.Stmts:
    if scope.result is None:
        if s.value is not None:
            scope.facts.fault("return-in-probe", "a probe returns no value", s.span, "write 'next'")
        return (p.Next(s.span),)
    known = scope.facts.types.get(scope.result)
    if s.value is None:
        if known is not None:
            _, line, column = known[1].location
            scope.facts.fault(
                "no-value",
                f"this returns nothing from a function that gives {article(known[0])}",
                s.span,
                f"compare {known[1].location[0]}:{line}:{column}",
            )
        return (p.Return(None, s.span),)
    value = scope.expr(s.value, known[0] if known else None)
    if value.type is None:  # what it calls gives nothing, and nobody wants a value
        return (p.ExprStmt(value, s.value.span), p.Return(None, s.span))
    if value.type is UNKNOWN:
        scope.facts.returned.add(scope.result)
    if value.type is STAT:
        scope.require(value, LONG, s.value.span)
    else:
        scope.facts.learn(scope.result, value.type, s.value.span)
        pointer_types.flow(scope, s.value, scope.result)
    return (p.Return(value, s.span),)


def _delete(scope: Scope, s: syntax.Delete) -> p.Stmts:
    match s.target:
        case syntax.Name() as name:
            if name.name in scope.locals and scope.world.find_global(name.name, scope.file) is None:
                return _reset_local(scope, name, s.span)
            found = array(scope, name)
            keys: tuple[p.Expr | None, ...] = ()
        case syntax.Index() as e:
            found = array(scope, e.array)
            keys = lower_keys(scope, found, e.keys, e.span) if found else ()
        case _:
            scope.facts.fault("bad-delete", "only globals and their elements are deleted", s.span)
            return ()
    return (p.Delete(found.symbol, keys, s.span),) if found is not None else ()


def _reset_local(scope: Scope, name: syntax.Name, span: Span) -> p.Stmts:
    local = scope.local(name.name)
    type_: ValueType = local.type
    zero: p.Expr = p.String("", span) if type_ is STRING else p.Number(0, span)
    return (p.ExprStmt(p.Assign(None, p.LocalRef(local, span), zero, type_, span), span),)
