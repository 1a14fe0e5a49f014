# SPDX-License-Identifier: GPL-2.0-or-later
"""The programs and libraries that a `process(...)` point names, opened.

process("/usr/bin/x").library("libc.so.6").function("f")  -> ProgramFile(binary=...), and .function("f")
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.hooks import Binary, ProcessFilter
from compiler.probes.base import Environment, ProbePointError, spell, text_of, unexpected
from compiler.support.did_you_mean import did_you_mean
from compiler.support.elf import ElfError
from compiler.support.globs import glob_regex
from compiler.userspace.elf_program import Executable, ProgramError
from compiler.userspace.shared_libraries import libraries
from runtime.support.record import record, replace

WORDS = ("function", "library", "mark", "provider", "statement")
_FIXED = 2  # ET_EXEC


@record
class ProgramFile:
    """One file to be probed: its probe points begin with `point`; they count in `processes` only."""

    point: tuple[syntax.Component, ...]
    processes: ProcessFilter
    binary: Binary
    executable: Executable
    name: str
    environment: Environment

    @property
    def is_moved(self) -> bool:
        """Whether it is loaded at an address that the linker did not choose (PIE, libraries)."""
        return self.executable.type != _FIXED


def program_files(
    first: syntax.Component,
    rest: Sequence[syntax.Component],
    processes: ProcessFilter,
    environment: Environment,
) -> tuple[list[ProgramFile], Sequence[syntax.Component]]:
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
) -> ProgramFile:
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
        raise damaged(path, error, component) from error
    return ProgramFile(point, processes, binary, executable, path, environment)


def damaged(path: str, error: ElfError, component: syntax.Component) -> ProbePointError:
    return ProbePointError("no-such-program", f"'{path}' is damaged: {error}", component.span)
