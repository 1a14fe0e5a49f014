# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole program: from syntax trees to `program.Program`, by collect, infer, lower and check.

resolve(name, scripts, library, environment) -> Program, or CompileError with every error
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from compiler.analysis.effects import fallible_functions, pure_functions
from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.diagnostics import CompileError, Diagnostic
from compiler.ir.program import STAT
from compiler.probes import Environment
from compiler.resolve.bodies import Bodies
from compiler.resolve.contexts import GlobalSymbol, ProgramContext
from compiler.resolve.declarations import Declarations, collect
from compiler.resolve.inference import infer, run_round
from compiler.resolve.type_environment import Round, TypeEnvironment
from runtime.support.record import replace


def resolve(
    name: str,
    scripts: Sequence[syntax.Script],
    library: Sequence[syntax.Script],
    environment: Environment,
    overrides: Mapping[str, int | str] = MappingProxyType({}),
) -> p.Program:
    """One program from the user's scripts and what they use of the library.

    `overrides` gives globals other initial values. Raises CompileError with every error found.
    """
    try:
        return _resolve(name, scripts, library, environment, overrides)
    except CompileError as error:
        if not environment.optimise:
            raise
        from compiler.resolve import unused_statements  # few scripts need it

        if any(d.slug not in unused_statements.TYPE_ERRORS for d in error.diagnostics):
            raise
        names = {
            i.name for s in (*scripts, *library) for i in s.items if isinstance(i, syntax.Global)
        }
        trimmed, found = unused_statements.without_unused_statements(scripts, names)
        try:
            program = _resolve(name, trimmed, library, environment, overrides)
        except CompileError:
            raise error from None  # it has the errors in all statements
        environment.warnings.extend(found)
        return program


def _resolve(
    name: str,
    scripts: Sequence[syntax.Script],
    library: Sequence[syntax.Script],
    environment: Environment,
    overrides: Mapping[str, int | str],
) -> p.Program:
    declarations = collect(scripts, library, environment)
    types = infer(declarations)
    program, bodies = lower(declarations, types)
    globals_ = check(declarations, program, bodies, overrides)
    return _assemble(name, declarations, globals_, bodies)


def lower(declarations: Declarations, types: TypeEnvironment) -> tuple[ProgramContext, Bodies]:
    """All bodies with their final types. Errors in them are in `types.reports`.

    If only types are missing that nothing depends on, a second round makes them numbers.
    """
    program, bodies = run_round(declarations, types, Round.REPORT)
    reports = types.reports
    has_errors = declarations.diagnostics or reports.diagnostics or reports.deferred
    if types.this_round.met_untyped and not has_errors:
        program, bodies = run_round(declarations, types, Round.DEFAULT)
    return program, bodies


def check(
    declarations: Declarations,
    program: ProgramContext,
    bodies: Bodies,
    overrides: Mapping[str, int | str],
) -> list[p.Global]:
    """The globals that the program uses, with their initial values, in the order of declaration.

    Raises CompileError with the errors of all passes, and those that only the whole program shows.
    """
    reports = program.types.reports
    diagnostics = [*declarations.diagnostics, *_missing_probes(declarations)]
    if not diagnostics and not reports.diagnostics and reports.deferred is not None:
        diagnostics.append(reports.deferred)
    diagnostics = _each_point_once(diagnostics)
    diagnostics += reports.diagnostics or _loop_errors(program, bodies)
    values = _initial_values(program, overrides, diagnostics)
    if diagnostics:
        raise CompileError(diagnostics)
    used = sorted(program.used_globals.values(), key=lambda g: g.declared.span.start)
    return [_global(program.types, g, values.get(g.symbol)) for g in used]


def _missing_probes(declarations: Declarations) -> list[Diagnostic]:
    """The error of a script without any probe, unless others explain it."""
    if declarations.diagnostics or not declarations.scripts:
        return []
    if not declarations.probes:
        span = declarations.scripts[0].span
        hint = "probe begin { ... }"
        return [Diagnostic("no-probe", "the script has no probe", span, hint=hint)]
    if declarations.handlers or declarations.suppressed:
        return []
    span = declarations.probes[0].span
    if not all(p.optional or p.sufficient for probe in declarations.probes for p in probe.points):
        message = "the kernel has freed all functions that the script probes, as it has started"
        return [Diagnostic("no-probe", message, span)]
    message = "none of the script's probe points exists, and all are optional"
    return [Diagnostic("no-probe", message, span, hint="without '?' the reason is reported")]


def _each_point_once(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """An unknown probe point is reported once, however many probes have it."""
    found: list[Diagnostic] = []
    points: set[str] = set()
    for diagnostic in diagnostics:
        if diagnostic.slug == "unknown-probe-point":  # its message has the whole point
            if diagnostic.message in points:
                continue
            points.add(diagnostic.message)
        found.append(diagnostic)
    return found


def _loop_errors(program: ProgramContext, bodies: Bodies) -> list[Diagnostic]:
    if not program.has_foreach:
        return []
    from compiler.resolve import loop_checks  # not all scripts have loops

    return loop_checks.check(bodies.probes, bodies.functions)


def _initial_values(
    program: ProgramContext, overrides: Mapping[str, int | str], diagnostics: list[Diagnostic]
) -> dict[str, int | str]:
    """Values of `overrides` by symbol; adds a diagnostic for each that does not fit."""
    if not overrides:
        return {}
    from compiler.resolve.global_overrides import initial_value, unknown_globals

    diagnostics += unknown_globals(overrides, program.globals.values())
    values: dict[str, int | str] = {}
    for g in program.used_globals.values():
        if g.declared.name in overrides:
            declared = _global(program.types, g, None)
            value = initial_value(declared, overrides[g.declared.name], diagnostics)
            if value is not None:
                values[g.symbol] = value
    return values


def _global(types: TypeEnvironment, g: GlobalSymbol, override: int | str | None) -> p.Global:
    arity = types.arity.get(g.symbol, (0, None))[0]
    if g.declared.size is not None and not arity:
        arity = 1
    type_ = types.type_of(("global", g.symbol))
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
        tuple(types.type_of(("key", g.symbol, i)) for i in range(arity)),
        g.declared.size,
        g.declared.wrap,
        init,
        g.declared.span,
        tuple(types.key_names.get((g.symbol, i), f"key{i + 1}") for i in range(arity)),
    )


def _assemble(
    name: str, declarations: Declarations, globals_: Sequence[p.Global], bodies: Bodies
) -> p.Program:
    functions = bodies.functions
    pure, fallible = pure_functions(functions), fallible_functions(functions)
    return p.Program(
        name,
        tuple(globals_),
        tuple(replace(f, pure=f.symbol in pure, fallible=f.symbol in fallible) for f in functions),
        tuple(bodies.probes),
        tuple((c.code, c.span) for c in declarations.embedded),
    )
