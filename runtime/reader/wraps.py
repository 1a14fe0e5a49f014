# SPDX-License-Identifier: GPL-2.0-or-later
"""Sums that have grown beyond 64 bits, noticed between two readings.

    wraps = WrapDetector(table)
    wraps.seen(rows)        -> 1    so far

A sum is known modulo 2^64 and read as a signed number. One that has passed 2^63 reads as less than -2^62
until it has grown by another 2^62. No reading skips that zone: it takes years to add up 2^62 nanoseconds or
bytes. Numbers that are not negative never get there in another way. So an element is counted when it is found
in the zone, and was not there at the last reading.
"""

from typing import Final

from runtime.abi.manifest import Table, ValueType

_WORD: Final = 8
_ZONE: Final = range(0x80, 0xC0)  # the last byte of -2^63 to -2^62 - 1


class WrapDetector:
    """Watches the sums of one table. What it has seen is forgotten with it."""

    def __init__(self, table: Table) -> None:
        self._word = _sum_word(table)
        self._size = table.row_size
        self._inside: frozenset[int] = frozenset()  # rows that were in the zone at the last reading
        self._count = 0

    def seen(self, rows: bytes) -> int:
        """Look at the rows of now. Returns how many sums have wrapped since this object exists."""
        if self._word is None:
            return 0
        tops = rows[_WORD * self._word + _WORD - 1 :: self._size]
        if tops.isascii():  # no sum is negative
            self._inside = frozenset()
            return self._count
        inside = frozenset(n for n, top in enumerate(tops) if top in _ZONE)
        self._count += len(inside - self._inside)
        self._inside = inside
        return self._count


def _sum_word(table: Table) -> int | None:
    """The word of a row that only grows; None: every value is possible."""
    if table.statistic is not None:
        return table.statistic.sum
    return 0 if table.value is ValueType.LONG and table.monotonic else None
