# SPDX-License-Identifier: GPL-2.0-or-later
"""The keys of an array, page by page; a page is read again only if one of its keys has changed.

    keys = SlotReader(table, slots, 64)
    keys.refresh(image.shared)
    keys.pages[0].tuples()                 -> [("sshd", 3), ...]

A slot (`struct sw_slot`) is live if its sequence is even and not 0. The slots of a per-CPU array stay as they
are until elements expire, so only new ones are read. Afterwards, and for other arrays, the sequences of all
slots are compared.
"""

import sys
from collections.abc import Callable
from struct import Struct

from runtime.abi.manifest import Slots, Storage, Table, ValueType
from runtime.support.record import field, record

KeyTuple = tuple[int | str, ...]


@record
class KeyPage:
    """The keys of adjacent slots: the same object as long as none of them changes.

    `data`: the slots' bytes, which are smaller than decoded keys. `live`: 1 for each slot that holds an
    element, else 0; None: all slots do.
    """

    data: bytes
    live: bytes | None
    slots: int
    decode: Callable[[bytes], list[KeyTuple]] = field(compare=False)

    def __len__(self) -> int:
        return self.slots if self.live is None else sum(self.live)

    def tuples(self) -> list[KeyTuple]:
        """The decoded keys of all elements."""
        found = self.decode(self.data)
        if self.live is None:
            return found
        return [key for key, live in zip(found, self.live, strict=True) if live]

    def select(self, rows: bytes) -> bytes:
        """The rows of elements, out of the rows of all slots."""
        if self.live is None:
            return rows
        size = len(rows) // self.slots
        return b"".join([rows[n * size : (n + 1) * size] for n, x in enumerate(self.live) if x])


SEQUENCE_SIZE = 4  # bytes, the first ones of a slot
_APPENDED = 2  # the sequence of a slot that was filled once
_CHANGES = 20  # offset of the word in an array's head that grows when slots that were in use change
# the row of all that found an array full; it has no key
OTHER = KeyPage(b"", None, 1, lambda _: [()])


