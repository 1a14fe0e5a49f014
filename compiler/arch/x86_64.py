# SPDX-License-Identifier: GPL-2.0-or-later
"""x86-64: the values of its `Arch` record.

Sources: the System V ABI's AMD64 supplement (registers, DWARF numbers), the kernel's
arch/x86/include/asm/ptrace.h (names), syscall_wrapper.h (prefix) and Documentation/arch/x86/boot.rst.
"""

from __future__ import annotations

import struct
from typing import Final

from compiler.arch import Arch, CompatCall, Operand, Percpu, UnwindForms

_BOOT_MAGIC_AT: Final = 0x202
_SETUP_SECTORS_AT: Final = 0x1F1
_PAYLOAD_AT: Final = 0x248  # offset and length of the payload, from protocol 2.08 on
_HEADER_END: Final = 0x250
_DWARF_REGISTERS: Final = (
    "ax", "dx", "cx", "bx", "si", "di", "bp", "sp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "ip",
)  # fmt: skip

# Which code no probe may be in. runtime/kernel/include/stapwatch/arch/x86_64_unsafe.h has the same names.
_UNSAFE_SECTIONS: Final = (
    ("__indirect_thunk_start", "__indirect_thunk_end"),
    ("__relocate_kernel_start", "__relocate_kernel_end"),
)
_UNSAFE_AREAS: Final = (
    # a CPU's first steps, without an interrupt table
    ("_text", "startup_64", "secondary_startup_64", "__startup_64", "early_setup_idt"),
    # ftrace copies its callers into the trampoline of each user
    ("__fentry__", "ftrace_caller", "ftrace_regs_caller", "ftrace_regs_caller_end",
     "ftrace_stub_direct_tramp", "return_to_handler"),
    # where probed functions return to
    ("arch_rethook_trampoline", "arch_rethook_trampoline_callback", "__kretprobe_trampoline"),
    # kexec copies this code to a page of its own, and so does hibernation; a resume starts without state
    ("relocate_kernel", "identity_mapped", "virtual_mapped", "swap_pages"),
    ("restore_registers", "swsusp_arch_suspend", "restore_image", "core_restore_code"),
    ("wakeup_long64", "do_suspend_lowlevel"),
)  # fmt: skip


def operands(text: str) -> tuple[Operand | None, ...]:
    """Mark arguments in AT&T syntax. Few scripts probe marks, so the parser is imported for those."""
    from compiler.arch import x86_64_operands

    return x86_64_operands.operands(text)


def boot_payload(data: bytes) -> tuple[int, int] | None:
    """A bzImage is real-mode setup code, then an unpacker that carries the packed ELF file."""
    if data[_BOOT_MAGIC_AT : _BOOT_MAGIC_AT + 4] != b"HdrS" or len(data) < _HEADER_END:
        return None
    sectors = data[_SETUP_SECTORS_AT] or 4
    offset, size = struct.unpack_from("<II", data, _PAYLOAD_AT)
    return (sectors + 1) * 512 + offset, size


def compat_calls(name: str) -> tuple[CompatCall, ...]:
    """Few scripts probe system calls by name, so the table is imported for those."""
    from compiler.arch import x86_64_compat

    return x86_64_compat.compat_calls(name)


def compat_only(name: str) -> bool:
    from compiler.arch import x86_64_compat

    return name in x86_64_compat.ONLY


ARCH: Final = Arch(
    name="x86_64",
    kernel_name="x86",
    image_name="amd64",
    elf_machine=62,
    library_folders=(
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    ),
    arguments=("di", "si", "dx", "cx", "r8", "r9"),
    result="ax",
    more_results=("dx",),
    syscall_number="orig_ax",
    syscall_arguments=("di", "si", "dx", "r10", "r8", "r9"),
    dwarf_registers=_DWARF_REGISTERS,
    dwarf_range="0 to 16: rax to rip",
    instruction_pointer="ip",
    stack_pointer="sp",
    entry_cfa=8,
    frame_pointer=6,
    frame_pointer_cfa=16,
    tls_module=16,  # R_X86_64_DTPMOD64
    tls_distance=18,  # R_X86_64_TPOFF64
    tls_vector=8,
    syscall_prefix="__x64_sys_",
    compat_arguments=("bx", "cx", "dx", "si", "di", "bp"),
    compat_calls=compat_calls,
    compat_only=compat_only,
    compat_status=("thread_info", "status"),
    watchpoints=4,
    percpu=(
        Percpu("SW_PREEMPT_COUNT", "__preempt_count", "preempt_count"),
        Percpu("SW_CURRENT_TASK", "current_task", "current_task"),
        Percpu("SW_CPU_NUMBER", "cpu_number", "cpu_number"),
    ),
    hot_struct="pcpu_hot",
    unsafe_sections=_UNSAFE_SECTIONS,
    unsafe_areas=_UNSAFE_AREAS,
    unsafe_prefixes=("__x86_", "text_poke", "__text_poke", "smp_text_poke", "poke_int3"),
    absolute_relocations=((1, 8), (10, 4), (11, 4)),
    operands=operands,
    boot_payload=boot_payload,
    unwind=UnwindForms(
        stack_pointer=7,
        frame_pointer=6,
        return_address=16,
        return_offset=-8,
        # breg7(8), breg16(0), lit15, and ... ge, lit3, shl, plus
        linkage=(bytes.fromhex("770880003f1a"), bytes.fromhex("2a332422")),
        # breg7(160), deref; breg7(120); breg7(168)
        signal=(bytes.fromhex("77a00106"), bytes.fromhex("77f800"), bytes.fromhex("77a801")),
    ),
    return_thunk="__x86_return_thunk",
)
