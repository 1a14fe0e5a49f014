# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong with the facts about a kernel, each as one exception with a hint.

    raise NoSuchType("no struct 'fil' in the kernel's types", "did you mean 'file'?")
    str(it) -> "no struct 'fil' in the kernel's types: did you mean 'file'?"

Callers that print diagnostics with a place use `.message` and `.hint`.
"""

from __future__ import annotations


class KernelFactError(Exception):
    """A fact about the kernel is missing or unreadable. `hint` says what to do, or is empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.message = message
        self.hint = hint


class BadBtf(KernelFactError):
    """The bytes are not type information this program can read."""


class BadImage(KernelFactError):
    """A kernel image cannot be unpacked, or lacks the section asked for."""


class NoSuchType(KernelFactError):
    """No type, function or variable of that kind and name."""


class NoSuchMember(KernelFactError):
    """A member path does not fit the type it starts from."""


class NoSuchConstant(KernelFactError):
    """No enumerator of that name."""


class AmbiguousFunction(KernelFactError):
    """Several static functions share the name and their prototypes differ."""


class NoSuchTracepoint(KernelFactError):
    """No tracepoint of that name."""


class NoSuchSymbol(KernelFactError):
    """No symbol of that name."""


class NoSymbols(KernelFactError):
    """There is no usable symbol table for that kernel."""


class AddressesHidden(KernelFactError):
    """The symbol table shows names only; the reader lacks the privilege to see addresses."""


class NoSuchSyscall(KernelFactError):
    """No system call of that name."""


class NoHeaders(KernelFactError):
    """The kernel's headers, or one file of them, are not installed."""


class NoConfig(KernelFactError):
    """The kernel's build configuration is nowhere to be found."""


class NoKernel(KernelFactError):
    """There is no kernel of that release under that root."""
