# SPDX-License-Identifier: GPL-2.0-or-later
"""Refuses kernels with control-flow integrity (CFI), before anything is compiled for them.

    check(kernel)   # UnsupportedKernel: kernel 6.6.30-android checks the type of each function ...

Such a kernel, built by clang, calls a function through a pointer only if the function's type has the hash
that the caller expects. Script C is compiled by gcc and without the kernel's headers, so its handlers have no
hashes, and the first hit would end in an oops.
"""

from __future__ import annotations

from compiler.kernel.errors import NoConfig, NoSymbols, UnsupportedKernel
from compiler.kernel.kernel import Kernel

_OPTIONS = ("CONFIG_CFI", "CONFIG_CFI_CLANG")  # the name since Linux 6.18, and the older one
# functions and marks that only these kernels have: of kCFI, and of what was before Linux 6.1
_SYMBOLS = (
    "__cfi_register_ftrace_function",
    "__cfi_slowpath",
    "__cfi_slowpath_diag",
    "__cfi_check",
)


def check(kernel: Kernel) -> None:
    """Raises UnsupportedKernel. A kernel of which neither configuration nor symbols are known is accepted."""
    if found := _evidence(kernel):
        raise UnsupportedKernel(
            f"kernel {kernel.release} checks the type of each function that it calls (CFI: {found}), "
            "and handlers of scripts have none",
            "boot a kernel without CONFIG_CFI",
        )


def _evidence(kernel: Kernel) -> str:
    """What tells that the kernel has CFI, or ""."""
    try:
        config = kernel.config
    except NoConfig:
        return _in_symbols(kernel)
    option = next((name for name in _OPTIONS if config.get(name) == "y"), "")
    return f"{option}=y in {config.source}" if option else ""


def _in_symbols(kernel: Kernel) -> str:
    try:
        symbols = kernel.symbols
    except NoSymbols:
        return ""
    name = next((name for name in _SYMBOLS if symbols.find(name)), "")
    return f"{name} in {symbols.source}" if name else ""
