# SPDX-License-Identifier: GPL-2.0-or-later
"""Offsets of the kernel proper's functions from one of them: the same wherever the kernel is loaded.

    offsets = TextOffsets.of(symbols)
    offsets.find("vfs_read")      -> (1768816,)          each function of that name
    offsets.matching("vfs_re*")   -> {"vfs_read": (1768816,), "vfs_readv": (1763360,), ...}
    offsets.unsafe("ftrace_call") -> Reason.AREA         why none of that name may be probed, or None
    TextOffsets(offsets.data)     -> the same again, from the cache

The kernel takes 100 ms to write /proc/kallsyms out, and a module that looks a name up walks through
all functions. Therefore the offsets are computed once for each kernel and cached.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from compiler.arch import Arch
from compiler.kernel.symbols import Symbols
from compiler.kernel.unsafe_text import Reason
from compiler.support.globs import glob_regex

# runtime/kernel/probes/ftrace.c adds the offsets to the same function
ANCHOR: Final = "register_ftrace_function"
# symbols of parts of functions, which cannot be probed as functions
_PARTS: Final = (".cold", "__pfx_", "__cfi_", "__SCT__")
# the bounds of the code that the kernel frees once it has started
_INIT: Final = ("__init_begin", "__init_end")


class TextOffsets:
    """`data` has lines `name reason` of the functions that may not be probed, then an empty line, then
    lines `name offset`, one for each function. Where nothing is known there is only the empty line."""

    def __init__(self, data: bytes = b"\n\n") -> None:
        self.data: Final = data
        self._middle: Final = data.index(b"\n\n") + 1

    @classmethod
    def of(cls, symbols: Symbols, arch: Arch) -> TextOffsets:
        """Compute them from a symbol table; empty if the table shows no addresses."""
        if not symbols.has_addresses:
            return cls()
        from compiler.kernel.unsafe_text import unsafe_functions  # once for each kernel

        unsafe = [f"{name} {why}" for name, why in unsafe_functions(symbols, arch).items()]
        return cls("\n".join(["", *unsafe, "", *cls._offsets(symbols), ""]).encode())

    @staticmethod
    def _offsets(symbols: Symbols) -> list[str]:
        anchor = symbols.find(ANCHOR)
        if not anchor:
            return []
        edges = [symbols.find(name) for name in _INIT]
        freed = range(edges[0][0].address, edges[1][0].address) if all(edges) else range(0)
        return [
            f"{symbol.name} {symbol.address - anchor[0].address}"
            for symbol in symbols.functions("*", module="")
            if symbol.address not in freed and not any(part in symbol.name for part in _PARTS)
        ]

    @property
    def are_known(self) -> bool:
        """False if the kernel has no symbol table, or hides its addresses."""
        return len(self.data) > self._middle + 1

    def find(self, name: str) -> tuple[int, ...]:
        """The offset of each function of a name; empty if no such function is known."""
        return tuple(map(int, self._values(name, self._middle, len(self.data))))

    def matching(self, pattern: str) -> dict[str, tuple[int, ...]]:
        """Functions whose name matches a shell pattern, sorted, with their offsets."""
        line = re.compile(rb"^(%b) (-?\d+)$" % glob_regex(pattern).encode(), re.M)
        found: dict[str, list[int]] = {}
        for match in line.finditer(self.data, self._middle):
            found.setdefault(match[1].decode(), []).append(int(match[2]))
        return {name: tuple(found[name]) for name in sorted(found)}

    def holder(self, offset: int) -> str:
        """The last function that begins at an offset or before it; "" if none does."""
        line = re.compile(rb"^(\S+) (-?\d+)$", re.M)
        starts = [(int(m[2]), m[1]) for m in line.finditer(self.data, self._middle)]
        before = max((start for start in starts if start[0] <= offset), default=(0, b""))
        return before[1].decode()

    def unsafe(self, name: str) -> Reason | None:
        """Why no function of a name may be probed; None if one may, or if nothing is known of it."""
        return next((Reason(why) for why in self._values(name, 0, self._middle)), None)

    def unsafe_matching(self, pattern: str) -> dict[str, Reason]:
        """The functions that may not be probed whose name matches a shell pattern."""
        line = re.compile(rb"^(%b) (\w+)$" % glob_regex(pattern).encode(), re.M)
        found = line.finditer(self.data, 0, self._middle)
        return {match[1].decode(): Reason(match[2].decode()) for match in found}

    def _values(self, name: str, start: int, end: int) -> Iterator[str]:
        """What stands behind the name in its lines between two positions."""
        needle = f"\n{name} ".encode()
        at = self.data.find(needle, start, end)
        while at >= 0:
            behind = self.data.index(b"\n", at + 1)
            yield self.data[at + len(needle) : behind].decode()
            at = self.data.find(needle, behind, end)