class SlotReader:
    """An array's pages of keys. `per_page`: the slots of one page."""

    def __init__(self, table: Table, slots: Slots, per_page: int) -> None:
        self.pages: list[KeyPage] = []
        self.used = 0
        self._slots, self._per_page = slots, per_page
        self._is_appended = table.storage is Storage.PERCPU
        self._sequences = bytearray()  # u32 each; empty as long as slots have not changed
        self._decode = decoder(table, slots)

    def refresh(self, shared: memoryview) -> None:
        """Read the keys that changed since the last call, of all slots in use.

        A key may be that of an older or newer element, or a mix: `changed` finds those slots.
        """
        head = self._slots.head  # its first word is `used`
        used = shared[head : head + 4].cast("I")[0]
        # `used` never shrinks in a healthy module; a smaller value is ignored
        before, self.used = self.used, max(self.used, min(used, self._slots.capacity))
        first = before // self._per_page
        if self._are_stable(shared):
            for page in range(first, -(-self.used // self._per_page) if before != self.used else 0):
                self._read_page(shared, page)
            return
        known, size = self._known(before), 4 * self._per_page
        self._sequences = self._read_sequences(shared)
        if self._sequences == known:
            return
        for page in range(-(-self.used // self._per_page)):
            at = page * size
            if self._sequences[at : at + size] != known[at : at + size]:
                self._read_page(shared, page)

    def changed(self, shared: memoryview) -> list[int]:
        """The slots whose sequence has changed since their key was read."""
        if self._are_stable(shared):
            return []
        self._sequences, now = self._known(self.used), self._read_sequences(shared)
        if now == self._sequences:
            return []
        pairs = zip(words(now), words(self._sequences), strict=True)
        return [slot for slot, (a, b) in enumerate(pairs) if a != b]

    def sequences(self) -> bytes:
        """The sequences at which the keys were read, u32 each; empty as long as slots have not changed."""
        return bytes(self._sequences)

    def sequence(self, slot: int) -> int:
        """The sequence at which a slot's key was read."""
        return words(self._sequences)[slot] if self._sequences else _APPENDED

    def reload(self, shared: memoryview, slot: int) -> bool:
        """Read a slot's key again; False if it holds no element. Valid while `is_consistent`."""
        sequence = self._read_sequence(shared, slot)
        words(self._sequences)[slot] = sequence
        self._read_page(shared, slot // self._per_page, only=slot)
        return alive(sequence)

    def is_consistent(self, shared: memoryview, slot: int) -> bool:
        """Whether the slot still holds the element that was read."""
        return self._read_sequence(shared, slot) == self.sequence(slot)

    def exclude(self, slot: int) -> None:
        """Leave a slot out until its sequence is read again."""
        words(self._sequences)[slot] |= 1
        page = self.pages[slot // self._per_page]
        live = bytearray(page.live or b"\1" * page.slots)
        live[slot % self._per_page] = 0
        self.pages[slot // self._per_page] = KeyPage(
            page.data, bytes(live), page.slots, page.decode
        )

    def _are_stable(self, shared: memoryview) -> bool:
        """Whether all slots that were read hold what they held. Afterwards they are compared for good."""
        if not self._is_appended:
            return False
        at = self._slots.head + _CHANGES
        self._is_appended = shared[at : at + 4].cast("I")[0] == 0
        return self._is_appended

    def _known(self, count: int) -> bytearray:
        """The sequences of the slots that were read."""
        return self._sequences or bytearray(_APPENDED.to_bytes(4, sys.byteorder) * count)

    def _read_page(self, shared: memoryview, page: int, only: int | None = None) -> None:
        first = page * self._per_page
        end = min(first + self._per_page, self.used)
        start, stride = self._slots.offset, self._slots.stride
        if only is None:
            data = bytes(shared[start + first * stride : start + end * stride])
        else:
            known = bytearray(self.pages[page].data)
            at = (only - first) * stride
            known[at : at + stride] = shared[start + only * stride : start + (only + 1) * stride]
            data = bytes(known)
        live: bytes | None = None
        if self._sequences:
            live = bytes(map(alive, words(self._sequences)[first:end]))
            live = None if all(live) else live
        self.pages[page : page + 1] = [KeyPage(data, live, end - first, self._decode)]

    def _read_sequences(self, shared: memoryview) -> bytearray:
        start, stride = self._slots.offset, self._slots.stride
        column = shared[start : start + self.used * stride].cast("I")[:: stride // 4]
        return bytearray(column.tobytes())

    def _read_sequence(self, shared: memoryview, slot: int) -> int:
        at = self._slots.offset + slot * self._slots.stride
        return shared[at : at + 4].cast("I")[0]


def alive(sequence: int) -> bool:
    return sequence != 0 and not sequence & 1


def words(sequences: bytearray) -> memoryview:
    return memoryview(sequences).cast("I")


def decoder(table: Table, slots: Slots) -> Callable[[bytes], list[KeyTuple]]:
    """A function from the bytes of slots to their keys, in the script's order."""
    order = sorted(range(len(table.keys)), key=lambda n: table.keys[n].offset)
    fields, at = "<", 0
    for n in order:
        key = table.keys[n]
        position = slots.key_offset + key.offset
        field = "q" if key.type is ValueType.LONG else f"{key.size}s"
        fields += f"{position - at}x{field}"
        at = position + key.size
    struct = Struct(f"{fields}{slots.stride - at}x")
    # for each key: its index in the struct, and whether it is a string
    indexes = [(order.index(n), key.type is ValueType.STRING) for n, key in enumerate(table.keys)]

    def decode(data: bytes) -> list[KeyTuple]:
        columns = list(zip(*struct.iter_unpack(data), strict=True))
        return list(
            zip(
                *(
                    map(text, columns[index]) if string else columns[index]
                    for index, string in indexes
                ),
                strict=True,
            )
        )

    return decode


def text(data: bytes) -> str:
    """A string of the kernel, up to its NUL; bytes that are not UTF-8 become lone surrogates."""
    return data.partition(b"\0")[0].decode(errors="surrogateescape")
