# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a thread-local variable of a program is, for the current thread.

thread_local_address(executable, loaded, <byte of its block>, span) -> the thread pointer - 64 + <byte>
"""

from __future__ import annotations

from collections.abc import Callable

from compiler.dwarf.errors import NoLocation
from compiler.ir.program import Arithmetic, Deref, Expr, Number, ThreadPointer
from compiler.ir.source import Span
from compiler.userspace.elf_program import Executable
from compiler.userspace.thread_local import thread_local


def thread_local_address(
    executable: Executable, loaded: Callable[[int, Span], Expr], byte: Expr, span: Span
) -> Expr:
    """`loaded`: where a linked address of the program is. Raises NoLocation."""
    block = thread_local(executable)
    if block is None:
        raise NoLocation("where this library has its thread-local variables is not known")
    thread: Expr = ThreadPointer(span)

    def read(address: Expr) -> Expr:
        return Deref(address, 8, False, True, span)

    def plus(left: Expr, right: Expr | int) -> Expr:
        number = Number(right, span) if isinstance(right, int) else right
        return Arithmetic("+", left, number, span)

    if not block.slot:
        return plus(plus(thread, -block.distance), byte)
    word = read(loaded(block.slot, span))
    if not block.module:
        return plus(plus(plus(thread, word), -block.at), byte)
    vector = read(plus(thread, executable.arch.tls_vector))
    row = Arithmetic("<<", word, Number(4, span), span)  # two words each
    return plus(read(plus(vector, row)), byte)
