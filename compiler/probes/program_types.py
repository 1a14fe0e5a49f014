# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of a program that a script names by its path: @cast(p, "struct t", "/usr/bin/program")."""

from __future__ import annotations

from collections.abc import Callable

from compiler.dwarf.errors import DwarfError
from compiler.dwarf.reader import damage_reported
from compiler.kernel import btf_types as k
from compiler.probes.base import Environment
from compiler.probes.program_variables import debug_of
from compiler.support.elf import ElfError
from compiler.userspace.elf_program import Executable


class NoTypes(Exception):
    """The program has no types that can be read. `hint` says what to do, or is empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


def types_of(environment: Environment, path: str) -> Callable[[type[k.Type], str], k.Type | None]:
    """Looks a type up by its class and name. Raises NoTypes."""
    found = environment.programs.find(path)
    if not found:
        raise NoTypes(f"no file '{path}' is there")
    try:
        arch = environment.kernel.arch
        executable = Executable.open(environment.programs.read(found[0]), arch)
        with damage_reported(path):
            types = debug_of(environment, executable, found[0]).types
            types.debug.index  # noqa: B018 - damage shows here
    except DwarfError as error:
        raise NoTypes(error.message, error.hint) from error
    except (ElfError, OSError) as error:
        raise NoTypes(f"'{path}' cannot be read: {error}") from error

    def named(kind: type[k.Type], name: str) -> k.Type | None:
        with damage_reported(path):
            return next(iter(types.find_all(kind, name)), None)

    return named
