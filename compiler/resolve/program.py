# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole program: bodies lowered in rounds until all types are known.

resolve(scripts, library, environment) -> Program
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from compiler.analysis.effects import fallible_functions, pure_functions, uses_match
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.diagnostics import CompileError, Diagnostic
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.ir.walk import walk
from compiler.probes import Environment, Site
from compiler.probes.expand import Aliases, Derived, derive
from compiler.resolve import expressions, loop_checks, probe_conditions
from compiler.resolve.context_variables import hidden_local
from compiler.resolve.embedded_c import inspect, symbols
from compiler.resolve.global_overrides import given, unknown
from compiler.resolve.overloads import around, goes_on, learn_parameters
from compiler.resolve.scope import GlobalSymbol, Overloads, Scope, World
from compiler.resolve.statements import lower_block
from compiler.resolve.syntax_queries import contextual_functions, written_names
from compiler.resolve.type_facts import Facts, Symbol
from runtime.support.record import replace

_NEVER = Site(p.Hook(p.HookKind.BEGIN), "never")
_ROUNDS = 1000  # at most; each but the last two learns something


def resolve(
    name: str,
    scripts: Sequence[syntax.Script],
    library: Sequence[syntax.Script],
    environment: Environment,
    overrides: Mapping[str, int | str] = MappingProxyType({}),
) -> p.Program:
    """One program from the user's scripts and what they use of the library.

    `overrides` gives globals other initial values. Raises CompileError with every mistake found.
    """
    items = [item for script in scripts for item in script.items]
    known = [item for script in library for item in script.items]
    written = [i for i in items if isinstance(i, syntax.Probe)]
    aliases = Aliases([*items, *known])
    derived, faults = derive(written, aliases, environment)
    placed = {id(d.body) for d in derived}
    left_out = [probe for probe in written if id(probe.body) not in placed]
    never = [probe for probe in left_out if any(_is_never(point) for point in probe.points)]
    unplaced = left_out if faults else []
    functions: dict[str, list[syntax.Function]] = {}
    for item in [*items, *known]:
        if isinstance(item, syntax.Function):
            functions.setdefault(item.name, []).append(item)
    names = frozenset(script.name for script in library)
    waiting = _own_probes(library)
    globals_ = _globals(items, known, faults)
    facts = Facts()
    users, clones = contextual_functions(functions), dict[tuple[str, str], str]()
    called: list[Overloads] = []
    for number in range(_ROUNDS):
        facts.begin_round()
        world = World(
            facts, environment, globals_, functions, names, {}, contextual=users, clones=clones
        )
        # a long chain of calls: arguments go down it in one round, and results up, callees first
        slow = number > 4 and not facts.final
        lost = ((unplaced, None), (never, _NEVER))
        probes, lowered = _round(world, derived, lost, reversed(called) if slow else ())
        used = _used(world, derived) if waiting else set()
        joined = [waiting.pop(file) for file in sorted(used & waiting.keys())]
        if joined:  # in the first rounds: which names are used does not hang on types
            more, missed = derive([p for each in joined for p in each], aliases, environment)
            derived += more
            faults += missed
            facts.changed = True
        if facts.final:
            if not facts.undecided or facts.assumed or faults or facts.faults or facts.spared:
                break
            facts.assumed = True
            continue
        called = list(world.wanted_functions.values())
        settled = not facts.end_round() or number >= _ROUNDS - 3
        facts.final = settled and (facts.wanting or not facts.wanted)
        facts.wanting = settled
    if not (written or faults) and scripts:
        message = "the script has no probe"
        faults.append(Diagnostic("no-probe", message, scripts[0].span, hint="probe begin { ... }"))
    elif not (derived or never or faults) and scripts:
        message = "none of the script's probe points is there, and all are optional"
        faults.append(
            Diagnostic("no-probe", message, written[0].span, hint="without '?' it is told why")
        )
    if not (faults or facts.faults) and facts.spared is not None:
        faults.append(facts.spared)
    faults = _each_point_once(faults)
    faults += facts.faults or loop_checks.check(probes, lowered)
    values = _values(world, overrides, faults)
    if faults:
        raise CompileError(faults)
    pure, fallible = pure_functions(lowered), fallible_functions(lowered)
    embedded = [(i.code, i.span) for i in items if isinstance(i, syntax.EmbeddedC)]
    return p.Program(
        name,
        tuple(
            _global(world, symbol, values.get(symbol.symbol))
            for symbol in sorted(world.used_globals.values(), key=lambda g: g.declared.span.start)
        ),
        tuple(replace(f, pure=f.symbol in pure, fallible=f.symbol in fallible) for f in lowered),
        tuple(probes),
        tuple(embedded),
    )


