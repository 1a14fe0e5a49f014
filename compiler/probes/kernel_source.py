# SPDX-License-Identifier: GPL-2.0-or-later
"""Points in the kernel and its modules that only DWARF knows: source lines, inline instances, source files.

kernel.statement("f@fs/x.c:12")       -> Kprobe("f", offset of the first instruction of line 12)
module("m").function("f").inline      -> a Kprobe for each place that f was inlined into
kernel.function("*@net/ipv4/*.c")     -> of the functions that a pattern means, those of the files

A place is hooked by a kprobe, and refused where the function that has it may not be probed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from compiler.dwarf.errors import DwarfError, NoLocation
from compiler.dwarf.functions import Code
from compiler.dwarf.reader import damage_reported
from compiler.dwarf.variables import Variables
from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.hooks import Kprobe
from compiler.ir.program import Expr
from compiler.ir.source import Span
from compiler.probes.base import (
    Environment,
    Lazy,
    ProbePointError,
    ProbeSite,
    Variable,
    spell,
    text_of,
    unexpected,
)
from compiler.probes.kernel_debug import KernelDebug, debug_of
from compiler.probes.kernel_symbols import unsafe
from compiler.probes.program_variables import variable_of
from compiler.probes.source_places import Place, is_in, lines_of, place_of, statement_of
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex, is_glob
from runtime.support.record import replace


def statements(
    components: Sequence[syntax.Component], environment: Environment, module: str
) -> list[ProbeSite]:
    """`statement("f@file:line")` of a module, or of the kernel proper ("")."""
    statement = components[1]
    if len(components) > 2:
        raise unexpected(components[2], ())
    place = statement_of(statement)
    with _opened(environment, module, statement) as debug:
        found = lines_of(debug.functions, place, statement, debug.owner)
        return _sites(debug, components, environment, found)


def inline(
    components: Sequence[syntax.Component], environment: Environment, module: str
) -> list[ProbeSite]:
    """`function("f").inline`: where f was inlined."""
    function = components[1]
    place = place_of(function)
    with _opened(environment, module, components[2]) as debug:
        known = debug.functions
        chosen = [code for code in known.inline(place.function) if is_in(known, code, place)]
        if not chosen:
            raise ProbePointError(
                "unknown-kernel-function",
                f"{debug.owner} has no inline instance of '{text_of(function)}'",
                function.span,
                did_you_mean(place.function, debug.debug.index.inlined),
            )
        return _sites(debug, components, environment, [(code, code.entry) for code in chosen])


def declared(
    component: syntax.Component, environment: Environment, module: str
) -> dict[str, frozenset[int]]:
    """The functions that a `name@file` or `name@file:line` means, with the text offsets of each of that name;
    in modules these are not known, and 0."""
    place = place_of(component)
    found: dict[str, set[int]] = {}
    with _opened(environment, module, component) as debug:
        for code in _chosen(debug, place):
            offset = 0 if module else debug.place(code, code.entry)[1]
            found.setdefault(code.name, set()).add(offset)
        if not found:
            inlined = debug.functions.inline(place.function)
            raise ProbePointError(
                "unknown-kernel-function",
                f"{debug.owner} has no function '{text_of(component)}' with code of its own",
                component.span,
                "it is inlined everywhere: add .inline"
                if inlined
                else "files are named by the ends of their paths",
            )
    return {name: frozenset(offsets) for name, offsets in found.items()}


def _chosen(debug: KernelDebug, place: Place) -> Iterator[Code]:
    known = debug.functions
    if not is_glob(place.function):
        codes: Iterable[Code] = known.named(place.function)
    else:
        fits = re.compile(glob_regex(place.function)).fullmatch
        codes = (code for code in known.in_file(place.file) if fits(code.name))
    return (code for code in codes if is_in(known, code, place))


def _sites(
    debug: KernelDebug,
    components: Sequence[syntax.Component],
    environment: Environment,
    places: Iterable[tuple[Code, int]],
) -> list[ProbeSite]:
    """A site for each place that may be probed. If some of them may not, a warning says so."""
    component = components[1]
    written = text_of(component)
    wild = is_glob(written.partition("@")[0])
    sites: dict[tuple[str, int], ProbeSite] = {}
    refused: dict[str, str] = {}
    for code, address in places:
        symbol, offset = debug.place(code, address)
        why = "" if debug.module else _unsafe(environment, symbol, offset)
        if why:
            refused[symbol] = why
            continue
        named = f"{code.name}@{written.partition('@')[2]}" if wild else written
        point = spell((components[0], replace(component, arg=named), *components[2:]))
        sites.setdefault(
            (symbol, offset),
            ProbeSite(
                Kprobe(symbol, offset),
                point,
                _variables(debug, environment, code, address),
                code.name,
                module=debug.module,
                optional=wild,
            ),
        )
    if refused and not sites:
        symbol, why = next(iter(refused.items()))
        raise ProbePointError(
            "unsafe-function", f"'{symbol}' cannot be probed: {why}", component.span
        )
    if refused:
        message = (
            f"'{written}' cannot be probed safely in {', '.join(map(repr, refused))}: left out"
        )
        environment.warnings.append(
            Diagnostic("unsafe-function", message, component.span, severity="warning")
        )
    return list(sites.values())


def _unsafe(environment: Environment, name: str, offset: int) -> str:
    """Why no kprobe may be in the function of a name, or in the one that has the text offset."""
    kernel = environment.kernel
    holder = kernel.text_offsets.holder(offset)
    return unsafe(kernel, name, True) or (unsafe(kernel, holder, True) if holder else "")


def _variables(debug: KernelDebug, environment: Environment, code: Code, address: int) -> Lazy:
    """The parameters and locals at an address of a function, looked up when a script names the first."""

    def find() -> dict[str, Variable]:
        kernel = environment.kernel
        variables = Variables(
            debug.debug, debug.types, kernel.btf, kernel.arch, _no_static, _no_static
        )
        try:
            with damage_reported(debug.debug.path):
                found = variables.visible(code, address)
        except DwarfError:
            return {}
        return {
            one.name: variable_of(one, i if one.kind == "argument" else -1)
            for i, one in enumerate(found.values())
        }

    return Lazy(find)


def _no_static(place: int | Expr, span: Span) -> Expr:
    raise NoLocation("where static variables are in memory is known by their symbols: use @var")


@contextmanager
def _opened(
    environment: Environment, module: str, component: syntax.Component
) -> Iterator[KernelDebug]:
    """Its errors become errors of the probe point."""
    try:
        debug = debug_of(environment, module)
        with damage_reported(debug.debug.path):
            yield debug
    except DwarfError as error:
        raise ProbePointError(
            "needs-debuginfo", error.message, component.span, error.hint
        ) from error
