# SPDX-License-Identifier: GPL-2.0-or-later
"""One global's elements, read from the shared region and the lanes while handlers go on.

    reader = TableReader(table)
    reader.read(image.shared, image.lanes)
    -> TableValues(table, keys=[("sshd", 3), ...], values=[17, ...], dropped=0)

A reader keeps the keys that it decoded: as long as a slot's sequence number stays, its key is not
decoded again.

A slot (`struct sw_slot`) is live when its sequence is even and not 0. Its key and value are copied,
then the sequence is read again, and the copy is dropped when that changed. Every word is read with
one load, so a number is never torn; the words of one row may be moments apart.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeVar

from runtime import aggregate
from runtime.abi import SLOT
from runtime.aggregate import StatValue
from runtime.histogram import check as check_histogram
from runtime.manifest import Slots, Storage, Table, ValueType
from runtime.record import dataclass

KeyTuple = tuple[int | str, ...]
Value = int | str | StatValue
T = TypeVar("T")

_ATTEMPTS: Final = 8  # to copy a slot that is being changed, before it is left out of this read
_CACHED_STRINGS: Final = 1 << 18
_BLOCK: Final = 512


@dataclass(frozen=True, slots=True)
class TableValues:
    """All elements of a global, `keys[i]` with `values[i]`; a scalar is one with the key ().

    `keys` is the same list as long as no element came or went: do not change it. `dropped` counts
    updates that found the array full.
    """

    table: Table
    keys: list[KeyTuple]
    values: list[Value]
    dropped: int


class TableReader:
    """Reads one table again and again."""

    def __init__(self, table: Table) -> None:
        """ValueError when the table's description contradicts itself."""
        _check(table)
        self._table = table
        self._keys = _Keys(table, table.slots) if table.slots else None

    def read(self, shared: memoryview, lanes: Sequence[memoryview]) -> TableValues:
        """The elements as of now.

        The regions must be as long as the manifest needs (see snapshot.check).
        """
        table, keys = self._table, self._keys
        at = table.dropped
        dropped = 0 if at is None else sum(lane[at : at + 8].cast("Q")[0] for lane in lanes)
        if keys is None:
            return TableValues(table, [()], self._rows(shared, lanes, 0, 1), dropped)
        keys.update(shared)
        values = self._rows(shared, lanes, 0, keys.used)
        # elements can have come and gone while keys and values were read
        for slot in keys.changed(shared):
            self._settle(keys, shared, lanes, slot, values)
        return TableValues(table, keys.live(), keys.only_live(values), dropped)

    def _settle(
        self,
        keys: "_Keys",
        shared: memoryview,
        lanes: Sequence[memoryview],
        slot: int,
        values: list[Value],
    ) -> None:
        for _ in range(_ATTEMPTS):
            if not keys.reload(shared, slot):
                return
            row = self._rows(shared, lanes, slot, 1)
            if keys.settled(shared, slot):
                values[slot] = row[0]
                return
        keys.hide(slot)

    def _rows(
        self, shared: memoryview, lanes: Sequence[memoryview], first: int, count: int
    ) -> list[Value]:
        table = self._table
        size = table.row_size
        start = table.rows + first * size
        end = start + count * size
        if count == 0:
            return []
        if table.value is ValueType.STRING:
            data = bytes(shared[start:end])
            return [_text(data[at : at + size]) for at in range(0, len(data), size)]
        regions = lanes if table.storage is Storage.PERCPU else (shared,)
        columns = [region[start:end] for region in regions]
        if table.statistic is not None:
            return list(aggregate.merge(table.statistic, columns, size // 8))
        return list(aggregate.total(columns))


class _Strings(dict[bytes, str]):
    """Decoded strings by their buffer: most keys hold the same few."""

    def __missing__(self, data: bytes) -> str:
        if len(self) >= _CACHED_STRINGS:
            self.clear()
        text = self[data] = _text(data)
        return text


class _Keys:
    """An array's slots and their decoded keys."""

    def __init__(self, table: Table, slots: Slots) -> None:
        self._slots = slots
        self._strings = _Strings()
        self._sequences: list[int] = []
        self._decoded: list[KeyTuple] = []
        self._dead: set[int] = set()  # slots that hold no element
        self._live: list[KeyTuple] | None = None
        order = sorted(range(len(table.keys)), key=lambda n: table.keys[n].offset)
        fields, at = "<", 0
        for n in order:
            key = table.keys[n]
            position = slots.key_offset + key.offset
            field = "q" if key.type is ValueType.LONG else f"{key.size}s"
            fields += f"{position - at}x{field}"
            at = position + key.size
        self._struct = struct.Struct(f"{fields}{slots.stride - at}x")
        # for each key: its place in the struct, and whether it is a string
        self._fields = [
            (order.index(n), key.type is ValueType.STRING) for n, key in enumerate(table.keys)
        ]

    @property
    def used(self) -> int:
        return len(self._sequences)

    def live(self) -> list[KeyTuple]:
        """The keys of the slots that hold an element."""
        if self._live is None:
            self._live = self.only_live(self._decoded[:])
        return self._live

    def only_live(self, slots: list[T]) -> list[T]:
        """Of a list with something for each slot, what belongs to elements."""
        if not self._dead:
            return slots
        return [value for n, value in enumerate(slots) if n not in self._dead]

    def update(self, shared: memoryview) -> None:
        """Look at all slots given out so far; decode the keys that changed since the last time.

        A key may be one of two elements, or of both, until `changed` was asked.
        """
        head = self._slots.head  # its first word is `used`
        given_out = shared[head : head + 4].cast("I")[0]
        # `used` never shrinks; what was seen stays in view should it ever
        used = max(self.used, min(given_out, self._slots.capacity))
        sequences = self._read_sequences(shared, used)
        if sequences == self._sequences:
            return
        known = self._sequences
        stale = [*_differing(sequences, known), *range(len(known), used)]
        self._decoded.extend([()] * (used - len(known)))
        self._sequences = sequences
        self._live = None
        for first, end in _runs(stale):
            self._decoded[first:end] = self._decode(shared, first, end)
        for slot in stale:
            self._judge(slot)

    def changed(self, shared: memoryview) -> list[int]:
        """The slots whose sequence is no longer the one that their key was decoded under."""
        now = self._read_sequences(shared, self.used)
        if now == self._sequences:
            return []
        return _differing(now, self._sequences)

    def reload(self, shared: memoryview, slot: int) -> bool:
        """Decode a slot's key again; False when it holds no element. True holds while `settled`."""
        self._sequences[slot] = self._read_sequence(shared, slot)
        if not self._judge(slot):
            return False
        self._decoded[slot : slot + 1] = self._decode(shared, slot, slot + 1)
        return True

    def settled(self, shared: memoryview, slot: int) -> bool:
        """True while the slot holds what was decoded."""
        return self._read_sequence(shared, slot) == self._sequences[slot]

    def hide(self, slot: int) -> None:
        """Leave a slot out until its sequence is seen anew."""
        self._sequences[slot] |= 1
        self._judge(slot)

    def _judge(self, slot: int) -> bool:
        """Note whether a slot whose sequence was just read holds an element."""
        self._live = None
        sequence = self._sequences[slot]
        if sequence & 1 or not sequence:
            self._dead.add(slot)
            return False
        self._dead.discard(slot)
        return True

    def _read_sequences(self, shared: memoryview, used: int) -> list[int]:
        start, stride = self._slots.offset, self._slots.stride
        return shared[start : start + used * stride].cast("I")[:: stride // 4].tolist()

    def _read_sequence(self, shared: memoryview, slot: int) -> int:
        at = self._slots.offset + slot * self._slots.stride
        return shared[at : at + 4].cast("I")[0]

    def _decode(self, shared: memoryview, first: int, end: int) -> list[KeyTuple]:
        start, stride = self._slots.offset, self._slots.stride
        data = bytes(shared[start + first * stride : start + end * stride])
        columns = list(zip(*self._struct.iter_unpack(data), strict=True))
        return list(
            zip(
                *(
                    map(self._strings.__getitem__, columns[place]) if string else columns[place]
                    for place, string in self._fields
                ),
                strict=True,
            )
        )


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="backslashreplace")


def _differing(a: list[int], b: list[int]) -> list[int]:
    """Where two lists differ, as far as both go; comparing blocks first, since most are the same."""
    found = []
    size = min(len(a), len(b))
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        if a[start:end] != b[start:end]:
            found += [n for n in range(start, end) if a[n] != b[n]]
    return found


def _runs(numbers: list[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges: [3, 4, 7] -> [(3, 5), (7, 8)]."""
    if not numbers:
        return []
    breaks = [n for n, (a, b) in enumerate(pairwise(numbers), 1) if b != a + 1]
    starts = [0, *breaks]
    ends = [*breaks, len(numbers)]
    return [(numbers[a], numbers[b - 1] + 1) for a, b in zip(starts, ends, strict=True)]


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
    if table.statistic is not None:
        try:
            aggregate.check(table.statistic, table.row_size // 8)
            if table.statistic.histogram is not None:
                check_histogram(table.statistic.histogram)
        except ValueError as error:
            raise fail(str(error)) from error
    slots = table.slots
    if slots is None:
        return
    if slots.stride % 8 or slots.offset % 8 or slots.key_offset < SLOT.size:
        raise fail("slots are not made of whole words")
    at = 0
    for key in sorted(table.keys, key=lambda k: k.offset):
        if key.type is ValueType.STAT or (key.type is ValueType.LONG and key.size != 8):
            raise fail(f"key {key.name!r} has a wrong type or size")
        if key.offset < at or key.size <= 0:
            raise fail(f"key {key.name!r} overlaps another one")
        at = key.offset + key.size
    if slots.key_offset + at > slots.stride:
        raise fail("its keys do not fit a slot")
