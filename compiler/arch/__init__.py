# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about processor architectures: one record for each, and one module with its values.

    arch_of("x86_64") -> Arch(name="x86_64", elf_machine=62, syscall_prefix="__x64_sys_", ...)
    kernel.arch       -> the record of the kernel that a script is compiled for

Everything that is specific to one architecture is here, in the C header of the same name below
runtime/kernel/include/stapwatch/arch/, or in the library's folder of that name (compiler/tapset/).
Other rooms ask the record and never test its name. This room imports none of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from runtime.support.record import record


class UnknownArch(Exception):
    """There is no record for a machine. `hint` says which machines there are."""

    def __init__(self, machine: str) -> None:
        self.message = f"the architecture '{machine}' is not supported"
        self.hint = f"supported: {', '.join(NAMES)}"
        super().__init__(f"{self.message}: {self.hint}")


@record
class Operand:
    """The location of a mark's argument: a value of `size` bytes in memory at
    base + index * scale + symbol + number, or else that sum itself.

    `shift`: the value starts at that bit of its register.
    """

    size: int
    signed: bool
    memory: bool = False
    base: str = ""  # registers by their names in `struct sw_regs`; "": none
    index: str = ""
    scale: int = 1
    number: int = 0
    symbol: str = ""
    shift: int = 0


@record
class Percpu:
    """A per-CPU variable that handlers read: the constant of target.h that names it, its symbol, and
    the member that holds it on kernels that have `Arch.hot_struct`."""

    constant: str
    symbol: str
    member: str


@record
class CompatArgument:
    """An argument of a 32-bit program's system call: 32 bits of a register, or of two for 64 bits, the low
    half first; of none: zero. `is_short`: an id of 16 bits. `in_pages`: a number of pages."""

    registers: tuple[str, ...]
    signed: bool = False
    is_short: bool = False
    in_pages: bool = False


@record
class CompatCall:
    """One way in which 32-bit programs make a system call.

    `functions`: the entry function is the first of these that the kernel has. `arguments`: those of the
    64-bit call. `time_size`: bytes of each of the two numbers of a time that an argument points to.
    """

    functions: tuple[str, ...]
    arguments: tuple[CompatArgument, ...]
    time_size: int


@record
class UnwindForms:
    """What compilers and libraries write in call frame information, and what the runtime's walk knows.
    Registers by DWARF's numbers; expressions in DWARF's operations."""

    stack_pointer: int
    frame_pointer: int
    return_address: int
    return_offset: int  # of the return address in memory, from the CFA
    # the CFA in a linkage table: what stands around the number of the byte from which it is 8 higher
    linkage: tuple[bytes, bytes]
    # the C library's, of the frame that a signal's handler returns to: CFA, frame pointer, return address
    signal: tuple[bytes, bytes, bytes]


@record
class Arch:
    """One architecture: a 64-bit little-endian machine. Registers go by their names in the kernel's
    `struct pt_regs`, which are those of `struct sw_regs` in C."""

    name: str  # as `uname -m` prints it, and `arch` in a script's %( %)
    kernel_name: str  # of the folder below the kernel's arch/: kbuild's SRCARCH
    image_name: str  # in container images: GOARCH
    elf_machine: int  # e_machine of its objects and programs
    library_folders: tuple[str, ...]  # what the dynamic linker searches without configuration

    arguments: tuple[str, ...]  # registers of a function's integer arguments
    result: str  # register of a function's, and of a system call's, result
    more_results: tuple[str, ...]  # and those of what else of a struct a function returns
    syscall_number: str
    syscall_arguments: tuple[str, ...]
    dwarf_registers: tuple[str, ...]  # by DWARF's number
    dwarf_range: str  # for messages
    instruction_pointer: str
    stack_pointer: str
    # of a program's frames: the distance of a frame's address (CFA) from the stack pointer at a function's
    # first instruction; the DWARF number of the frame pointer; the CFA's distance from it once it is set
    entry_cfa: int
    frame_pointer: int
    frame_pointer_cfa: int
    # of thread-local variables: the relocations of words that the dynamic linker fills with a module's
    # number, and with a variable's distance from the thread pointer; where from there the vector's address is
    tls_module: int
    tls_distance: int
    tls_vector: int

    syscall_prefix: str  # in front of the name in SYSCALL_DEFINE: the entry function's symbol
    # System calls of 32-bit programs: registers of their arguments, the ways to make a call by the name in
    # SYSCALL_DEFINE, and the names of calls that only they have.
    compat_arguments: tuple[str, ...]
    compat_calls: Callable[[str], tuple[CompatCall, ...]]
    compat_only: Callable[[str], bool]
    compat_status: tuple[str, ...]  # the member of task_struct with SW_STATUS_COMPAT
    watchpoints: int  # hardware breakpoints that a CPU has
    percpu: tuple[Percpu, ...]
    hot_struct: str

    # code that the kernel copies or patches, or runs in a state in which it cannot take a trap: symbols at
    # both ends of a section; symbols that stand together; beginnings of names
    unsafe_sections: tuple[tuple[str, str], ...]
    unsafe_areas: tuple[tuple[str, ...], ...]
    unsafe_prefixes: tuple[str, ...]

    # of objects: the relocations that fill an address in, each with its size
    absolute_relocations: tuple[tuple[int, int], ...]
    # mark arguments as the assembler writes them; None for one that cannot be read
    operands: Callable[[str], tuple[Operand | None, ...]]
    # offset and size of the packed kernel in a boot image; None: the bytes are not a boot image
    boot_payload: Callable[[bytes], tuple[int, int] | None]
    unwind: UnwindForms | None = None  # None: the runtime does not walk by tables
    return_thunk: str = ""  # the kernel's function that functions jump to in place of a return


NAMES: Final = ("x86_64",)  # each is a module of this room, whose record is ARCH


def arch_of(machine: str) -> Arch:
    """The record of a machine, by what `uname -m` prints there. Raises UnknownArch."""
    if machine not in NAMES:
        raise UnknownArch(machine)
    found: Arch = import_module(f"compiler.arch.{machine}").ARCH
    return found
