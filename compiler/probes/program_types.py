# SPDX-License-Identifier: GPL-2.0-or-later
"""Types and variables of a program that a script names by its path, wherever the probe is.

@cast(p, "struct t", "/usr/bin/program")    types_of(environment, "/usr/bin/program")(Struct, "t")
@var("total@file.c", "/usr/bin/program")    static_of(environment, "/usr/bin/program", "total", "file.c")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from compiler.dwarf.errors import DwarfError
from compiler.dwarf.reader import damage_reported
from compiler.dwarf.variables import Found, Variables
from compiler.ir.program import Expr, MappedAddress
from compiler.ir.source import Span
from compiler.kernel import btf_types as k
from compiler.probes.base import Environment
from compiler.probes.program_thread_local import thread_local_address
from compiler.probes.program_variables import ProgramDebug, debug_of
from compiler.support.did_you_mean import did_you_mean
from compiler.support.elf import ElfError
from compiler.userspace.elf_program import Executable


class NoTypes(Exception):
    """The program has nothing that can be read. `hint` says what to do, or is empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def types_of(environment: Environment, path: str) -> Callable[[type[k.Type], str], k.Type | None]:
    """Looks a type up by its class and name. Raises NoTypes."""
    with _errors_reported(path):
        _, debug, _ = _opened(environment, path)
        types = debug.types
        types.debug.index  # noqa: B018 - damage shows here

    def named(kind: type[k.Type], name: str) -> k.Type | None:
        with damage_reported(path):
            return next(iter(types.find_all(kind, name)), None)

    return named


def static_of(environment: Environment, path: str, name: str, file: str) -> Found:
    """A static or global variable, of a source file if one is named. Raises NoTypes."""
    with _errors_reported(path):
        executable, debug, file_name = _opened(environment, path)
        kernel = environment.kernel

        def loaded(address: int, span: Span) -> Expr:
            return MappedAddress(
                Path(file_name).name,
                len(executable.data),
                address - executable.mapped_start,
                address - executable.code_end,
                span,
            )

        thread_local = partial(thread_local_address, executable, loaded)
        variables = Variables(
            debug.debug, debug.types, kernel.btf, kernel.arch, loaded, thread_local
        )
        found = variables.variable(name, file)
        if found is None:
            hint = did_you_mean(name, variables.global_names())
            raise NoTypes(f"'{path}' has no variable '{name}'{f' of {file}' if file else ''}", hint)
    return found


def _opened(environment: Environment, path: str) -> tuple[Executable, ProgramDebug, str]:
    """The program, its debug information, and the file that its name leads to."""
    found = environment.programs.find(path)
    if not found:
        raise NoTypes(f"no file '{path}' is there")
    arch = environment.kernel.arch
    executable = Executable.open(environment.programs.read(found[0]), arch)
    return executable, debug_of(environment, executable, found[0]), found[0]


@contextmanager
def _errors_reported(path: str) -> Iterator[None]:
    try:
        with damage_reported(path):
            yield
    except DwarfError as error:
        raise NoTypes(error.message, error.hint) from error
    except (ElfError, OSError) as error:
        raise NoTypes(f"'{path}' cannot be read: {error}") from error
