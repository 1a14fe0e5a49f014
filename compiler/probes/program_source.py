# SPDX-License-Identifier: GPL-2.0-or-later
"""Points in programs that only their DWARF knows: source files and lines, inline instances, static functions
of stripped programs.

process("x").function("f@x.c")        -> the functions f that are declared in x.c
process("x").function("f").inline     -> a site for each place that f was inlined into
process("x").function("f")            -> these, too
process("x").statement("f@x.c:12")    -> the first instruction of line 12 in f
process("x").statement("*@x.c:12")    -> and in every function that has code of this line
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from compiler.dwarf.errors import DwarfError
from compiler.dwarf.functions import Code
from compiler.dwarf.reader import damage_reported
from compiler.ir import syntax
from compiler.ir.hooks import Uprobe
from compiler.probes.base import ProbePointError, ProbeSite, spell, text_of
from compiler.probes.program_file import ProgramFile
from compiler.probes.program_variables import ProgramDebug, ProgramVariables, debug_of
from compiler.probes.source_places import is_in, lines_of, place_of, statement_of
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import function_regex, is_glob
from compiler.userspace.elf_program import Executable
from runtime.support.record import replace

_UNKNOWN: Final = "unknown-program-function"


def functions(file: ProgramFile, component: syntax.Component) -> dict[str, tuple[int, ...]]:
    """The functions that a `name`, `name@file` or `name@file:line` means, with their text offsets."""
    place = place_of(component)
    known = file.executable.functions
    try:
        debug = opened(file)
    except DwarfError as error:
        if place.file:
            raise needed(error, component) from error
        raise _no_function(file, place.function, component, error) from error
    found: dict[str, dict[int, None]] = {}
    with reported(file, component):
        for code in debug.functions.named(place.function):
            offset = file.executable.offset_of(code.entry, code=True)
            if offset is not None and is_in(debug.functions, code, place):
                found.setdefault(code.name, {})[offset] = None
        if not found:
            inlined = debug.functions.inline(place.function)
            if not inlined and not (place.file and debug.functions.named(place.function)):
                names = [*known, *debug.functions.names()]
                raise _no_function(file, place.function, component, None, names)
            raise ProbePointError(
                _UNKNOWN,
                f"'{file.name}' has no function '{text_of(component)}' with code of its own",
                component.span,
                "it is inlined everywhere: add .inline" if inlined else "",
            )
    return {name: tuple(offsets) for name, offsets in found.items()}


def named(debug: ProgramDebug, component: syntax.Component) -> list[Code]:
    """The functions with code of their own that `function("f")` means. Raises DwarfError."""
    place, known = place_of(component), debug.functions
    return [code for code in known.named(place.function) if is_in(known, code, place)]


def code_at(debug: ProgramDebug, file: ProgramFile, name: str, offset: int) -> Code | None:
    """The function of a symbol's name at a text offset. Raises DwarfError."""
    address = file.executable.address_of(offset)
    if address is None:
        return None
    # gcc's copies of functions, as f.constprop.0, have the name of the function in the DWARF
    found = debug.functions.at((name, name.partition(".")[0]), address)
    if found is None:  # the name may be an alias, of one that only the debug file's symbols have
        readable = file.executable.readable
        others = file.executable.names_at(address)
        if debug.debug.path != file.environment.programs.here(file.name):
            others += Executable.open(debug.debug.path, file.executable.arch).names_at(address)
        others += [readable[n] for n in others if n in readable]
        found = debug.functions.at(others, address)
    return found


def inline(
    file: ProgramFile, function: syntax.Component, suffix: syntax.Component
) -> list[ProbeSite]:
    """`function("f").inline`: where f was inlined."""
    try:
        debug = opened(file)
    except DwarfError as error:
        raise needed(error, suffix) from error
    with reported(file, function):
        found = _instances(debug, file, function, suffix)
    if not found:
        raise ProbePointError(
            _UNKNOWN,
            f"'{file.name}' has no inline instance of '{text_of(function)}'",
            function.span,
            did_you_mean(place_of(function).function, debug.index.inlined),
        )
    return found