def _own_probes(library: Sequence[syntax.Script]) -> dict[str, list[syntax.Probe]]:
    """By file of the library: probes that run in every program that uses something of that file."""
    found: dict[str, list[syntax.Probe]] = {}
    for script in library:
        for item in script.items:
            if isinstance(item, syntax.Probe):
                found.setdefault(script.name, []).append(item)
    return found


def _used(world: World, derived: Iterable[Derived]) -> set[str]:
    """Files whose functions, globals or aliases the program uses."""
    spans = [g.declared.span for g in world.used_globals.values()]
    spans += [f.span for o in world.wanted_functions.values() for f in o.functions]
    spans += [block.span for d in derived for block in (*d.prologue, *d.epilogue)]
    return {span.source.name for span in spans}


def _each_point_once(faults: list[Diagnostic]) -> list[Diagnostic]:
    """A probe point that is not known is told once, however many probes have it."""
    found: dict[object, Diagnostic] = {}
    for fault in faults:
        named = fault.slug == "unknown-probe-point"  # the message has the whole point
        found.setdefault(fault.message if named else id(fault), fault)
    return list(found.values())


def _globals(
    items: Sequence[syntax.Item], library: Sequence[syntax.Item], faults: list[Diagnostic]
) -> dict[tuple[str, str], GlobalSymbol]:
    """By file, "" for those of all files, and name. A script's own hides the library's."""
    found: dict[tuple[str, str], GlobalSymbol] = {}
    symbols: set[str] = set()
    own = {item.name for item in items if isinstance(item, syntax.Global)}
    for place, item in enumerate([*items, *library]):
        if not isinstance(item, syntax.Global):
            continue
        hidden = place >= len(items) and item.name in own
        key = (item.span.source.name if item.private or hidden else "", item.name)
        if key in found:
            first = found[key].declared.span.location
            faults.append(
                Diagnostic(
                    "duplicate-global",
                    f"'{item.name}' is declared twice",
                    item.span,
                    hint=f"first at {first[0]}:{first[1]}:{first[2]}",
                )
            )
            continue
        symbol = item.name
        while symbol in symbols:
            symbol += "_"
        symbols.add(symbol)
        found[key] = GlobalSymbol(symbol, item)
    return found


def _round(
    world: World,
    derived: Sequence[Derived],
    lost: Iterable[tuple[Sequence[syntax.Probe], Site | None]],
    before: Iterable[Overloads],
) -> tuple[list[p.Probe], list[p.Function]]:
    """Everything once, in the light of what is known; `lost` are probes that do not run, `before` says
    functions to look at before all.
    """
    for g in world.globals.values():
        _check_size(world.facts, g)
        init = g.declared.init
        if init is not None:
            type_ = STRING if isinstance(init, syntax.String) else LONG
            world.facts.learn(("global", g.symbol), type_, init.span)
            world.facts.learn_arity(g.symbol, 0, init.span)
    for overloads in before:
        _lower(world, overloads)
    probes = _probes(world, derived)
    for number, (unheard, site) in enumerate(lost):
        for index, probe in enumerate(unheard):
            _look_at(world, probe, (number, index), site)
    functions: dict[str, p.Function] = {}
    while waiting := [o for s, o in world.wanted_functions.items() if s not in functions]:
        for overloads in waiting:
            functions |= _lower(world, overloads)
    if world.facts.final:
        _check_globals(world)
    return probes, list(functions.values())


