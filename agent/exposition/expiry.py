# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements that have not changed for the ttl of their metric, and are not served.

    expiry = Expiry(300)
    expiry.visible(found, now)      the values without the elements whose last change is 300 s ago
    expiry.hidden(now)              the others: (slot, its sequence, its row), ...

A change is seen at a scrape. An element that changes again is served again, with its whole value, if it has
kept its slot. Pages whose rows are as before cost a comparison of bytes; the others one of each row.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator

from agent.exposition.selection import masked, with_pages
from runtime.reader.table import TableValues
from runtime.reader.table_keys import OTHER, SEQUENCE_SIZE, KeyPage
from runtime.support.record import field, record


@record(frozen=False)
class _Page:
    keys: KeyPage
    rows: bytes
    changed: array[float]  # by slot

    def note(self, keys: KeyPage, rows: bytes, size: int, now: float) -> None:
        """Find the slots that have changed."""
        known = len(self.changed)
        self.changed.extend([now] * (keys.slots - known))
        if self.rows != rows[: len(self.rows)]:
            self._note_slots(known, self.rows, rows, size, size, now)
        if self.keys is not keys and self.keys.data:
            # another element may have the same value; its slot's first word is the sequence
            stride = len(keys.data) // keys.slots
            self._note_slots(known, self.keys.data, keys.data, stride, SEQUENCE_SIZE, now)
        self.keys, self.rows = keys, rows

    def _note_slots(
        self, count: int, old: bytes, new: bytes, stride: int, size: int, now: float
    ) -> None:
        for n in range(count):
            at = n * stride
            if old[at : at + size] != new[at : at + size]:
                self.changed[n] = now

    def hidden(self, since: float) -> Iterator[tuple[int, int, bytes]]:
        """The slots of the other elements, by their number in the page, with their sequences and rows."""
        stride, size = len(self.keys.data) // self.keys.slots, len(self.rows) // self.keys.slots
        for n, time in enumerate(self.changed):
            if time <= since and (self.keys.live is None or self.keys.live[n]):
                data = self.keys.data[n * stride : n * stride + SEQUENCE_SIZE]
                yield n, int.from_bytes(data, sys.byteorder), self.rows[n * size : (n + 1) * size]

    def shown(self, since: float) -> KeyPage:
        """The keys of the elements that have changed after `since`."""
        if min(self.changed) > since:
            return self.keys
        return masked(self.keys, bytes(time > since for time in self.changed))


@record(frozen=False)
class Expiry:
    """The last changes of one table's elements."""

    ttl: float  # seconds
    _pages: list[_Page] = field(default_factory=list)

    def visible(self, found: TableValues, now: float) -> TableValues:
        """Note what has changed, and leave out what has not for so long. `now`: of a steady clock."""
        at, size, shown = 0, found.table.row_size, []
        del self._pages[len(found.key_pages) :]
        for number, keys in enumerate(found.key_pages):
            end = at + keys.slots * size
            if keys is OTHER or not found.table.keys:
                shown.append(keys)
                continue
            rows = found.rows[at:end]
            if number == len(self._pages):
                self._pages.append(_Page(keys, rows, array("d", [now] * keys.slots)))
            page = self._pages[number]
            page.note(keys, rows, size, now)
            shown.append(page.shown(now - self.ttl))
            at = end
        return with_pages(found, shown)

    def hidden(self, now: float) -> Iterator[tuple[int, int, bytes]]:
        """The slots that `visible` left out: (number, sequence, row)."""
        first = 0
        for page in self._pages:
            for n, sequence, row in page.hidden(now - self.ttl):
                yield first + n, sequence, row
            first += page.keys.slots