def instances(file: ProgramFile, function: syntax.Component) -> list[ProbeSite]:
    """Where the functions that `function("f")` means were inlined; none if no debug information tells."""
    try:
        with damage_reported(file.name):
            suffix = syntax.Component("inline", None, (), function.span)
            return _instances(opened(file), file, function, suffix)
    except DwarfError:
        return []


def _instances(
    debug: ProgramDebug, file: ProgramFile, function: syntax.Component, suffix: syntax.Component
) -> list[ProbeSite]:
    place = place_of(function)
    if not any(map(re.compile(function_regex(place.function)).fullmatch, debug.index.inlined)):
        return []  # the entries need not be read
    known = debug.functions
    chosen = [code for code in known.inline(place.function) if is_in(known, code, place)]
    return sites_at(file, function, (suffix,), ((code, code.entry) for code in chosen))


def statements(file: ProgramFile, component: syntax.Component) -> list[ProbeSite]:
    """`statement("f@file:line")`."""
    place = statement_of(component)
    try:
        debug = opened(file)
    except DwarfError as error:
        raise needed(error, component) from error
    with reported(file, component):
        return sites_at(
            file, component, (), lines_of(debug.functions, place, component, f"'{file.name}'")
        )


def sites_at(
    file: ProgramFile,
    component: syntax.Component,
    suffixes: tuple[syntax.Component, ...],
    places: Iterable[tuple[Code, int]],
) -> list[ProbeSite]:
    """A site for each place. One function's places have the same point, so each says its address, too."""
    sites, seen = [], set()
    written = text_of(component)
    wild = is_glob(written.partition("@")[0])
    for code, address in places:
        offset = file.executable.offset_of(address, code=True)
        if offset is None or offset in seen:
            continue
        seen.add(offset)
        variables = ProgramVariables(file, {}, lambda _, code=code: code, address)  # type: ignore[misc]
        hook = Uprobe(code.name, file.processes, file.binary, functions=((code.name, offset),))
        named = "@".join((code.name, *written.split("@")[1:])) if wild else written
        point = spell((*file.point, replace(component, arg=named), *suffixes))
        sites.append(
            ProbeSite(hook, point, variables, code.name, optional=wild, debuginfo=variables)
        )
    return sites


def opened(file: ProgramFile) -> ProgramDebug:
    """Raises DwarfError."""
    with damage_reported(file.name):
        found = debug_of(file.environment, file.executable, file.name)
        found.index  # noqa: B018 - it is made here, so that damage shows here
        return found


@contextmanager
def reported(file: ProgramFile, component: syntax.Component) -> Iterator[None]:
    """Damage of the debug information becomes an error of the probe point."""
    try:
        with damage_reported(file.name):
            yield
    except DwarfError as error:
        raise needed(error, component) from error


def needed(error: DwarfError, component: syntax.Component) -> ProbePointError:
    return ProbePointError("needs-debuginfo", error.message, component.span, error.hint)


def _no_function(
    file: ProgramFile,
    name: str,
    component: syntax.Component,
    error: DwarfError | None,
    names: Iterable[str] = (),
) -> ProbePointError:
    readable = file.executable.readable
    known = [readable.get(n, n) for n in names or file.executable.functions]
    if not known:
        return ProbePointError(
            _UNKNOWN,
            f"'{file.name}' has no symbols: it is stripped",
            component.span,
            "probe a library's functions, its marks, or its system calls; or install its debug symbols",
        )
    return ProbePointError(
        _UNKNOWN,
        f"'{file.name}' has no function '{name}'",
        component.span,
        did_you_mean(name, known) or f'-l \'process("{file.name}").function("*")\' lists them',
    )
