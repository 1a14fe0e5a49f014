# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of the kernel's functions no probe may be put on, and why, from the marks in its symbol table.

    reasons = unsafe_functions(symbols, arch)
    reasons["ftrace_caller"]     -> Reason.AREA    copied or patched, or run where nothing can trap
    reasons["vfs_caches_init"]   -> Reason.FREED   the kernel frees it once it has started
    reasons["get_kprobe"]        -> Reason.KPROBE  a kprobe's handling runs it: only ftrace may hook it

A section has a symbol at each of its ends, and assembly that belongs together is one area from its first
symbol to its last. Names tell the rest: what patches code, and stubs that are patched. The runtime
looks the same up in the kernel that it runs in (runtime/kernel/probes/unsafe_text.c).
"""

from __future__ import annotations

from typing import Final

from compiler.arch import Arch
from compiler.kernel.symbols import Symbols
from runtime.support.str_enum import StrEnum

# Sections whose first symbol is START and whose end is END: the code of system call, interrupt and
# exception entry; code that runs before the kernel's state is set up; patched stubs of static calls.
_SECTIONS: Final = (
    ("__entry_text_start", "__entry_text_end"),
    ("__noinstr_text_start", "__noinstr_text_end"),
    ("__static_call_text_start", "__static_call_text_end"),
)
_INIT: Final = (("__init_begin", "__init_end"), ("_sinittext", "_einittext"))
_KPROBES: Final = (("__kprobes_text_start", "__kprobes_text_end"),)
# Functions that are patched or copied as a whole, or that patch code
_PATCHED: Final = ("bpf_dispatcher_", "__SCT__", "__static_call_", "optprobe_template_")
_REFUSED_BY_KPROBES: Final = (
    "_kbl_addr_"  # NOKPROBE_SYMBOL(f) makes a variable of this name and f's
)
_LARGEST_AREA: Final = 0x4000  # bytes; symbols further apart do not belong together in this kernel


class Reason(StrEnum):
    """The word that stands in the cache of a kernel's text offsets."""

    AREA = "area"
    FREED = "freed"
    KPROBE = "kprobe"


def unsafe_functions(symbols: Symbols, arch: Arch) -> dict[str, Reason]:
    """The functions of the kernel proper of which none with that name may be probed."""
    areas = [*_sections(symbols, (*_SECTIONS, *arch.unsafe_sections))]
    areas += _together(symbols, arch.unsafe_areas)
    freed, kprobes = _sections(symbols, _INIT), _sections(symbols, _KPROBES)
    listed = {name.removeprefix(_REFUSED_BY_KPROBES) for name in _marked(symbols)}
    prefixes = (*_PATCHED, *arch.unsafe_prefixes)
    found: dict[str, Reason] = {}
    safe = set()
    for symbol in symbols.functions("*", module=""):
        at, name = symbol.address, symbol.name
        if name.startswith(prefixes) or any(at in area for area in areas):
            found[name] = Reason.AREA
        elif any(at in area for area in freed):
            found.setdefault(name, Reason.FREED)
        elif name in listed or any(at in area for area in kprobes):
            found[name] = Reason.KPROBE
        else:
            safe.add(name)
    return {name: reason for name, reason in found.items() if name not in safe}


def _sections(symbols: Symbols, ends: tuple[tuple[str, str], ...]) -> list[range]:
    edges = [(symbols.find(start), symbols.find(end)) for start, end in ends]
    return [range(start[0].address, end[0].address) for start, end in edges if start and end]


def _together(symbols: Symbols, areas: tuple[tuple[str, ...], ...]) -> list[range]:
    """From the first symbol of each area that the kernel has to the last; each alone if they are apart."""
    found = []
    for names in areas:
        at = sorted(symbol.address for name in names for symbol in symbols.find(name))
        if at and at[-1] - at[0] <= _LARGEST_AREA:
            found.append(range(at[0], at[-1] + 1))
        else:
            found += [range(each, each + 1) for each in at]
    return found


def _marked(symbols: Symbols) -> list[str]:
    return [name for name in symbols.names() if name.startswith(_REFUSED_BY_KPROBES)]
