# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions may not be probed, from a real kernel's symbol table and from small ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.arch.x86_64 import ARCH
from compiler.kernel.symbols import Symbols
from compiler.kernel.text_offsets import ANCHOR, TextOffsets
from compiler.kernel.unsafe_text import _PATCHED, Reason, unsafe_functions
from tests import PROJECT

BASE = 0xFFFFFFFF81000000
HEADER = PROJECT / f"runtime/kernel/include/stapwatch/arch/{ARCH.name}_unsafe.h"
RUNTIME = PROJECT / "runtime/kernel/probes/unsafe_text.c"
REAL = Path(__file__).with_name("kallsyms-6.1")
AREAS = (
    *("startup_64", "verify_cpu", "early_setup_idt"),
    *("__fentry__", "ftrace_caller", "ftrace_caller_op_ptr", "ftrace_call", "ftrace_regs_call"),
    *("ftrace_regs_caller_jmp", "return_to_handler", "arch_rethook_trampoline"),
    *("relocate_kernel", "identity_mapped", "swap_pages", "core_restore_code", "wakeup_long64"),
    *("entry_SYSCALL_64", "__x86_return_thunk", "__x86_indirect_thunk_rax"),
    *("text_poke_bp", "poke_int3_handler", "bpf_dispatcher_xdp_func"),
)
NEIGHBOURS = (
    *("vfs_read", "schedule", "do_exit", "__do_softirq", "ksys_read", "register_ftrace_function"),
    *("__traceiter_initcall_level", "trace_clock_x86_tsc", "arch_crash_save_vmcoreinfo"),
    *("x86_acpi_suspend_lowlevel", "arch_apei_enable_cmcff", "pfn_is_nosave"),
)
TABLE = {
    "vfs_read": 0x100,
    ANCHOR: 0x180,
    "__fentry__": 0x1000,
    "ftrace_caller": 0x1010,
    "ftrace_call": 0x1020,
    "ftrace_regs_caller_end": 0x1100,
    "return_to_handler": 0x1200,
    "trace_clock": 0x1240,
    "relocate_kernel": 0x2000,  # its last part is so far away that they are not one area
    "between": 0x3000,
    "swap_pages": 0x20000,
    "__entry_text_start": 0x30000,
    "entry_code": 0x30010,
    "__entry_text_end": 0x30020,
    "behind_entry": 0x30021,
    "get_kprobe": 0x200,
    "text_poke_bp": 0x240,
    "__SCT__might_resched": 0x280,
    "__init_begin": 0x40000,
    "vfs_init": 0x40010,
    "twice": 0x40020,
    "__init_end": 0x41000,
    "xfs_init": 0x50000,
}


def table(functions: dict[str, int] = TABLE) -> Symbols:
    lines = [f"{BASE + at:016x} t {name}" for name, at in functions.items()]
    lines += [f"{BASE + 0x300:016x} t twice", f"{BASE + 0x90000:016x} d _kbl_addr_get_kprobe"]
    lines += [f"{BASE + 0x1010:016x} t of_a_module\t[xfs]"]
    lines += [f"{BASE + 0x60000 + i:016x} t filler{i}" for i in range(120)]
    return Symbols("\n".join(lines).encode(), "a test")


def test_sections_areas_names_and_the_kernels_own_list() -> None:
    found = unsafe_functions(table(), ARCH)
    areas = {name for name, reason in found.items() if reason == Reason.AREA}
    assert areas == {
        *("__fentry__", "ftrace_caller", "ftrace_call", "ftrace_regs_caller_end"),
        *("return_to_handler", "relocate_kernel", "swap_pages", "__entry_text_start"),
        *("entry_code", "text_poke_bp", "__SCT__might_resched"),
    }
    assert {n for n, r in found.items() if r == Reason.FREED} == {"__init_begin", "vfs_init"}
    assert {n for n, r in found.items() if r == Reason.KPROBE} == {"get_kprobe"}


def test_offsets_remember_them() -> None:
    made = TextOffsets.of(table(), ARCH)
    for offsets in (made, TextOffsets(made.data)):
        assert offsets.unsafe("ftrace_caller") == Reason.AREA
        assert offsets.unsafe("vfs_read") is None is offsets.unsafe("nothing")
        assert offsets.find("vfs_read") == (-0x80,)
        assert offsets.unsafe_matching("*kprobe") == {"get_kprobe": Reason.KPROBE}
        assert "vfs_init" not in offsets.matching("vfs_*")


@pytest.mark.parametrize("base", [0xFFFFFFFF81000000, 0])
def test_hidden_addresses_forbid_nothing(base: int) -> None:
    lines = [f"{base and base + at:016x} t {name}" for name, at in TABLE.items()] * 20
    unsafe = TextOffsets.of(Symbols("\n".join(lines).encode(), "a test"), ARCH)
    assert unsafe.unsafe("ftrace_caller") == (Reason.AREA if base else None)


def test_a_real_kernels_code() -> None:
    """An excerpt of the table of Debian 12's kernel, with the neighbours of every area."""
    found = unsafe_functions(Symbols.read(REAL), ARCH)
    expected = {
        Reason.AREA: AREAS,
        Reason.FREED: ["vfs_caches_init"],
        Reason.KPROBE: ["get_kprobe"],
        None: NEIGHBOURS,
    }
    for reason, names in expected.items():
        assert {name: found.get(name) for name in names} == dict.fromkeys(names, reason)


def test_every_mark_of_the_real_kernel_is_in_an_area() -> None:
    """A mark that the kernel has without its area would be a hole."""
    symbols = Symbols.read(REAL)
    found = unsafe_functions(symbols, ARCH)
    for names in ARCH.unsafe_areas:
        here = [name for name in names if symbols.find(name)]
        assert here and all(found[name] == Reason.AREA for name in here), names


def test_the_runtime_has_the_same_names() -> None:
    """It asks the kernel for them, so they stand in its C, too."""
    text = HEADER.read_text() + RUNTIME.read_text()
    named = set(re.findall(r'"([A-Za-z_0-9]+)"', text))
    wanted = {name for names in (*ARCH.unsafe_sections, *ARCH.unsafe_areas) for name in names}
    assert {*wanted, *ARCH.unsafe_prefixes} <= named
    ours = {*_PATCHED, "__static_call_text_start", "__static_call_text_end"}
    assert named == {*wanted, *ARCH.unsafe_prefixes, *ours}
