# SPDX-License-Identifier: GPL-2.0-or-later
"""Lowering: all bodies of a program once, against the types that are known.

lower_bodies(program, declarations) -> Bodies(probes=(p.Probe(...), ...), functions=(p.Function(...), ...))

Probes come first, then the functions that they call, then those that these call. Inference does this
once in each round, the final program is what the last round lowers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from compiler.analysis.effects import uses_match
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.hooks import Ftrace, Hook, Kprobe, Uretprobe
from compiler.ir.program import LONG, STRING
from compiler.ir.source import Span
from compiler.ir.walk import walk
from compiler.probes import ProbeSite
from compiler.probes.expand import ResolvedProbePoint
from compiler.resolve import expressions
from compiler.resolve.context_variables import hidden_parameter
from compiler.resolve.contexts import FunctionContext, GlobalSymbol, Overloads, ProgramContext
from compiler.resolve.declarations import Declarations
from compiler.resolve.embedded_c import inspect, symbols
from compiler.resolve.overloads import has_next, learn_parameters, wrap_embedded
from compiler.resolve.statements import lower_block
from compiler.resolve.syntax_queries import written_names
from compiler.resolve.type_environment import Symbol
from runtime.support.record import record, replace

_MOST_PARAMETERS = 32  # they are on the kernel's stack


@record
class Bodies:
    """The bodies that one round has lowered."""

    probes: Sequence[p.Probe]
    functions: Sequence[p.Function]


def lower_bodies(
    program: ProgramContext, declarations: Declarations, first: Iterable[Overloads]
) -> Bodies:
    """Lower the functions in `first`, then all probes and what they call."""
    _learn_initial_values(program)
    for overloads in first:
        _functions(program, overloads)
    probes = _probes(program, declarations.handlers)
    for index, (probe, site) in enumerate(declarations.suppressed):
        _suppressed_probe(program, probe, index, site)
    functions: dict[str, p.Function] = {}
    while waiting := [o for s, o in program.called.items() if s not in functions]:
        for overloads in waiting:
            functions |= _functions(program, overloads)
    if program.types.is_reporting:
        _check_globals(program)
    return Bodies(probes, list(functions.values()))


# ---------------------------------------------------------------- globals


def _learn_initial_values(program: ProgramContext) -> None:
    for g in program.globals.values():
        _check_size(program, g)
        init = g.declared.init
        if init is not None:
            type_ = STRING if isinstance(init, syntax.String) else LONG
            program.types.learn(("global", g.symbol), type_, init.span)
            program.types.learn_arity(g.symbol, 0, init.span)


def _check_size(program: ProgramContext, g: GlobalSymbol) -> None:
    arity, where = program.types.arity.get(g.symbol, (None, g.declared.span))
    if (g.declared.size is not None or g.declared.wrap) and arity == 0:
        program.types.reports.report(
            "arity-mismatch",
            f"'{g.declared.name}' has no keys here, but is declared as an array",
            where,
            f"compare {':'.join(map(str, g.declared.span.location))}",
        )


def _check_globals(program: ProgramContext) -> None:
    """Report globals that are used, but have no type because nothing is put into them."""
    for g in program.used_globals.values():
        types, name = program.types, g.declared.name
        arity = types.arity.get(g.symbol, (0,))[0]
        hint = f"fill it: {name}[...] = ..." if arity else "assign to it"
        needed: list[Symbol] = [("global", g.symbol)]
        needed += [("key", g.symbol, i) for i in range(arity)]
        untyped = next((symbol for symbol in needed if symbol not in types.known), None)
        if untyped is not None:
            message = f"'{name}' is used, but nothing gives it a type"
            types.report_untyped(untyped, message, g.declared.span, hint)


# ---------------------------------------------------------------- probes


def _probes(program: ProgramContext, handlers: Sequence[ResolvedProbePoint]) -> list[p.Probe]:
    """Probes of all sites. Functions of a wildcard share one probe if their handlers are equal.

    A handler that does not depend on its site is lowered for the first function of the wildcard only.
    Handlers that do are lowered for each function and compared.
    """
    found: dict[object, p.Probe] = {}
    # from the origin of a handler to the key of its probe in `found`
    shared: dict[object, object] = {}
    for index, d in enumerate(handlers):
        origin = _origin(d) if d.site.hook.functions else index
        key = shared.get(origin)
        if key is None:
            probe, depends_on_site = _probe(program, d, index)
            key = _content(probe) if probe.hook.functions else index
            if not depends_on_site:
                shared[origin] = key
            if key not in found:
                found[key] = probe
                continue
        first = found[key]
        hook = replace(first.hook, functions=(*first.hook.functions, *d.site.hook.functions))
        found[key] = replace(first, hook=hook, point=first.written)
    return list(found.values())


def _origin(d: ResolvedProbePoint) -> object:
    """The inputs from which a handler is lowered, without its site; spans represent the syntax."""
    nodes = (*d.prologue, d.body, *d.epilogue, *d.conditions)
    return d.span, d.optional, _hook_target(d.site.hook), tuple(node.span for node in nodes)


def _content(probe: p.Probe) -> object:
    """The contents of a probe, without its functions."""
    target = _hook_target(probe.hook)
    return probe.span, probe.optional, target, probe.condition, probe.entry, probe.body


def _hook_target(hook: Hook) -> object:
    return type(hook), hook.group()


def _probe(program: ProgramContext, d: ResolvedProbePoint, index: int) -> tuple[p.Probe, bool]:
    """A site's probe, and whether its handler depends on this particular site."""
    ctx = FunctionContext(program, ("probe", index), d.span.source.name, d.site, expressions.lower)
    ctx.written_names = written_names(d.body)
    condition = _condition(ctx, d.conditions)
    stmts: list[p.Stmt] = list(_first(ctx, d))
    for block in (*d.prologue, d.body, *d.epilogue):
        ctx.file = block.span.source.name
        stmts += lower_block(ctx, block)
    body = p.Body(tuple(ctx.locals.values()), tuple(stmts))
    hook = d.site.hook
    if isinstance(hook, Ftrace) and any(isinstance(n, p.Register) for n in walk(*stmts)):
        # ftrace saves and restores arguments only
        hook = Kprobe(hook.symbol)
    optional = d.optional or d.site.optional
    entry = tuple(ctx.entry_values)
    probe = p.Probe(
        hook, d.site.point, d.written, condition, entry, body, d.span, optional=optional
    )
    return probe, ctx.depends_on_site or not hook.functions


