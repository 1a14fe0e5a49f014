# SPDX-License-Identifier: GPL-2.0-or-later
"""The values of one table as bytes: sums over the lanes, or consistent copies of the shared rows.

    rows = RowReader(table)
    rows.read(image, 0, 100).data          -> bytes of 100 rows

A handler writes a shared row of several words (a string, a statistic) under its global's lock, and the
table's sequence is odd meanwhile. A reader compares the sequence before and after its copy, and copies again
if it has changed: a bounded number of times, since a busy table may always be locked. Rows that may then be
torn are listed.
"""

from typing import Final

from runtime.abi.manifest import HistogramKind, Storage, Table, ValueType
from runtime.reader import merge
from runtime.reader.device import Image
from runtime.support.record import record

_TURNS: Final = 64  # attempts to copy one row
_ALL_TURNS: Final = 1 << 14  # attempts in one reading: some milliseconds


@record
class Rows:
    """`columns`: the rows of each lane, if they were asked for. `torn`: numbers of rows that may be torn."""

    data: bytes
    columns: tuple[bytes, ...] = ()
    torn: tuple[int, ...] = ()


def counts_of(table: Table) -> slice | None:
    """The words of a row that may be read as doubles: the buckets of a native histogram. None: it has none.

    The bucket behind them has no bound, and counts nothing: it holds their sum.
    """
    histogram = table.statistic.histogram if table.statistic is not None else None
    if histogram is None or histogram.kind is not HistogramKind.EXPONENTIAL:
        return None
    return slice(histogram.word, histogram.word + histogram.buckets - 1)


class RowReader:
    """Reads rows of one table. `filled`: see TableValues; of all rows since `begin`."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._turns = 0
        self._counts = counts_of(table)
        self._doubles = False
        self.filled: tuple[int, int] | None = None

    def begin(self, doubles: bool) -> None:
        """All rows of a reading have the same kind of numbers. `doubles`: counts are, if the module makes
        them."""
        self._doubles, self.filled = doubles and self._counts is not None, None

    def read(
        self, image: Image, first: int, count: int, spread: bool = False, lanes: bool = False
    ) -> Rows:
        """`count` rows. `lanes`: also those of each lane; `spread`: if there is min, max or variance."""
        table = self._table
        if not count:
            return Rows(b"")
        start, size = table.rows + first * table.row_size, count * table.row_size
        statistic = table.statistic
        by_lane = lanes or (spread and statistic is not None and merge.spread(statistic))
        if table.storage is Storage.PERCPU:
            if not by_lane:
                return Rows(self._as_doubles(image, start, count) or image.sums(start, size // 8))
            columns = [merge.copied(lane[start : start + size]) for lane in image.lanes]
            return Rows(merge.total([memoryview(column) for column in columns]), tuple(columns))
        torn: list[int] = []
        if table.sequence is None or table.value is ValueType.LONG:
            data = merge.copied(image.shared[start : start + size])
        else:
            self._turns = _ALL_TURNS
            data = self._whole(image.shared, table.sequence, first, count, torn)
        return Rows(data, (data,) if by_lane else (), tuple(torn))

    def _as_doubles(self, image: Image, start: int, count: int) -> bytes:
        counts = self._counts
        if not self._doubles or counts is None:
            return b""
        words, number = self._table.row_size // 8, counts.stop - counts.start
        found = image.doubles(start, count, words, counts.start, number)
        if found is None:
            self._doubles = False
            return b""
        low, high = self.filled or (number, 0)
        self.filled = min(low, found.begin), max(high, found.end)
        return found.rows

    def _whole(
        self, shared: memoryview, sequence: int, first: int, count: int, torn: list[int]
    ) -> bytes:
        """Rows copied while no handler wrote; fewer at a time if handlers do."""
        start, size = self._table.rows + first * self._table.row_size, self._table.row_size
        for _ in range(_TURNS if count == 1 else 1):
            self._turns -= 1
            before = shared[sequence : sequence + 4].cast("I")[0]
            data = merge.copied(shared[start : start + count * size])
            if not before & 1 and shared[sequence : sequence + 4].cast("I")[0] == before:
                return data
            if self._turns < 0:
                break
        if count == 1 or self._turns < 0:
            torn += range(first, first + count)
            return data
        half = count // 2
        return self._whole(shared, sequence, first, half, torn) + self._whole(
            shared, sequence, first + half, count - half, torn
        )
