# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel functions there are to probe.

    exists(kernel, "vfs_read") -> True;  fitting(kernel, "vfs_*") -> {"vfs_create": (2064,), ...}

A running kernel's symbol table tells; for another kernel its BTF must do.
"""

from compiler.kernel import kinds
from compiler.kernel.faults import KernelFactError
from compiler.kernel.release import Kernel

__all__ = ["exists", "fitting", "place"]


def exists(kernel: Kernel, name: str) -> bool:
    """Whether the kernel has a function of that name, as far as is known."""
    if kernel.btf.find_all(kinds.Function, name):
        return True
    try:
        return any(symbol.is_function for symbol in kernel.symbols.find(name))
    except KernelFactError:
        return False


def place(kernel: Kernel, name: str) -> int:
    """Where the function is (see `Places`); 0 if that is not known, or there are several."""
    found = kernel.places.find(name)
    return found[0] if len(found) == 1 else 0


def fitting(kernel: Kernel, pattern: str) -> dict[str, tuple[int, ...]]:
    """Hookable functions of the kernel proper that fit a shell pattern, sorted: name -> the place of
    each of that name; 0 where it is not known.

    Of a running kernel these are the functions that ftrace reaches: code that may not be traced and
    assembly take kprobes, which cost five times as much a hit, and are probed by name only.
    """
    found = kernel.places.fitting(pattern)
    if not kernel.places.are_known:
        found = dict.fromkeys(sorted(kernel.btf.names(kinds.Function, pattern)), (0,))
    refused, traced = kernel.hookable.refused or frozenset(), kernel.hookable.traced
    return {
        name: places
        for name, places in found.items()
        if name not in refused and (traced is None or name in traced)
    }
