# SPDX-License-Identifier: GPL-2.0-or-later
"""process(...).function and .statement: text offsets of programs, by their symbols or by their DWARF.

process("/usr/bin/x").function("f")             -> Uprobe("f", offset=0x1040, binary=...)
process("/usr/bin/x").statement("f@x.c:12")     -> program_source.py's, and so is what symbols do not tell
process("x").library("libc.so.6").mark("m")     -> program_mark.py's
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from compiler.arch import Arch
from compiler.ir import syntax
from compiler.ir.hooks import ProcessFilter, Uprobe, Uretprobe
from compiler.ir.program import Register
from compiler.probes.base import (
    Environment,
    ProbePointError,
    ProbeSite,
    Variable,
    number_of,
    spell,
    text_of,
    unexpected,
)
from compiler.probes.program_file import WORDS, ProgramFile, damaged, program_files
from compiler.probes.program_variables import ProgramDebug, ProgramVariables
from compiler.support.did_you_mean import did_you_mean
from compiler.support.elf import ElfError
from compiler.support.globs import function_regex, is_glob
from runtime.support.record import replace

if TYPE_CHECKING:
    from compiler.dwarf.functions import Code

_INSIDE = ("label", "callee", "callees")
_REFUSED = {"nearest": "statements are probed at the line that they name"}
FORMS = tuple(
    f"process(string){library}.{point}"
    for library in ("", ".library(string)")
    for point in (
        "function(string)",
        "function(string).call",
        "function(string).callee(string)",
        "function(string).callees",
        "function(string).inline",
        "function(string).label(string)",
        "function(string).return",
        "function(string).return.maxactive(number)",
        "mark(string)",
        "provider(string).mark(string)",
        "statement(number)",
        "statement(string)",
    )
)


def resolve(
    first: syntax.Component,
    rest: Sequence[syntax.Component],
    filters: Sequence[ProcessFilter],
    environment: Environment,
) -> list[ProbeSite]:
    """`filters`: one for each program that `first` means."""
    found: list[ProbeSite] = []
    missed: list[ProbePointError] = []
    for processes in filters:
        try:
            files, last = program_files(first, rest, processes, environment)
        except ProbePointError as error:
            missed.append(error)
            continue
        for file in files:
            try:
                found += _in_file(file, last)
            except ProbePointError as error:
                missed.append(error)
            except ElfError as error:
                missed.append(damaged(file.name, error, first))
    if missed and not found:
        raise missed[0]
    return found


def _in_file(file: ProgramFile, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    match rest[0].name:
        case "function":
            return _functions(file, rest)
        case "statement":
            return _statement(file, rest)
        case "mark" | "provider":
            from compiler.probes.program_mark import resolve_marks  # few scripts need it

            return resolve_marks(file, rest)
        case "plt":
            raise ProbePointError(
                "needs-debuginfo",
                "calls through the linkage table cannot be probed",
                rest[0].span,
                'probe the function itself: process("path").library("name").function("name")',
            )
        case _:
            raise unexpected(rest[0], WORDS)


# ---------------------------------------------------------------- functions


def _functions(file: ProgramFile, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    function, *suffixes = rest
    returns, maxactive = False, 0
    for suffix in suffixes:
        match suffix.name:
            case "call" | "exported" if not returns:
                pass
            case "return":
                returns = True
            case "maxactive" if returns:
                maxactive = number_of(suffix)
            case "inline" if len(suffixes) == 1:
                from compiler.probes import program_source  # few scripts need it

                return program_source.inline(file, function, suffix)
            case name if name in _INSIDE and suffix is suffixes[0]:
                from compiler.probes import program_calls  # few scripts need it

                return program_calls.resolve(file, function, suffixes)
            case name if name in _REFUSED:
                raise ProbePointError(
                    "needs-debuginfo",
                    _REFUSED[name],
                    suffix.span,
                    'probe a statement: process("path").statement("function@file:line")',
                )
            case _:
                raise unexpected(suffix, ("call", "exported", "inline", "return", *_INSIDE))
    pattern, source = text_of(function), ""
    wild = is_glob(pattern.partition("@")[0])
    sites = _instances(file, function) if not suffixes else []
    found: dict[str, tuple[int, ...]] = {}
    try:
        if "@" in pattern:
            from compiler.probes import program_source

            found, source = program_source.functions(file, function), pattern.partition("@")[2]
        else:
            found = _fitting(file, pattern, function)
    except ProbePointError:
        if not sites:  # it is not inlined either
            raise
    for name, offsets in found.items():
        written = f"{name}@{source}" if source else name
        point = spell((*file.point, replace(function, arg=written), *suffixes))
        for offset in offsets:
            # the hook may take in other functions, so even one goes into `functions`
            together = wild or len(offsets) > 1
            functions = ((name, offset),) if together else ()
            where = name, file.processes, file.binary, 0 if together else offset, functions
            hook = Uretprobe(*where, maxactive) if returns else Uprobe(*where, at_entry=True)
            variables = _variables(file, name, offset, returns=returns)
            sites.append(
                ProbeSite(hook, point, variables, name, optional=wild, debuginfo=variables)
            )
    return sites


def _instances(file: ProgramFile, function: syntax.Component) -> list[ProbeSite]:
    """A program without debug information costs no import of what reads it."""
    from compiler.dwarf import debug_files

    read = file.environment.programs.read
    if debug_files.find(file.executable, file.name, read) is None:
        return []
    from compiler.probes import program_source

    return program_source.instances(file, function)


def _fitting(
    file: ProgramFile, pattern: str, component: syntax.Component
) -> dict[str, tuple[int, ...]]:
    """Names with their text offsets, each offset under one name only."""
    functions = file.executable.functions
    if pattern in functions:
        return {pattern: functions[pattern]}
    if is_glob(pattern) or "::" in pattern:
        regex = re.compile(function_regex(pattern))
        found: dict[str, tuple[int, ...]] = {}
        seen: set[int] = set()
        readable = file.executable.readable
        for symbol in sorted(functions):
            name = readable.get(symbol, symbol)
            if regex.fullmatch(symbol) or regex.fullmatch(name):
                offsets = tuple(offset for offset in functions[symbol] if offset not in seen)
                seen.update(offsets)
                if offsets:
                    found[name] = (*found.get(name, ()), *offsets)
        if found:
            return found
    if pattern in file.executable.indirect:
        raise ProbePointError(
            "unknown-program-function",
            f"'{pattern}' stands for one of several functions, by the processor's kind",
            component.span,
            did_you_mean(pattern, functions) or f'probe those: function("*{pattern}*")',
        )
    from compiler.probes import program_source  # symbols do not tell

    return program_source.functions(file, component)


def _variables(file: ProgramFile, name: str, offset: int, *, returns: bool) -> ProgramVariables:
    """The variables at the entry or return of the function at an offset."""
    arch = file.executable.arch
    address = file.executable.address_of(offset) or 0

    def find(debug: ProgramDebug) -> Code | None:
        from compiler.probes import program_source

        return program_source.code_at(debug, file, name, offset)

    return ProgramVariables(file, _registers(arch, returns), find, address, returns=returns)


def _registers(arch: Arch, returns: bool) -> dict[str, Variable]:
    """The arguments that a function gets in registers, and its result. Without debuginfo their types are
    unknown."""
    found = {}
    for i, name in enumerate(arch.arguments):
        arg = f"arg{i + 1}"
        found[arg] = Variable(arg, "argument", i, None, returns, made=partial(Register, name))
    if returns:
        made = partial(Register, arch.result)
        found["return"] = Variable("return", "return", 0, None, made=made)
    return found


def _statement(file: ProgramFile, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    """`statement(0x401136)`: an address as linked. The user must know that an instruction starts there."""
    statement, *suffixes = rest
    if isinstance(statement.arg, str):
        from compiler.probes import program_source

        if suffixes:
            raise unexpected(suffixes[0], ())
        return program_source.statements(file, statement)
    if [s.name for s in suffixes] not in ([], ["absolute"]):
        raise unexpected(suffixes[0], ("absolute",))
    address = number_of(statement)
    offset = file.executable.offset_of(address, code=True)
    if offset is None:
        raise ProbePointError(
            "unknown-program-function",
            f"'{file.name}' has no code at {address:#x}",
            statement.span,
            "addresses are those that 'objdump -d' shows",
        )
    hook = Uprobe(f"{address:#x}", file.processes, file.binary, offset)
    return [ProbeSite(hook, spell((*file.point, *rest)), {}, f"{address:#x}")]
