# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the kernel proper's functions are, from one of them: the same wherever the kernel is loaded.

    places = Places.of(symbols)
    places.find("vfs_read")     -> (1768816,)          each function of that name
    places.fitting("vfs_re*")   -> {"vfs_read": (1768816,), "vfs_readv": (1763360,), ...}
    Places(places.data)         -> the same again, from what was kept

Writing /proc/kallsyms out takes the kernel 100 ms, and a module that looks a name up walks through
all functions: so this is made once for each kernel.
"""

from __future__ import annotations

import re
from typing import Final

from compiler.kernel.symbols import Symbols
from compiler.support.globs import glob_regex

# runtime/kernel/probes/ftrace.c starts from the same
ANCHOR: Final = "register_ftrace_function"
_PARTS: Final = (".cold", "__pfx_", "__cfi_", "__SCT__")  # of functions, with symbols of their own
_FORGOTTEN: Final = ("__init_begin", "__init_end")  # around code that is gone once the kernel runs


class Places:
    """`data` has lines `name offset`, one for each function; none where nothing is known."""

    def __init__(self, data: bytes = b"\n") -> None:
        self.data: Final = data

    @classmethod
    def of(cls, symbols: Symbols) -> Places:
        """Of a symbol table; nothing is known if it lacks addresses."""
        anchor = symbols.find(ANCHOR)
        if not anchor or not anchor[0].address:
            return cls()
        edges = [symbols.find(name) for name in _FORGOTTEN]
        gone = range(edges[0][0].address, edges[1][0].address) if all(edges) else range(0)
        lines = [
            f"{symbol.name} {symbol.address - anchor[0].address}"
            for symbol in symbols.functions("*", module="")
            if symbol.address not in gone and not any(part in symbol.name for part in _PARTS)
        ]
        return cls("\n".join(["", *lines, ""]).encode())

    @property
    def are_known(self) -> bool:
        return len(self.data) > 1

    def find(self, name: str) -> tuple[int, ...]:
        """The offset of each function of a name; empty if there is none, or nothing is known."""
        found = []
        needle = f"\n{name} ".encode()
        at = self.data.find(needle)
        while at >= 0:
            start = at + len(needle)
            end = self.data.index(b"\n", start)
            found.append(int(self.data[start:end]))
            at = self.data.find(needle, end)
        return tuple(found)

    def fitting(self, pattern: str) -> dict[str, tuple[int, ...]]:
        """Functions whose name fits a shell pattern, sorted."""
        line = rb"^(%b) (-?\d+)$" % glob_regex(pattern).encode()
        found: dict[str, list[int]] = {}
        for match in re.finditer(line, self.data, re.M):
            found.setdefault(match[1].decode(), []).append(int(match[2]))
        return {name: tuple(found[name]) for name in sorted(found)}
