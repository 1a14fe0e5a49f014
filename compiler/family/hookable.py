# SPDX-License-Identifier: GPL-2.0-or-later
"""Which kernel functions there are to probe.

    exists(kernel, "vfs_read") -> True;  fitting(kernel, "vfs_*") -> ["vfs_create", ...]

A running kernel's symbol table tells; for another kernel its BTF must do.
"""

from compiler.kernel import kinds
from compiler.kernel.faults import KernelFactError
from compiler.kernel.release import Kernel

__all__ = ["exists", "fitting"]


def exists(kernel: Kernel, name: str) -> bool:
    """Whether the kernel has a function of that name, as far as is known."""
    if kernel.btf.find_all(kinds.Function, name):
        return True
    try:
        return any(symbol.is_function for symbol in kernel.symbols.find(name))
    except KernelFactError:
        return False


def fitting(kernel: Kernel, pattern: str) -> list[str]:
    """Names of hookable functions that fit a shell pattern, sorted."""
    names: set[str]
    try:
        names = {symbol.name for symbol in kernel.symbols.functions(pattern)}
    except KernelFactError:
        names = set(kernel.btf.names(kinds.Function, pattern))
    return sorted(names - (kernel.hookable.refused or frozenset()))
