# SPDX-License-Identifier: GPL-2.0-or-later
"""The unwind tables of programs, as the runtime reads them (runtime/kernel/include/stapwatch/unwind.h).

write(w, tables) -> static const u32 unwind_pcs_0[] = { 0x0, 0x1, 0x4, ... };
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from compiler.codegen.c_writer import Writer
from runtime.support.record import record

if TYPE_CHECKING:  # few scripts have tables
    from compiler.dwarf.unwind_table import Rows

MOST_FILES: Final = 32  # SW_UNWIND_MOST_FILES
_ON_A_LINE: Final = 16


@record
class UnwindTable:
    """One file's rows, and how a process's memory shows where it is: see userspace.elf_program.Loading."""

    path: str
    build_id: bytes
    build_id_at: int
    headers: int
    dynamic: int
    debug: int
    rows: Rows


def write(w: Writer, tables: Sequence[UnwindTable]) -> None:
    """The array `unwind`, and all that it points to."""
    for i, table in enumerate(tables):
        rows = table.rows
        path = table.path.replace("*/", "*\\/")
        w.line(f"/* {path} */")
        _array(w, f"u8 unwind_id_{i}[]", map(hex, table.build_id))
        _array(w, f"u32 unwind_pcs_{i}[]", map(hex, rows.distances))
        _array(w, f"u16 unwind_numbers_{i}[]", map(str, rows.numbers))
        with w.block(f"static const struct sw_unwind_rule unwind_rules_{i}[] =", "};"):
            for rule in rows.rules:
                w.line(
                    f"{{ {rule.kind}, {rule.frame}, {rule.frame_offset}, {rule.offset}, {rule.add} }},"
                )
        w.line()
    with w.block("static const struct sw_unwind_table unwind[] =", "};"):
        for i, table in enumerate(tables):
            with w.block("", "},"):
                w.line(f".id = unwind_id_{i},")
                w.line(f".id_size = sizeof(unwind_id_{i}),")
                w.line(f".nr_rows = {len(table.rows.distances)},")
                for name, address in (
                    ("id_at", table.build_id_at),
                    ("headers", table.headers),
                    ("dynamic", table.dynamic),
                    ("debug", table.debug),
                    ("start", table.rows.start),
                ):
                    w.line(f".{name} = {address:#x},")
                w.line(f".pcs = unwind_pcs_{i},")
                w.line(f".numbers = unwind_numbers_{i},")
                w.line(f".rules = unwind_rules_{i},")
    w.line()


def _array(w: Writer, head: str, numbers: Iterable[str]) -> None:
    with w.block(f"static const {head} =", "};"):
        for line in _lines(list(numbers)):
            w.line(line)
    w.line()


def _lines(numbers: list[str]) -> Iterator[str]:
    for at in range(0, len(numbers), _ON_A_LINE):
        yield ", ".join(numbers[at : at + _ON_A_LINE]) + ","
