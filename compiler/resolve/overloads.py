# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of one name: which of them a call may run, in which order.

    function f(x) { if (x) next; return 1 }        f(2) -> Overloads((f, f__2)): f runs, and its `next`
    function f(x) { return 2 }                             is `return f__2(x)`, with x as it was passed

A private function of the calling file hides public ones. The number of arguments chooses, then the
priority: 1 before 2; the user's functions without a priority before all others; the library's have 1 by
default. Equal ones run in the order in which they are written. User functions that no `next` leads to
are checked as well; functions of the library are not, because a user may define a function whose name
the library has.
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG
from compiler.ir.source import Span
from compiler.resolve.context_variables import context_variable
from compiler.resolve.contexts import FunctionContext, Overloads, ProgramContext
from compiler.resolve.syntax_queries import changed_names, walk
from runtime.abi.manifest import ValueType
from runtime.support.record import replace


def visible(program: ProgramContext, name: str, file: str) -> list[syntax.Function]:
    """Functions of a name that a file can call."""
    found = program.functions.get(name, [])
    own = [f for f in found if f.private and f.span.source.name == file]
    return own or [f for f in found if not f.private]


def choose(program: ProgramContext, name: str, arity: int, file: str) -> Overloads | None:
    """The functions that a call with this many arguments runs; None if there is no such function."""
    fitting = [f for f in visible(program, name, file) if len(f.parameters) == arity]
    if not fitting:
        return None
    ordered = sorted(fitting, key=lambda f: _priority(program, f))
    users = [f for f in ordered if not _in_library(program, f)]
    if users and not has_next(users[-1]):
        ordered = users
    known = program.functions[name]
    symbols = tuple(_symbol(program, f, known) for f in ordered)
    return Overloads(tuple(ordered), symbols)


def call_next(ctx: FunctionContext, span: Span) -> p.Stmts:
    """`next` in a function: the following overload runs with the arguments as they were passed."""
    overloads = ctx.overloads
    assert overloads is not None
    index = overloads.symbols.index(str(ctx.key[1]))
    f = overloads.functions[index]
    if index + 1 == len(overloads.symbols):
        return (p.Fail(f"no function {f.name}() is left for 'next'", span),)
    symbol = overloads.symbols[index + 1]
    args = _passed_arguments(ctx, f, symbol, span)
    if ctx.types.returns_nothing(overloads.result):
        call = p.Call(symbol, args, None, span)
        return (p.ExprStmt(call, span), p.Return(None, span))
    call = p.Call(symbol, args, ctx.types.type_of(overloads.result), span)
    return (p.Return(call, span),)


def _passed_arguments(
    ctx: FunctionContext, f: syntax.Function, symbol: str, span: Span
) -> tuple[p.Expr, ...]:
    """Parameters as the caller passed them. One that the body changes is saved when it starts."""
    changed = changed_names(f.body)
    hidden = hidden_arguments(ctx, symbol, span)
    args: list[p.Expr] = []
    for parameter in f.parameters:
        local = ctx.local(parameter.name)
        if parameter.name in changed:
            local = ctx.saved_parameters.setdefault(
                parameter.name, p.Local(f"{parameter.name}.given", local.type)
            )
        args.append(p.LocalRef(local, span))
    return (*args, *hidden)


def wrap_embedded(ctx: FunctionContext, made: p.Function) -> tuple[p.Function, p.Function]:
    """Embedded C that may request the next overload: a function that calls the C, then the overload."""
    span = made.span
    inner = replace(made, symbol=f"{made.symbol}__c")
    passed = tuple(p.LocalRef(ctx.local(name), span) for name in ctx.parameters)
    call = p.Call(inner.symbol, passed, made.result, span)
    next_requested = p.EmbeddedExpr("sw_next_wanted(c)", LONG, span, fallible=False)
    choice = p.If(next_requested, call_next(ctx, span), (), span)
    stmts: p.Stmts = (p.ExprStmt(call, span), choice)
    if made.result is not None:
        result = p.LocalRef(ctx.temporary(made.result), span)
        stmts = (
            p.ExprStmt(p.Assign(None, result, call, made.result, span), span),
            choice,
            p.Return(result, span),
        )
    own = tuple(local for name, local in ctx.locals.items() if name not in ctx.parameters)
    outer = replace(
        made, body=p.Body(own, stmts), code=None, pure=False, bound=None, reads=(), writes=()
    )
    return outer, inner


def hidden_arguments(ctx: FunctionContext, symbol: str, span: Span) -> list[p.Expr]:
    """Values of the context variables that a function uses, for its hidden parameters."""
    names = ctx.types.hidden_parameters.get(symbol, ())
    return [context_variable(ctx, name, span).expr for name in names]


def learn_parameters(program: ProgramContext, overloads: Overloads) -> None:
    """Take declared types; parameters of overloads at the same position have the same type."""
    types = program.types
    first, *others = zip(overloads.functions, overloads.symbols, strict=True)
    for f, symbol in (first, *others):
        for parameter in f.parameters:
            if parameter.type is not None:
                key = ("function", symbol, parameter.name)
                types.learn(key, ValueType(parameter.type), parameter.span)
        if f.type is not None:
            types.learn(overloads.result, ValueType(f.type), f.name_span)
    for f, symbol in others:
        for one, other in zip(first[0].parameters, f.parameters, strict=True):
            mine, theirs = ("function", first[1], one.name), ("function", symbol, other.name)
            if mine in types.known:
                types.learn(theirs, types.type_of(mine), one.span)
            else:
                types.learn(mine, types.type_of(theirs), one.span)


def _in_library(program: ProgramContext, f: syntax.Function) -> bool:
    return f.span.source.name in program.library_files


def _priority(program: ProgramContext, f: syntax.Function) -> int:
    if f.priority is not None:
        return f.priority
    return int(_in_library(program, f))


def _symbol(program: ProgramContext, f: syntax.Function, known: list[syntax.Function]) -> str:
    """A symbol of its own for each function of an overloaded name."""
    index = next(i for i, one in enumerate(known) if one is f)
    symbol = f.name if index == 0 else f"{f.name}__{index + 1}"
    while index and symbol in program.functions:
        symbol += "_"
    return symbol


def has_next(f: syntax.Function) -> bool:
    """Whether a function has a `next`."""
    if isinstance(f.body, syntax.EmbeddedC):
        return "STAP_NEXT" in f.body.code
    return any(isinstance(node, syntax.Next) for node in walk(f.body))
