# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's symbols by address, from kallsyms.

    KernelSymbols().name(0xffffffff8131f0b2)    -> "vfs_read+0x12"

The kernel shows addresses to privileged readers only. So the service, which has no privilege, decodes none: a
handler makes the text there, by symname() or symdata().
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from pathlib import Path
from typing import Final

KALLSYMS: Final = Path("/proc/kallsyms")
_FARTHEST: Final = 1 << 20  # bytes behind a symbol that are taken for a part of it
_U64: Final = (1 << 64) - 1


class KernelSymbols:
    """The table is read at the first look-up, and again, once a page, if an address is behind all it has."""

    def __init__(self, table: Path = KALLSYMS) -> None:
        self._table = table
        self._addresses = array("Q")
        self._names: list[str] = []
        self._is_read = False

    def new_page(self) -> None:
        """A module may have been loaded since."""
        self._is_read = False

    def name(self, address: int) -> str | None:
        """`symbol+0xOFFSET`, without an offset of 0. None if no symbol is near."""
        found = self._near(address & _U64)
        if found is None and not self._is_read:
            self._read()
            found = self._near(address & _U64)
        return found

    def _near(self, address: int) -> str | None:
        at = bisect_right(self._addresses, address) - 1
        if at < 0 or address - self._addresses[at] > _FARTHEST:
            return None
        offset = address - self._addresses[at]
        return f"{self._names[at]}+{offset:#x}" if offset else self._names[at]

    def _read(self) -> None:
        self._is_read = True
        found: dict[int, str] = {}
        try:
            with self._table.open(encoding="utf-8", errors="surrogateescape") as lines:
                for line in lines:
                    address, _, name = line.split(None, 3)[:3]
                    found.setdefault(int(address, 16), name)
        except (OSError, ValueError):
            return
        found.pop(0, None)  # hidden, or of no use
        self._addresses = array("Q", sorted(found))
        self._names = [found[address] for address in self._addresses]
