# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of one name: which of them a call may run, in which order.

    function f(x) { if (x) next; return 1 }        f(2) -> Overloads((f, f__2)): f runs, and its `next`
    function f(x) { return 2 }                             is `return f__2(x)`, with x as it was given

A private function of the calling file hides public ones. The number of arguments chooses, then the
priority: 1 before 2, the user's functions without one before them all, the library's by default with 1;
equal ones in the order they are written. What no `next` leads to is checked as well, but the library's:
a user may define a function whose name the library has.
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG
from compiler.ir.source import Span
from compiler.resolve import context_variables
from compiler.resolve.scope import Overloads, Scope, World
from compiler.resolve.syntax_queries import walk
from runtime.abi.manifest import ValueType
from runtime.support.record import replace


def visible(world: World, name: str, file: str) -> list[syntax.Function]:
    """Functions of a name that a file can call."""
    found = world.functions.get(name, [])
    own = [f for f in found if f.private and f.span.source.name == file]
    return own or [f for f in found if not f.private]


def choose(world: World, name: str, arity: int, file: str) -> Overloads | None:
    """What a call with so many arguments runs; None if there is no such function."""
    fitting = [f for f in visible(world, name, file) if len(f.parameters) == arity]
    if not fitting:
        return None
    ordered = sorted(fitting, key=lambda f: _priority(world, f))
    users = [f for f in ordered if not _of_library(world, f)]
    if users and not goes_on(users[-1]):
        ordered = users
    known = world.functions[name]
    symbols = tuple(_symbol(world, f, known) for f in ordered)
    return Overloads(tuple(ordered), symbols)


def go_on(scope: Scope, span: Span) -> p.Stmts:
    """`next` in a function: the following overload runs with the arguments as they were given."""
    overloads = scope.overloads
    assert overloads is not None and scope.result is not None
    place = overloads.symbols.index(str(scope.key[1]))
    f = overloads.functions[place]
    if place + 1 == len(overloads.symbols):
        return (p.Fail(f"no function {f.name}() is left for 'next'", span),)
    symbol = overloads.symbols[place + 1]
    changed = _changed_names(f.body)
    args: list[p.Expr] = []
    hidden = hidden_arguments(scope, symbol, span)
    for parameter in f.parameters:
        local = scope.local(parameter.name)
        if parameter.name in changed:
            local = scope.saved.setdefault(
                parameter.name, p.Local(f"{parameter.name}__given", local.type)
            )
        args.append(p.LocalRef(local, span))
    args += hidden
    if scope.facts.gives_nothing(scope.result):
        call = p.Call(symbol, tuple(args), None, span)
        return (p.ExprStmt(call, span), p.Return(None, span))
    call = p.Call(symbol, tuple(args), scope.facts.type_of(scope.result), span)
    return (p.Return(call, span),)


def around(scope: Scope, made: p.Function) -> tuple[p.Function, p.Function]:
    """C that may ask for the next overload: a function that calls it, and does as it asks."""
    span = made.span
    inner = replace(made, symbol=f"{made.symbol}__c")
    given = tuple(p.LocalRef(scope.local(name), span) for name in scope.parameters)
    call = p.Call(inner.symbol, given, made.result, span)
    asked = p.EmbeddedExpr("sw_next_wanted(c)", LONG, span, fallible=False)
    choice = p.If(asked, go_on(scope, span), (), span)
    stmts: p.Stmts = (p.ExprStmt(call, span), choice)
    if made.result is not None:
        kept = p.LocalRef(scope.temporary(made.result), span)
        stmts = (
            p.ExprStmt(p.Assign(None, kept, call, made.result, span), span),
            choice,
            p.Return(kept, span),
        )
    own = tuple(local for name, local in scope.locals.items() if name not in scope.parameters)
    outer = replace(
        made, body=p.Body(own, stmts), code=None, pure=False, bound=None, reads=(), writes=()
    )
    return outer, inner


def hidden_arguments(scope: Scope, symbol: str, span: Span) -> list[p.Expr]:
    """Values of the context variables that a function uses, for its hidden parameters."""
    names = scope.facts.hidden.get(symbol, ())
    return [context_variables.variable(scope, name, span).expr for name in names]


def learn_parameters(world: World, overloads: Overloads) -> None:
    """Overloads take arguments of the same types."""
    facts = world.facts
    first, *others = zip(overloads.functions, overloads.symbols, strict=True)
    for f, symbol in (first, *others):
        for parameter in f.parameters:
            if parameter.type is not None:
                fact = ("function", symbol, parameter.name)
                facts.learn(fact, ValueType(parameter.type), parameter.span)
        if f.type is not None:
            facts.learn(overloads.result, ValueType(f.type), f.name_span)
    for f, symbol in others:
        for one, other in zip(first[0].parameters, f.parameters, strict=True):
            mine, theirs = ("function", first[1], one.name), ("function", symbol, other.name)
            if mine in facts.types:
                facts.learn(theirs, facts.type_of(mine), one.span)
            else:
                facts.learn(mine, facts.type_of(theirs), one.span)


def _of_library(world: World, f: syntax.Function) -> bool:
    return f.span.source.name in world.library_files


def _priority(world: World, f: syntax.Function) -> int:
    if f.priority is not None:
        return f.priority
    return int(_of_library(world, f))


def _symbol(world: World, f: syntax.Function, known: list[syntax.Function]) -> str:
    """A name of its own for each function of an overloaded name."""
    index = next(i for i, one in enumerate(known) if one is f)
    symbol = f.name if index == 0 else f"{f.name}__{index + 1}"
    while index and symbol in world.functions:
        symbol += "_"
    return symbol


def goes_on(f: syntax.Function) -> bool:
    """Whether a function has a `next`."""
    if isinstance(f.body, syntax.EmbeddedC):
        return "STAP_NEXT" in f.body.code
    return any(isinstance(node, syntax.Next) for node in walk(f.body))


def _changed_names(body: syntax.Block | syntax.EmbeddedC) -> set[str]:
    """Scalars that a body may give another value."""
    found: set[str] = set()
    for node in walk(body):
        match node:
            case (
                syntax.Assign(target=syntax.Name(name=name))
                | syntax.Increment(target=syntax.Name(name=name))
                | syntax.Delete(target=syntax.Name(name=name))
                | syntax.TryCatch(variable=syntax.Name(name=name))
            ):
                found.add(name)
            case syntax.Foreach(keys=keys, value=value):
                found |= {key.name for key in (*keys, *([value] if value else []))}
            case _:
                pass
    return found