def _lower(world: World, overloads: Overloads) -> dict[str, p.Function]:
    learn_parameters(world, overloads)
    lowered: dict[str, p.Function] = {}
    for symbol, f in zip(overloads.symbols, overloads.functions, strict=True):
        made = lowered[symbol] = _function(world, symbol, f, overloads)
        if made.code is not None and goes_on(f):
            site = world.sites.get(symbol)
            scope = Scope(world, ("function", symbol), f.span.source.name, site, expressions.lower)
            scope.parameters = tuple(parameter.name for parameter in f.parameters)
            scope.result, scope.overloads = overloads.result, overloads
            lowered |= {both.symbol: both for both in around(scope, made)}
    return lowered


def _check_size(facts: Facts, g: GlobalSymbol) -> None:
    arity, where = facts.arity.get(g.symbol, (None, g.declared.span))
    if (g.declared.size is not None or g.declared.wrap) and arity == 0:
        facts.fault(
            "arity-mismatch",
            f"'{g.declared.name}' has no keys here, but is declared as an array",
            where,
            f"compare {':'.join(map(str, g.declared.span.location))}",
        )


def _check_globals(world: World) -> None:
    """What a global holds is told by what is put into it."""
    for g in world.used_globals.values():
        facts, name = world.facts, g.declared.name
        told = (
            "assign to it"
            if not facts.arity.get(g.symbol, (0,))[0]
            else f"fill it: {name}[...] = ..."
        )
        missing: list[Symbol] = [("global", g.symbol)]
        missing += [("key", g.symbol, i) for i in range(facts.arity.get(g.symbol, (0,))[0])]
        for symbol in missing:
            if symbol not in facts.types:
                message = f"'{name}' is used, but nothing tells what it holds"
                facts.suspect(symbol, message, g.declared.span, told)
                break


def _probes(world: World, derived: Sequence[Derived]) -> list[p.Probe]:
    """Handlers of all sites; one for all of a wildcard's functions for which it is the same.

    A body that asks nothing about its function is looked at once. The others are compared.
    """
    found: dict[object, p.Probe] = {}
    alike: dict[object, object] = {}
    for index, d in enumerate(derived):
        functions = d.site.hook.functions
        blocks = (*d.prologue, d.body, *d.epilogue)
        where = (d.site.hook.kind, d.site.hook.program, d.site.hook.binary, d.site.hook.semaphore)
        key: object = (d.span, d.optional, where, tuple(map(id, blocks))) if functions else index
        if key not in alike:
            probe, is_special = _probe(world, d, index)
            own: object = index
            if probe.hook.functions:
                own = (
                    probe.span, probe.hook.optional, where, probe.condition, probe.entry, probe.body,
                )  # fmt: skip
            if not is_special:
                alike[key] = own
            if own not in found:
                found[own] = probe
                continue
            key = own
        else:
            key = alike[key]
        first = found[key]
        hook = replace(first.hook, functions=(*first.hook.functions, *functions))
        found[key] = replace(first, hook=hook, point=first.written)
    return list(found.values())


def _probe(world: World, d: Derived, index: int) -> tuple[p.Probe, bool]:
    """The handler, and whether it depends on the very site."""
    scope = Scope(world, ("probe", index), d.span.source.name, d.site, expressions.lower)
    scope.written = written_names(d.body)
    condition: p.Expr | None = None
    for test in d.conditions:
        probe_conditions.check(scope, test)
        found = scope.typed(test, LONG)
        condition = found if condition is None else p.Logical("&&", condition, found, test.span)
    stmts: list[p.Stmt] = []
    for block in (*d.prologue, d.body, *d.epilogue):
        scope.file = block.span.source.name
        stmts += lower_block(scope, block)
    body = p.Body(tuple(scope.locals.values()), tuple(stmts))
    hook = d.site.hook
    if d.optional:
        hook = replace(hook, optional=True)
    if hook.kind is p.HookKind.FTRACE and any(isinstance(n, p.Register) for n in walk(*stmts)):
        # ftrace saves and restores arguments only
        hook = replace(hook, kind=p.HookKind.KPROBE, offset=0, functions=())
    probe = p.Probe(hook, d.site.point, d.written, condition, tuple(scope.entries), body, d.span)
    return probe, scope.is_special or not hook.functions


