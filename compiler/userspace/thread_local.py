# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a file's thread-local variables are in the memory of a thread.

    thread_local(program)  -> Block(distance=16)                 16 bytes below the thread pointer
    thread_local(library)  -> Block(slot=0x3fe0, module=True)    where the linker has put its number

A program's own are at a place that is known when it is linked. Those of a library are where the dynamic
linker has decided; it writes that into words of the library, for the library's own code. Source: "ELF
Handling For Thread-Local Storage" (Drepper), of which this is variant II, and glibc's vectors.
"""

from __future__ import annotations

from compiler.support.elf import RELA, RELOCATION, SYMBOL
from compiler.userspace.elf_program import Executable
from runtime.support.record import record


@record
class Block:
    """`distance`: it begins so many bytes below the thread pointer, if `slot` is 0. Else the word at the
    linked address `slot` is the number of the file among the thread's modules, or a distance from the thread
    pointer to the byte `at` of the block."""

    distance: int = 0
    slot: int = 0
    module: bool = False
    at: int = 0


def thread_local(file: Executable) -> Block | None:
    """None: it has none, or its own code does not ask for their place by a word. Raises ElfError."""
    segment = file.thread_local_segment
    if segment is None:
        return None
    if file.is_program:
        address, size, alignment = segment
        step = alignment or 1
        first = -address % step
        return Block(distance=-(-(size - first) // step) * step + first)
    found: Block | None = None
    for table in (section for section in file.sections if section.type == RELA):
        symbols = file.section(table.link) if table.link else None
        for slot, info, addend in file.rows(table, RELOCATION):
            kind, symbol = info & 0xFFFF_FFFF, info >> 32
            if kind not in (file.arch.tls_module, file.arch.tls_distance):
                continue
            at = addend
            if symbol and symbols is not None:
                _, _, _, section, value, _ = file.unpack(
                    SYMBOL, symbols.offset + symbol * SYMBOL.size
                )
                if not section:
                    continue  # another file's variable
                at += value
            if kind == file.arch.tls_distance:
                return Block(slot=slot, at=at)
            found = found or Block(slot=slot, module=True)
    return found