def _first(ctx: FunctionContext, d: ResolvedProbePoint) -> Iterator[p.Stmt]:
    """Leaves the handler at hits that are not the point's."""
    if d.site.counts is not None:
        ctx.depends_on_site = True
        test = d.site.counts(d.span)
        if isinstance(d.site.hook, Uretprobe):
            test = ctx.save_at_entry(test, d.span)
        yield p.If(p.Unary("!", test, d.span), (p.Next(d.span),), (), d.span)


def _condition(ctx: FunctionContext, tests: Sequence[syntax.Expr]) -> p.Expr | None:
    """The conditions of a probe point and of its aliases, joined by `&&`."""
    condition: p.Expr | None = None
    for test in tests:
        from compiler.resolve import probe_conditions  # few scripts need it

        probe_conditions.check(ctx, test)
        found = ctx.typed(test, LONG)
        condition = found if condition is None else p.Logical("&&", condition, found, test.span)
    return condition


def _suppressed_probe(
    program: ProgramContext, probe: syntax.Probe, index: int, site: ProbeSite | None
) -> None:
    """Lower the body of a probe that does not run, for its types and errors."""
    key = ("suppressed", index)
    ctx = FunctionContext(program, key, probe.span.source.name, site, expressions.lower)
    ctx.speculative = ctx.unresolved = site is None
    lower_block(ctx, probe.body)


# ---------------------------------------------------------------- functions


def _functions(program: ProgramContext, overloads: Overloads) -> dict[str, p.Function]:
    """Overloads by their symbols; embedded C with a `next` becomes two functions."""
    learn_parameters(program, overloads)
    lowered: dict[str, p.Function] = {}
    for symbol, f in zip(overloads.symbols, overloads.functions, strict=True):
        made = lowered[symbol] = _function(program, symbol, f, overloads)
        if made.code is not None and has_next(f):
            ctx = _function_context(program, symbol, f, overloads)
            lowered |= {each.symbol: each for each in wrap_embedded(ctx, made)}
    return lowered


def _function_context(
    program: ProgramContext, symbol: str, f: syntax.Function, overloads: Overloads
) -> FunctionContext:
    return FunctionContext(
        program,
        ("function", symbol),
        f.span.source.name,
        program.clone_sites.get(symbol),
        expressions.lower,
        tuple(parameter.name for parameter in f.parameters),
        overloads,
    )


def _function(
    program: ProgramContext, symbol: str, f: syntax.Function, overloads: Overloads
) -> p.Function:
    types = program.types
    ctx = _function_context(program, symbol, f, overloads)
    body: p.Body | None = None
    code: str | None = None
    bound: int | None = None
    fallible, pure, unwinds = False, False, False
    reads, writes = tuple[tuple[str, str], ...](), tuple[tuple[str, str], ...]()
    if isinstance(f.body, syntax.EmbeddedC):
        c = inspect(f.body.code)
        code, bound, fallible, pure = c.code, c.bound, c.fallible, c.pure
        unwinds = c.unwinds
        reads, writes = symbols(ctx, c.reads, f.span), symbols(ctx, c.writes, f.span)
        if uses_match(code):
            types.learn_captures()
    else:
        body = _function_body(ctx, f.body, f.span)
    parameters = [p.Local(n, types.type_of((*ctx.key, n))) for n in ctx.parameters]
    parameters += [hidden_parameter(n) for n in types.hidden_parameters.get(symbol, ())]
    if len(parameters) > _MOST_PARAMETERS:
        types.reports.report(
            "too-many-parameters",
            f"'{f.name}' has {len(parameters)} parameters and context variables, and a function has at "
            f"most {_MOST_PARAMETERS}",
            f.span,
            "pass them in an array, or make several functions of it",
        )
    result = overloads.result
    return p.Function(
        symbol,
        f.name,
        tuple(parameters),
        None if types.returns_nothing(result) else types.type_of(result),
        body,
        code,
        pure,
        fallible,
        bound,
        ctx.in_library,
        f.span,
        reads,
        writes,
        unwinds,
    )


def _function_body(ctx: FunctionContext, block: syntax.Block, span: Span) -> p.Body:
    """The statements, after those that save parameters for the next overload."""
    stmts = lower_block(ctx, block)
    saves = (_save(ctx, name, local, span) for name, local in ctx.saved_parameters.items())
    own = [local for name, local in ctx.locals.items() if name not in ctx.parameters]
    return p.Body((*own, *ctx.saved_parameters.values()), (*saves, *stmts))


def _save(ctx: FunctionContext, name: str, saved: p.Local, span: Span) -> p.Stmt:
    passed = p.LocalRef(ctx.local(name), span)
    return p.ExprStmt(p.Assign(None, p.LocalRef(saved, span), passed, saved.type, span), span)