def _is_never(point: syntax.ProbePoint) -> bool:
    return [c.name for c in point.components] == ["never"]


def _look_at(world: World, probe: syntax.Probe, number: tuple[int, int], site: Site | None) -> None:
    """A probe that does not run, or has no known place: its body tells types, and its own mistakes."""
    scope = Scope(world, ("lost", *number), probe.span.source.name, site, expressions.lower)
    scope.blind = scope.unplaced = site is None
    lower_block(scope, probe.body)


def _function(world: World, symbol: str, f: syntax.Function, overloads: Overloads) -> p.Function:
    key = ("function", symbol)
    file = f.span.source.name
    parameters = tuple(parameter.name for parameter in f.parameters)
    result = overloads.result
    site = world.sites.get(symbol)
    scope = Scope(world, key, file, site, expressions.lower, parameters, result, overloads)
    body: p.Body | None = None
    code: str | None = None
    bound: int | None = None
    fallible, pure = False, False
    reads, writes = tuple[tuple[str, str], ...](), tuple[tuple[str, str], ...]()
    if isinstance(f.body, syntax.EmbeddedC):
        c = inspect(f.body.code)
        code, bound, fallible, pure = c.code, c.bound, c.fallible, c.pure
        reads, writes = symbols(scope, c.reads, f.span), symbols(scope, c.writes, f.span)
        if uses_match(code) and not world.facts.captures:
            world.facts.captures = world.facts.changed = True
    else:
        stmts = lower_block(scope, f.body)
        stmts = (
            *(_save(scope, name, local, f.span) for name, local in scope.saved.items()),
            *stmts,
        )
        own = [local for name, local in scope.locals.items() if name not in parameters]
        own += scope.saved.values()
        body = p.Body(tuple(own), stmts)
    hidden = world.facts.hidden.get(symbol, ())
    return p.Function(
        symbol,
        f.name,
        (
            *(p.Local(n, world.facts.type_of((*key, n))) for n in parameters),
            *(hidden_local(n) for n in hidden),
        ),
        None if world.facts.gives_nothing(result) else world.facts.type_of(result),
        body,
        code,
        pure,
        fallible,
        bound,
        file in world.library_files,
        f.span,
        reads,
        writes,
    )


def _save(scope: Scope, name: str, saved: p.Local, span: Span) -> p.Stmt:
    given = p.LocalRef(scope.local(name), span)
    return p.ExprStmt(p.Assign(None, p.LocalRef(saved, span), given, saved.type, span), span)


def _values(
    world: World, overrides: Mapping[str, int | str], faults: list[Diagnostic]
) -> dict[str, int | str]:
    """Initial values from outside by symbol; what does not fit becomes a fault."""
    faults += unknown(overrides, world.globals.values())
    values: dict[str, int | str] = {}
    for g in world.used_globals.values():
        if g.declared.name in overrides:
            value = given(_global(world, g, None), overrides[g.declared.name], faults)
            if value is not None:
                values[g.symbol] = value
    return values


def _global(world: World, g: GlobalSymbol, override: int | str | None) -> p.Global:
    facts = world.facts
    arity = facts.arity.get(g.symbol, (0, None))[0]
    if g.declared.size is not None and not arity:
        arity = 1
    type_ = facts.type_of(("global", g.symbol))
    init: int | str | None = None
    if isinstance(g.declared.init, syntax.Number | syntax.String):
        init = g.declared.init.value
    if override is not None:
        init = override
    if type_ is STAT:
        init = None
    return p.Global(
        g.symbol,
        type_,
        tuple(facts.type_of(("key", g.symbol, i)) for i in range(arity)),
        g.declared.size,
        g.declared.wrap,
        init,
        g.declared.span,
        tuple(facts.key_names.get((g.symbol, i), f"key{i + 1}") for i in range(arity)),
    )
