# SPDX-License-Identifier: GPL-2.0-or-later
"""The elements of one global, read from the shared region and the lanes while handlers run.

    reader = TableReader(table)
    found = reader.read(image)
    -> TableValues(table, ...)   keys [("sshd", 3), ...], values [17, ...], dropped 0
    for keys, rows in found.pages(): ...

Keys and rows come in pages of adjacent slots, as bytes, so that a caller can cache what it makes of a page:
if the keys are the same object and the rows are equal, nothing has changed.

A slot's key and row are read, then its sequence again; if that has changed, the slot is read again. Every
word is read with one load, so a number is never torn.
"""

from collections.abc import Iterator
from typing import Final

from runtime.abi.histogram import check as check_histogram
from runtime.abi.manifest import Storage, Table, ValueType, WhenFull
from runtime.abi.structs import SLOT
from runtime.reader import merge
from runtime.reader.device import Image
from runtime.reader.merge import StatValue
from runtime.reader.table_keys import OTHER, KeyPage, KeyTuple, SlotReader, alive, text
from runtime.reader.table_rows import RowReader
from runtime.reader.wraps import WrapDetector
from runtime.support.record import record

Value = int | str | StatValue

_ATTEMPTS: Final = (
    8  # to copy a slot that is being changed, before it is excluded from this reading
)
_PAGE_WORDS: Final = 512
_FEWEST_ROWS: Final = 32
_SCALAR: Final = KeyPage(b"", None, 1, lambda _: [()])


