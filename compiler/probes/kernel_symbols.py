# SPDX-License-Identifier: GPL-2.0-or-later
"""Which functions of the kernel and of its modules can be probed.

    exists(kernel, "vfs_read") -> True;  fitting(kernel, "vfs_*") -> {"vfs_create": (2064,), ...}
    exists(kernel, "xfs_file_open", "xfs") -> True

A running kernel's symbol table is the source; for another kernel it is BTF, and the symbol table of a
module's file for what its BTF has not.
"""

import re
from contextlib import suppress

from compiler.kernel import btf_types
from compiler.kernel.errors import KernelFactError
from compiler.kernel.kernel import Kernel
from compiler.kernel.unsafe_text import Reason
from compiler.support.globs import glob_regex

__all__ = [
    "exists",
    "fitting",
    "is_freed",
    "module_with",
    "modules_fitting",
    "text_offset",
    "unsafe",
    "unsafe_fitting",
]

# what kallsyms calls the owners of code that the kernel makes while it runs
_GENERATED = frozenset({"bpf", "__builtin__ftrace", "__builtin__kprobes"})
_REASONS = {
    Reason.AREA: "the kernel copies or patches its code, or runs it where no breakpoint may be hit",
    Reason.FREED: "the kernel frees its code once it has started",
    Reason.KPROBE: "the kernel's own probes run it, and it refuses a return probe there",
}


def exists(kernel: Kernel, name: str, module: str = "") -> bool:
    """Whether the kernel, or one of its modules, is known to have a function of that name."""
    if not module and kernel.btf.find_all(btf_types.Function, name):
        return True
    try:
        if module not in _GENERATED and any(
            s.is_function and s.module == module for s in kernel.symbols.find(name)
        ):
            return True
    except KernelFactError:
        pass
    return bool(module) and _is_in_file(kernel, name, module)


def module_with(kernel: Kernel, name: str) -> str:
    """A module that has a function of that name; "" if none is known."""
    try:
        symbols = (s for s in kernel.symbols.find(name) if s.is_function)
        found = [s.module for s in symbols if s.module and s.module not in _GENERATED]
    except KernelFactError:
        found = []
    return found[0] if found else ""


def _is_in_file(kernel: Kernel, name: str, module: str) -> bool:
    """Whether the module's file has the function. BTF leaves out functions whose parameters the compiler has
    changed."""
    with suppress(KernelFactError):
        known = kernel.module_btf(module).find_all(btf_types.Function, name)
        if any(function.id >= len(kernel.btf) for function in known):
            return True
    return name in _symbols_in_file(kernel, module)


def _in_file(kernel: Kernel, pattern: str, module: str) -> list[str]:
    """The functions that a module's own BTF has. Kernels may have none for modules: then those of its symbol
    table."""
    try:
        btf = kernel.module_btf(module)
    except KernelFactError:
        names = _symbols_in_file(kernel, module)
        return [name for name in names if re.fullmatch(glob_regex(pattern), name)]
    return [
        name
        for name in btf.names(btf_types.Function, pattern)
        if btf.find_all(btf_types.Function, name)[0].id >= len(kernel.btf)
    ]


def _symbols_in_file(kernel: Kernel, module: str) -> frozenset[str]:
    """The functions in a module's symbol table; none if it cannot be read."""
    try:
        return kernel.module_functions(module)
    except KernelFactError:
        return frozenset()


def modules_fitting(kernel: Kernel, pattern: str) -> list[str]:
    """Modules whose name fits a shell pattern; on a running kernel only those that are loaded."""
    try:
        names = kernel.symbols.modules() - _GENERATED
    except KernelFactError:
        names = set()
    if not names:
        found = (path.name.partition(".ko")[0] for path in kernel.modules.rglob("*.ko*"))
        names = {name.replace("-", "_") for name in found}
    return sorted(name for name in names if re.fullmatch(glob_regex(pattern), name))


def text_offset(kernel: Kernel, name: str) -> int:
    """The function's offset in the kernel's text; 0 if it is unknown, or if several have the name."""
    found = kernel.text_offsets.find(name)
    return found[0] if len(found) == 1 else 0


def is_freed(kernel: Kernel, name: str) -> bool:
    """Whether every function of that name in the kernel proper is gone since the kernel has started."""
    return kernel.text_offsets.unsafe(name) == Reason.FREED


def unsafe(kernel: Kernel, name: str, returns: bool) -> str:
    """Why no probe may be put on the function of the kernel proper, at its return if `returns`; "" if one
    may, or if the kernel's symbol table is not known."""
    reason = kernel.text_offsets.unsafe(name)
    return "" if reason is None or not _forbids(reason, returns) else _REASONS[reason]


def unsafe_fitting(kernel: Kernel, pattern: str, returns: bool) -> tuple[frozenset[str], int]:
    """The functions of the kernel proper that fit a shell pattern and that no probe may be put on, and how
    many of them are there to be probed: code that the kernel has freed is not."""
    found = kernel.text_offsets.unsafe_matching(pattern)
    names = frozenset(name for name, reason in found.items() if _forbids(reason, returns))
    return names, sum(found[name] != Reason.FREED for name in names)


def _forbids(reason: Reason, returns: bool) -> bool:
    """ftrace has its own list of what it reaches, so at an entry kprobes are not asked."""
    return returns or reason != Reason.KPROBE


def fitting(
    kernel: Kernel, pattern: str, module: str = "", without: frozenset[str] = frozenset()
) -> dict[str, tuple[int, ...]]:
    """Hookable functions of the kernel proper, or of a module, that fit a shell pattern, sorted:
    name -> the text offset of each function of that name; 0 if it is unknown, as in modules.

    On a running kernel these are the functions that ftrace reaches. Assembly and code that may not be
    traced take kprobes, which cost five times as much a hit: such functions are probed by name only. Of
    a module that is not loaded they are all functions that its file has types of, or all of the file's.
    """
    refused, traced = kernel.hookable.refused or frozenset(), kernel.hookable.traced
    if module:
        names = _loaded(kernel, pattern, module)
        if not names:
            names, traced = set(_in_file(kernel, pattern, module)), None
        found: dict[str, tuple[int, ...]] = dict.fromkeys(sorted(names), (0,))
    elif kernel.text_offsets.are_known:
        found = kernel.text_offsets.matching(pattern)
    else:
        found = dict.fromkeys(sorted(kernel.btf.names(btf_types.Function, pattern)), (0,))
    return {
        name: offsets
        for name, offsets in found.items()
        if name not in without and name not in refused and (traced is None or name in traced)
    }


def _loaded(kernel: Kernel, pattern: str, module: str) -> set[str]:
    """The functions of a module that is loaded."""
    if module in _GENERATED:
        return set()
    try:
        return {symbol.name for symbol in kernel.symbols.functions(pattern, module)}
    except KernelFactError:
        return set()
