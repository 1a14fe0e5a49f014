# SPDX-License-Identifier: GPL-2.0-or-later
"""The errors of this room: one exception for each kind of missing or unreadable fact, with a hint.

    raise NoSuchType("no struct 'fil' in the kernel's types", "did you mean 'file'?")
    str(it) -> "no struct 'fil' in the kernel's types: did you mean 'file'?"

Callers that print diagnostics with a location use `.message` and `.hint`.
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
    """A member path does not match the type it starts from."""


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


class NoConfig(KernelFactError):
    """No file holds the kernel's build configuration."""


class UnsupportedKernel(KernelFactError):
    """Modules of ours would crash that kernel."""


class NoKernel(KernelFactError):
    """No kernel of that release is installed under that root, or its architecture is not supported."""
