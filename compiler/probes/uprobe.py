# SPDX-License-Identifier: GPL-2.0-or-later
"""process(...).function, .mark and .statement: text offsets of programs, by their symbols and SDT marks.

process("/usr/bin/x").function("f")          -> Uprobe("f", offset=0x1040, binary=...)
process("x").library("libc.so.6").mark("m")  -> the library's mark, in that program only
process("x").provider("p").mark("*")         -> a site for each mark's every offset, each with its arguments
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from compiler.arch import Arch, Operand
from compiler.ir import syntax
from compiler.ir.hooks import Binary, FileHook, ProcessFilter, Uprobe, Uretprobe
from compiler.ir.program import Arithmetic, Deref, Expr, Number, Register
from compiler.ir.source import Span
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
from compiler.support.did_you_mean import did_you_mean
from compiler.support.elf import ElfError
from compiler.support.globs import glob_regex
from compiler.userspace.elf_program import Executable, Mark, ProgramError
from compiler.userspace.shared_libraries import libraries
from runtime.support.record import record, replace

_INSTEAD = 'probe a whole function: process("path").function("name"), or a mark'
_NEEDS_DEBUGINFO = {
    "inline": "inlined functions are known to debuginfo only",
    "callee": "callees are known to debuginfo only",
    "callees": "callees are known to debuginfo only",
    "label": "labels are known to debuginfo only",
    "line": "line numbers are known to debuginfo only",
    "nearest": "line numbers are known to debuginfo only",
}
WORDS = ("function", "library", "mark", "provider", "statement")
FORMS = tuple(
    f"process(string){library}.{point}"
    for library in ("", ".library(string)")
    for point in (
        "function(string)",
        "function(string).call",
        "function(string).return",
        "mark(string)",
        "provider(string).mark(string)",
        "statement(number)",
    )
)


@record
class _File:
    """One file to be probed: its probe points begin with `point`; they count in `processes` only."""

    point: tuple[syntax.Component, ...]
    processes: ProcessFilter
    binary: Binary
    executable: Executable
    name: str


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
            files, last = _files(first, rest, processes, environment)
        except ProbePointError as error:
            missed.append(error)
            continue
        for file in files:
            try:
                found += _in_file(file, last)
            except ProbePointError as error:
                missed.append(error)
            except ElfError as error:
                missed.append(_damaged(file.name, error, first))
    if missed and not found:
        raise missed[0]
    return found


def _files(
    first: syntax.Component,
    rest: Sequence[syntax.Component],
    processes: ProcessFilter,
    environment: Environment,
) -> tuple[list[_File], Sequence[syntax.Component]]:
    """The program, or the libraries of it that the point names, and the components that follow."""
    program = processes.program
    if processes.pid:
        program = _of_process(first, processes.pid, environment)
    elif processes.target and environment.programs.target:
        program = next(iter(environment.programs.find(environment.programs.target)), "")
    if not program:
        raise ProbePointError(
            "no-such-program",
            f"'{spell((first, *rest))}' does not tell which program it is about",
            first.span,
            'name its file, process("path").function("name"); or run with -c COMMAND or -x PID',
        )
    named = replace(first, arg=processes.pid or program)
    if rest[0].name != "library":
        # no other program executes this one's file
        whose = replace(processes, program="")
        return [_open(program, (named,), whose, first, environment)], rest
    library, *rest = rest
    if not rest:
        raise unexpected(library, WORDS)
    whose = processes
    if not (processes.pid or processes.target):
        whose = replace(processes, program=program)
    return [
        _open(path, (named, replace(library, arg=path)), whose, library, environment)
        for path in _libraries(program, library, environment)
    ], rest


def _of_process(first: syntax.Component, pid: int, environment: Environment) -> str:
    found = environment.programs.of_process(pid)
    if found is None:
        raise ProbePointError(
            "no-such-program", f"there is no process {pid} to look at", first.span
        )
    return found


def _libraries(program: str, component: syntax.Component, environment: Environment) -> list[str]:
    wanted = text_of(component)
    if "/" in wanted:
        found = environment.programs.find(wanted)
        known: list[str] = []
    else:
        loaded = libraries(program, environment.programs, environment.kernel.arch)
        known = list(loaded)
        regex = re.compile(glob_regex(wanted))
        found = list(dict.fromkeys(p for name, p in loaded.items() if regex.fullmatch(name)))
    if not found:
        raise ProbePointError(
            "no-such-program",
            f"'{program}' loads no library '{wanted}'",
            component.span,
            did_you_mean(wanted, known) or "one that it loads while it runs is named by its path",
        )
    return found


def _open(
    path: str,
    point: tuple[syntax.Component, ...],
    processes: ProcessFilter,
    component: syntax.Component,
    environment: Environment,
) -> _File:
    try:
        executable = Executable.open(environment.programs.read(path), environment.kernel.arch)
    except ProgramError as error:
        raise ProbePointError(
            "no-such-program", error.message, component.span, error.hint
        ) from error
    except OSError as error:
        raise ProbePointError(
            "no-such-program", f"'{path}' cannot be read: {error.strerror}", component.span
        ) from error
    try:
        binary = executable.binary(path)
    except ElfError as error:
        raise _damaged(path, error, component) from error
    return _File(point, processes, binary, executable, path)


def _damaged(path: str, error: ElfError, component: syntax.Component) -> ProbePointError:
    return ProbePointError("no-such-program", f"'{path}' is damaged: {error}", component.span)


def _in_file(file: _File, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    match rest[0].name:
        case "function":
            return _functions(file, rest)
        case "statement":
            return _statement(file, rest)
        case "mark" | "provider":
            return _marks(file, rest)
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


def _functions(file: _File, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    function, *suffixes = rest
    returns = False
    for suffix in suffixes:
        match suffix.name:
            case "call" | "exported" if not returns:
                pass
            case "return":
                returns = True
            case "maxactive" if returns:
                number_of(suffix)
            case name if name in _NEEDS_DEBUGINFO:
                raise ProbePointError(
                    "needs-debuginfo", _NEEDS_DEBUGINFO[name], suffix.span, _INSTEAD
                )
            case _:
                raise unexpected(suffix, ("call", "exported", "return"))
    pattern, at, _ = text_of(function).partition("@")
    if at:
        raise ProbePointError(
            "needs-debuginfo",
            "which file of its source a function is in is known to debuginfo only",
            function.span,
            f'name the function alone: function("{pattern}")',
        )
    wild = any(c in pattern for c in "*?[")
    arch = file.executable.arch
    variables = _result(arch) if returns else _arguments(arch)
    sites = []
    for name, offsets in _fitting(file, pattern, wild, function).items():
        hook = _function_hook(file, name, offsets, together=wild, returns=returns)
        point = spell((*file.point, replace(function, arg=name), *suffixes))
        sites.append(ProbeSite(hook, point, variables, name, optional=wild))
    return sites


def _function_hook(
    file: _File, name: str, offsets: tuple[int, ...], *, together: bool, returns: bool
) -> FileHook:
    """`together`: the hook may take in other functions, so even one function goes into `functions`."""
    functions: tuple[tuple[str, int], ...] = ()
    offset = 0
    if together or len(offsets) > 1:
        functions = tuple((name, each) for each in offsets)
    else:
        offset = offsets[0]
    if returns:
        return Uretprobe(name, file.processes, file.binary, offset, functions)
    return Uprobe(name, file.processes, file.binary, offset, functions, at_entry=True)


def _fitting(
    file: _File, pattern: str, wild: bool, component: syntax.Component
) -> dict[str, tuple[int, ...]]:
    """Names with their text offsets, each offset under one name only."""
    functions = file.executable.functions
    if not wild and pattern in functions:
        return {pattern: functions[pattern]}
    if wild:
        regex = re.compile(glob_regex(pattern))
        found: dict[str, tuple[int, ...]] = {}
        seen: set[int] = set()
        for name in sorted(functions):
            if regex.fullmatch(name):
                offsets = tuple(offset for offset in functions[name] if offset not in seen)
                seen.update(offsets)
                if offsets:
                    found[name] = offsets
        if found:
            return found
    slug = "unknown-program-function"
    if pattern in file.executable.indirect:
        raise ProbePointError(
            slug,
            f"'{pattern}' stands for one of several functions, by the processor's kind",
            component.span,
            did_you_mean(pattern, functions) or f'probe those: function("*{pattern}*")',
        )
    if not functions:
        raise ProbePointError(
            slug,
            f"'{file.name}' has no symbols: it is stripped",
            component.span,
            "probe a library's functions, its marks, or its system calls",
        )
    raise ProbePointError(
        slug,
        f"'{file.name}' has no function '{pattern}'",
        component.span,
        did_you_mean(pattern, functions)
        or f'-l \'process("{file.name}").function("*")\' lists them',
    )


def _arguments(arch: Arch) -> dict[str, Variable]:
    """The arguments that a function gets in registers. Without debuginfo their types are unknown."""
    return {
        f"arg{i + 1}": Variable(f"arg{i + 1}", "argument", i, None, made=partial(Register, name))
        for i, name in enumerate(arch.arguments)
    }


def _result(arch: Arch) -> dict[str, Variable]:
    return {"return": Variable("return", "return", 0, None, made=partial(Register, arch.result))}


def _statement(file: _File, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    """`statement(0x401136)`: an address as linked. The user must know that an instruction starts there."""
    statement, *suffixes = rest
    if isinstance(statement.arg, str):
        raise ProbePointError(
            "needs-debuginfo", "line numbers are known to debuginfo only", statement.span, _INSTEAD
        )
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


# ---------------------------------------------------------------- marks


def _marks(file: _File, rest: Sequence[syntax.Component]) -> list[ProbeSite]:
    provider = None
    if rest[0].name == "provider":
        provider = text_of(rest[0])
        rest = rest[1:]
        if not rest or rest[0].name != "mark":
            raise unexpected(rest[0] if rest else file.point[-1], ("mark",))
    mark, *more = rest
    if more:
        raise unexpected(more[0], ())
    known = file.executable.marks
    found = [
        m
        for m in known
        if re.fullmatch(glob_regex(text_of(mark)), m.name)
        and (provider is None or re.fullmatch(glob_regex(provider), m.provider))
    ]
    if not found:
        names = sorted({m.name for m in known})
        raise ProbePointError(
            "unknown-mark",
            f"'{file.name}' has no mark '{text_of(mark)}'"
            + (f" of '{provider}'" if provider is not None else ""),
            mark.span,
            did_you_mean(text_of(mark), names)
            or (f"it has {', '.join(names[:8])}" if names else "it was built without marks"),
        )
    sites = []
    for m in found:
        offset = file.executable.offset_of(m.address, code=True)
        if offset is None:
            continue
        semaphore = file.executable.offset_of(m.semaphore) if m.semaphore else 0
        functions = ((m.name, offset),)
        hook = Uprobe(
            m.name, file.processes, file.binary, functions=functions, semaphore=semaphore or 0
        )
        named = syntax.Component("provider", m.provider, (), mark.span)
        point = spell((*file.point, named, replace(mark, arg=m.name)))
        sites.append(
            ProbeSite(hook, point, _of_mark(m, file.executable), m.name, provider=m.provider)
        )
    return sites


def _of_mark(mark: Mark, executable: Executable) -> dict[str, Variable]:
    found = {}
    for i, operand in enumerate(executable.arch.operands(mark.arguments), 1):
        if operand is None or (operand.symbol and operand.symbol not in executable.variables):
            continue
        distance = operand.number
        if operand.symbol:  # relative to the mark's address
            distance += executable.variables[operand.symbol] - mark.address
        made = partial(_value, replace(operand, number=distance))
        found[f"arg{i}"] = Variable(f"arg{i}", "argument", i - 1, None, made=made)
    return found


def _value(operand: Operand, span: Span) -> Expr:
    """The operand's value when the mark is hit."""
    value: Expr | None = Register(operand.base, span) if operand.base else None
    if operand.index:
        scaled = Arithmetic("*", Register(operand.index, span), Number(operand.scale, span), span)
        value = Arithmetic("+", value, scaled, span) if value is not None else scaled
    if value is None:
        value = Number(operand.number, span)
    elif operand.number:
        value = Arithmetic("+", value, Number(operand.number, span), span)
    if operand.memory:
        return Deref(value, operand.size, operand.signed, True, span)
    if operand.shift:
        value = Arithmetic(">>", value, Number(operand.shift, span), span)
    if operand.size == 8 or isinstance(value, Number):
        return value
    if not operand.signed:
        return Arithmetic("&", value, Number((1 << 8 * operand.size) - 1, span), span)
    up = Number(64 - 8 * operand.size, span)
    return Arithmetic(">>", Arithmetic("<<", value, up, span), up, span)