def per_page(table: Table) -> int:
    """Rows in a page: 512 numbers, or a few statistics."""
    return max(_FEWEST_ROWS, 8 * _PAGE_WORDS // table.row_size)


@record
class TableValues:
    """All elements of a global; a scalar has one element with the key ().

    `rows` are the rows of all slots of `key_pages`, with and without an element. The last page is OTHER if a
    row holds what found the array full. Else `dropped` counts such updates, or `replaced` the elements that
    gave way. `unsettled` counts elements that changed too often to be read: they have the values of an
    earlier reading, or are missing. `wrapped`: sums that were seen to pass 2^63. `started_ns`: since 1970,
    when all elements were 0; 0: unknown. `filled`: the counts of a native histogram are doubles, the last
    bucket holds their sum, and those outside of the range are 0; None: they are integers.
    """

    table: Table
    key_pages: tuple[KeyPage, ...]
    rows: bytes
    dropped: int
    unsettled: int = 0
    columns: tuple[bytes, ...] = ()
    replaced: int = 0
    wrapped: int = 0
    started_ns: int = 0
    filled: tuple[int, int] | None = None

    def __len__(self) -> int:
        return sum(map(len, self.key_pages))

    def pages(self) -> Iterator[tuple[KeyPage, bytes]]:
        """Keys and rows of the slots that hold an element, page by page."""
        at = 0
        for page in self.key_pages:
            end = at + page.slots * self.table.row_size
            rows = self.rows[at:end]
            yield page, rows if page.live is None else page.select(rows)
            at = end

    @property
    def keys(self) -> list[KeyTuple]:
        """Decoded, for callers that need them once."""
        return [key for page in self.key_pages for key in page.tuples()]

    @property
    def values(self) -> list[Value]:
        """Decoded, `values[i]` of `keys[i]`."""
        rows = self._live(self.rows)
        if self.table.value is ValueType.STRING:
            size = self.table.row_size
            return [text(rows[at : at + size]) for at in range(0, len(rows), size)]
        if self.table.statistic is None:
            return list(merge.words(rows))
        assert self.filled is None
        columns = [self._live(column) for column in self.columns]
        return list(merge.values(self.table.statistic, rows, self.table.row_size // 8, columns))

    def _live(self, rows: bytes) -> bytes:
        at, found = 0, []
        for page in self.key_pages:
            end = at + page.slots * self.table.row_size
            found.append(page.select(rows[at:end]))
            at = end
        return b"".join(found)


class TableReader:
    """Reads one table repeatedly."""

    def __init__(self, table: Table) -> None:
        """Raises ValueError if the table's description contradicts itself."""
        _check(table)
        self._table = table
        self.name = table.name
        self._rows = RowReader(table)
        self._keys = SlotReader(table, table.slots, per_page(table)) if table.slots else None
        self._wraps = WrapDetector(table)
        self._before: tuple[bytes, bytes] = (b"", b"")  # rows, and the sequences they belong to

    def read(
        self, image: Image, spread: bool = True, lanes: bool = False, doubles: bool = False
    ) -> TableValues:
        """The elements as of now. Without `spread`, statistics have no min, max and variance.

        `lanes`: `columns` are the rows of each lane, if the table has any. An element whose slot has changed
        meanwhile is then excluded. `doubles`: counts of native histograms may be doubles.
        The regions must be as long as the manifest needs (see snapshot.check).
        """
        table, keys = self._table, self._keys
        dropped, replaced = _counter(image, table.dropped), _counter(image, table.replaced)
        if keys is not None:
            keys.refresh(image.shared)
        self._rows.begin(doubles)
        found = self._rows.read(image, 0, keys.used if keys else 1, spread, lanes)
        rows, columns, unsettled = found.data, found.columns, 0
        # elements may have been added and deleted while keys and values were read
        moved = keys.changed(image.shared) if keys else []
        if lanes and keys is not None and table.storage is Storage.PERCPU:
            for slot in moved:
                keys.exclude(slot)
            unsettled = len(moved)
        elif moved or found.torn:
            retried = bytearray(rows)
            unsettled = self._retry(image, retried, moved, set(found.torn))
            rows = bytes(retried)
            columns = (rows,) if columns else ()
        if keys is None:
            if unsettled and not rows:
                return TableValues(table, (), b"", dropped, unsettled)
            pages: tuple[KeyPage, ...] = (_SCALAR,)
        else:
            pages = tuple(keys.pages)
        if table.sequence is not None:
            self._before = rows, keys.sequences() if keys else b""
        if table.slots is not None and table.slots.when_full is WhenFull.OTHER:
            last = self._rows.read(image, table.slots.capacity, 1, spread, lanes)
            pages, rows = (*pages, OTHER), rows + last.data
            columns = tuple(map(bytes.__add__, columns, last.columns)) or last.columns
        return TableValues(
            table,
            pages,
            rows,
            dropped,
            unsettled,
            columns,
            replaced,
            self._wraps.seen(rows),
            image.header().started_ns,
            self._rows.filled,
        )

    def _retry(self, image: Image, rows: bytearray, moved: list[int], torn: set[int]) -> int:
        """Read the slots again that changed during the reading. Returns the number of failures."""
        keys, unsettled = self._keys, 0
        for slot in moved:
            torn.discard(slot)
            unsettled += not self._read_consistent(image, slot, rows)
        for slot in sorted(torn):
            if keys is None:
                rows[:] = self._before[0]  # empty before the first reading
                unsettled += 1
            elif alive(keys.sequence(slot)):
                self._restore(keys, slot, rows)
                unsettled += 1
        return unsettled

    def _read_consistent(self, image: Image, slot: int, rows: bytearray) -> bool:
        keys, size = self._keys, self._table.row_size
        assert keys is not None
        for _ in range(_ATTEMPTS):
            if not keys.reload(image.shared, slot):
                return True
            row = self._rows.read(image, slot, 1)
            if not row.torn and keys.is_consistent(image.shared, slot):
                rows[slot * size : (slot + 1) * size] = row.data
                return True
        keys.exclude(slot)
        return False

    def _restore(self, keys: SlotReader, slot: int, rows: bytearray) -> None:
        """Use the row of the previous reading, if the slot held the same element then."""
        before, sequences = self._before
        at, size = 4 * slot, self._table.row_size
        if sequences[at : at + 4] == keys.sequences()[at : at + 4]:
            rows[slot * size : (slot + 1) * size] = before[slot * size : (slot + 1) * size]
        else:
            keys.exclude(slot)


def _counter(image: Image, offset: int | None) -> int:
    return 0 if offset is None else merge.words(image.sums(offset, 1))[0]


def _check(table: Table) -> None:
    def fail(why: str) -> ValueError:
        return ValueError(f"table {table.name!r}: {why}")

    if table.row_size <= 0 or table.row_size % 8 or table.rows % 8:
        raise fail("rows are not made of whole words")
    if table.value is ValueType.LONG and table.row_size != 8:
        raise fail("a number takes one word")
    if bool(table.keys) != (table.slots is not None):
        raise fail("an array has both keys and slots")
    if (table.value is ValueType.STAT) != (table.statistic is not None):
        raise fail("a statistic is described, and nothing else is")
    if table.value is ValueType.STRING and table.storage is Storage.PERCPU:
        raise fail("strings do not add up over CPUs")
    if table.sequence is not None and (table.storage is Storage.PERCPU or table.sequence % 4):
        raise fail("only rows of the shared region have a sequence")
    if table.statistic is not None:
        try:
            merge.check(table.statistic, table.row_size // 8)
            for histogram in (table.statistic.histogram, table.statistic.separate):
                if histogram is not None:
                    check_histogram(histogram)
        except ValueError as error:
            raise fail(str(error)) from error
    slots = table.slots
    if slots is None:
        return
    if slots.stride % 8 or slots.offset % 8 or slots.key_offset < SLOT.size:
        raise fail("slots are not made of whole words")
    if slots.when_full is WhenFull.OTHER and table.storage is not Storage.PERCPU:
        raise fail("only per-CPU rows add up in a row for all others")
    at = 0
    for key in sorted(table.keys, key=lambda k: k.offset):
        if key.type is ValueType.STAT or (key.type is ValueType.LONG and key.size != 8):
            raise fail(f"key {key.name!r} has a wrong type or size")
        if key.offset < at or key.size <= 0:
            raise fail(f"key {key.name!r} overlaps another one")
        at = key.offset + key.size
    if slots.key_offset + at > slots.stride:
        raise fail("its keys do not fit a slot")
