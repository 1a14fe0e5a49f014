# SPDX-License-Identifier: GPL-2.0-or-later
"""An array of a module: its slots as a reader finds them, while elements come, change, expire and go.

array = Array(values.number("reads", ...))
slot = array.add(4711, 3)
array.read()                 -> TableValues with the key (4711,)
"""

from __future__ import annotations

import struct
from collections.abc import Collection

from runtime.abi.manifest import Key, Slots, Table, ValueType
from runtime.abi.structs import SLOT
from runtime.reader.table import TableValues
from runtime.reader.table_keys import KeyPage, decoder
from runtime.support.record import replace

PAGE = 4  # slots of a page
_STRIDE = SLOT.size + 8
_SLOTS = Slots(head=0, offset=0, stride=_STRIDE, key_offset=SLOT.size, capacity=1024)


def keyed(table: Table, name: str = "key") -> Table:
    """The table with one number as its key."""
    return replace(table, keys=(Key(name, ValueType.LONG, 0, 8),), slots=_SLOTS)


class Array:
    """`table`: keyed by one number. A page is the same object as long as its keys are."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.words = table.row_size // 8
        self._sequences: list[int] = []
        self._keys: list[int] = []
        self._rows: list[list[int]] = []
        self._pages: dict[tuple[int, bytes, bytes], KeyPage] = {}
        self._decode = decoder(table, _SLOTS)

    def live(self) -> list[int]:
        return [n for n, sequence in enumerate(self._sequences) if not sequence & 1]

    def value(self, slot: int) -> int:
        return self._rows[slot][0]

    def key(self, slot: int) -> int:
        return self._keys[slot]

    def add(self, key: int, value: int = 0) -> int:
        """In the first free slot."""
        slot = next((n for n, s in enumerate(self._sequences) if s & 1), len(self._sequences))
        if slot == len(self._sequences):
            self._sequences.append(1)
            self._keys.append(0)
            self._rows.append([])
        self._sequences[slot] += 1
        self._keys[slot], self._rows[slot] = key, [value] * self.words
        return slot

    def count(self, slot: int, value: int) -> None:
        self._rows[slot] = [old + value for old in self._rows[slot]]

    def remove(self, slot: int) -> None:
        self._sequences[slot] += 1

    def read(self, hidden: Collection[int] = ()) -> TableValues:
        """`hidden`: slots whose element this reading leaves out."""
        pages = []
        for first in range(0, len(self._keys), PAGE):
            part = range(first, min(first + PAGE, len(self._keys)))
            data = b"".join(
                struct.pack(f"<I{SLOT.size - 4}xq", self._sequences[n], self._keys[n]) for n in part
            )
            shown = bytes(not self._sequences[n] & 1 and n not in hidden for n in part)
            key = first, data, shown
            live = None if all(shown) else shown
            pages.append(self._pages.setdefault(key, KeyPage(data, live, len(part), self._decode)))
        rows = b"".join(struct.pack(f"{self.words}q", *row) for row in self._rows)
        return TableValues(self.table, tuple(pages), rows, 0)
