# SPDX-License-Identifier: GPL-2.0-or-later
"""The unwind tables that a module gets: those of the programs it probes, and of the libraries they load.

    unwind_tables(program, ("/usr/bin/python3",), files, arch)
      -> (UnwindTable("/usr/bin/python3.11", ...), UnwindTable(".../libc.so.6", ...), ...), warnings

This module is imported only for a script that walks up the stacks of programs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from compiler.arch import Arch
from compiler.codegen.unwind_tables import MOST_FILES, UnwindTable
from compiler.dwarf.call_frames import CallFrames
from compiler.dwarf.unwind_table import unwind_rows
from compiler.ir import hooks
from compiler.ir import program as p
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.source import Span
from compiler.support.elf import ElfError
from compiler.userspace.elf_program import Executable
from compiler.userspace.program_files import Files
from compiler.userspace.shared_libraries import libraries

_MOST_ROWS: Final = 1_000_000  # of 6 bytes, in all tables together


def unwind_tables(
    program: p.Program, named: Iterable[str], files: Files, arch: Arch
) -> tuple[tuple[UnwindTable, ...], list[Diagnostic]]:
    """The tables, and warnings about files that have none or do not fit. `named`: further programs and
    libraries, as paths or names of commands."""
    tables, missing = tables_of(_probed(program, named, files), files, arch)
    span = program.probes[0].span
    return tables, [_warning(path, why, span) for path, why in missing]


def tables_of(
    paths: Iterable[str], files: Files, arch: Arch
) -> tuple[tuple[UnwindTable, ...], list[tuple[str, str]]]:
    """The tables of files and of the libraries that they load; the paths that have none, and why."""
    tables: list[UnwindTable] = []
    missing: list[tuple[str, str]] = []
    rows = 0
    for path in _with_libraries(paths, files, arch):
        try:
            table = _table(path, files, arch)
        except (ElfError, OSError) as error:
            missing.append((path, str(error)))
            continue
        if table is None:
            missing.append((path, "it has no .eh_frame, or no build-id"))
        elif rows + len(table.rows.distances) > _MOST_ROWS or len(tables) == MOST_FILES:
            missing.append((path, "the tables of the other files fill the module"))
        else:
            rows += len(table.rows.distances)
            tables.append(table)
    return tuple(tables), missing


def _probed(program: p.Program, named: Iterable[str], files: Files) -> list[str]:
    own: dict[str, None] = {}
    for probe in program.probes:
        hook = probe.hook
        if isinstance(hook, hooks.FileHook):
            own[hook.binary.path] = None
        elif isinstance(hook, hooks.ProgramHook) and hook.processes.program:
            own[hook.processes.program] = None
    for name in (*([files.target] if files.target else ()), *named):
        own.update(dict.fromkeys(files.find(name)))
    return list(own)


def _with_libraries(paths: Iterable[str], files: Files, arch: Arch) -> list[str]:
    """The given files first, then libraries; each once, although it may be known by a link."""
    given = list(paths)
    loaded = [lib for path in given for lib in libraries(path, files, arch).values()]
    found: dict[str, str] = {}
    for path in (*given, *loaded):
        found.setdefault(str(files.here(path)), path)
    return list(found.values())


def _table(path: str, files: Files, arch: Arch) -> UnwindTable | None:
    executable = Executable.open(files.read(path), arch)
    frames, loading = CallFrames.of(executable, arch.unwind), executable.loading()
    if arch.unwind is None or frames is None or not loading.build_id_at or not loading.build_id:
        return None
    return UnwindTable(
        path,
        loading.build_id,
        loading.build_id_at,
        loading.headers,
        loading.dynamic,
        loading.debug,
        unwind_rows(frames, arch.unwind),
    )


def _warning(path: str, why: str, span: Span) -> Diagnostic:
    return Diagnostic(
        "no-unwind-table",
        f"stacks in {path} are followed by frame pointers only: {why}",
        span,
        hint="they are right only if the file is built with -fno-omit-frame-pointer",
        severity="warning",
    )
