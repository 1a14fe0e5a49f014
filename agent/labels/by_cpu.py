# SPDX-License-Identifier: GPL-2.0-or-later
"""A table's values by CPU: each element becomes one for each CPU that has counted it.

    ByCpu().apart(found)       of keys (4711,) and rows of 2 CPUs -> keys (4711, 0), (4711, 1)

The CPU's number is one more key, the last one. A CPU that has never counted an element has none, for there
are more possible CPUs than busy ones.
"""

from __future__ import annotations

from agent.labels.label_pages import sequences
from runtime.reader.table import TableValues
from runtime.reader.table_keys import OTHER, KeyPage, KeyTuple
from runtime.support.record import field, record, replace


@record(frozen=False)
class _Page:
    """One CPU's part of a page. `seen`: 1 for each slot that the CPU has counted."""

    whole: KeyPage
    seen: bytes
    keys: KeyPage


@record(frozen=False)
class ByCpu:
    """For one table of one module."""

    _pages: dict[tuple[int, int], _Page] = field(default_factory=dict)

    def apart(self, found: TableValues) -> TableValues:
        """`found`: with the rows of each CPU as columns."""
        size, at = found.table.row_size, 0
        pages, rows = [], []
        for number, whole in enumerate(found.key_pages):
            end = at + whole.slots * size
            if whole is OTHER:
                pages.append(whole)
                rows.append(found.rows[at:end])
                continue
            for cpu, column in enumerate(found.columns):
                rows.append(column[at:end])
                pages.append(self._page(number, cpu, whole, rows[-1], size))
            at = end
        return replace(found, key_pages=tuple(pages), rows=b"".join(rows), columns=())

    def _page(self, number: int, cpu: int, whole: KeyPage, rows: bytes, size: int) -> KeyPage:
        known = self._pages.get((number, cpu))
        seen = bytes(whole.slots) if known is None else _still_seen(known, whole)
        if rows != bytes(len(rows)):
            zero = bytes(size)
            seen = bytes(
                was or rows[n * size : (n + 1) * size] != zero for n, was in enumerate(seen)
            )
        if known is None or known.whole is not whole or known.seen != seen:
            live = seen if whole.live is None else bytes(map(int.__and__, seen, whole.live))

            def decode(data: bytes) -> list[KeyTuple]:
                return [(*key, cpu) for key in whole.decode(data)]

            keys = KeyPage(whole.data, live, whole.slots, decode)
            known = self._pages[number, cpu] = _Page(whole, seen, keys)
        return known.keys


def _still_seen(known: _Page, whole: KeyPage) -> bytes:
    """A byte for each slot: 1 if it holds the same element as before, and this CPU has counted it."""
    if known.whole is whole:
        return known.seen
    old, new = sequences(known.whole), sequences(whole)
    return bytes(n < len(old) and known.seen[n] and old[n] == new[n] for n in range(whole.slots))
