# SPDX-License-Identifier: GPL-2.0-or-later
"""A table's elements as series: those with the same labels are one series, whose value is their sum.

    series = Series(table, per_page(table), labeller.labels, grows=True)
    series.merged(found)        values whose keys are labels; of gone elements nothing is missing

Each element belongs to one series as long as it lives, so its labels are made once. What it adds to the sum
is the difference to its last row. So a scrape costs what has changed:

- If all series are of one element, the rows are those that were read, the same object.
- If elements share labels, pages of series are built of the sums that have changed.

`grows`: the sum of counters, counts and buckets never falls, or else Prometheus would take it for a reset,
and count all of it again. An element that has left its array stays in the sum of its series, as long as that
has other elements. A series without any ends, and begins anew at 0.

An element that is only left out of this reading (its ttl has passed, it could not be read) is still in the
sum, with its last value; a series is shown if one of its elements is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from struct import error, pack
from typing import Final

from agent.labels import label_pages
from agent.labels.label_pages import labelled, sequences
from runtime.abi.manifest import Table, ValueType
from runtime.reader.merge import words
from runtime.reader.table import TableValues, per_page
from runtime.reader.table_keys import OTHER, KeyPage, KeyTuple
from runtime.support.int64 import wrapped
from runtime.support.record import field, record, replace

_NONE: Final = -1  # of an element that is in no series


@record(frozen=False)
class _Elements:
    """One page of the table. `places`: each slot's series."""

    keys: KeyPage
    rows: bytes
    places: list[int]
    summed: bytearray  # the part of the rows that is in the sums
    shown: KeyPage | None = None  # the same slots with their labels, if no element shares any


@record(frozen=False)
class _Sums:
    """One page of series."""

    keys: KeyPage | None = None
    rows: bytes | None = None


@record(frozen=False)
class Series:
    """The series of one table of one module."""

    table: Table
    labels: Callable[[KeyTuple], KeyTuple | None]
    grows: bool
    # what series of another module have of elements that have gone: this one goes on from its values
    before: Mapping[KeyTuple, list[int]] = field(default_factory=dict)
    _pages: list[_Elements] = field(default_factory=list)
    # by series
    _places: dict[KeyTuple, int] = field(default_factory=dict)
    _names: list[KeyTuple] = field(default_factory=list)
    _members: list[int] = field(default_factory=list)
    _visible: list[int] = field(default_factory=list)
    _words: list[int] = field(default_factory=list)
    _free: list[int] = field(default_factory=list)
    _shared: int = 0  # series of several elements
    _remains: set[int] = field(default_factory=set)  # series with values of elements that have left
    _sums: dict[int, _Sums] = field(default_factory=dict)

    _width: int = field(init=False)  # words of a row
    _per_page: int = field(init=False)  # series of a page
    _is_text: bool = field(
        init=False
    )  # texts do not add up: a series has the one that changed last

    def __post_init__(self) -> None:
        self._width = self.table.row_size // 8
        self._per_page = per_page(self.table)
        self._is_text = self.table.value is ValueType.STRING

    def merged(self, found: TableValues) -> TableValues:
        """The values by labels. `found`: of this table, read after that of the last call."""
        size, at = self.table.row_size, 0
        other = found.key_pages[-1:] == (OTHER,)
        pages = found.key_pages[: len(found.key_pages) - other]
        while len(self._pages) > len(pages):  # never of a healthy module
            self._leave_all(self._pages.pop())
        for number, keys in enumerate(pages):
            end = at + keys.slots * size
            self._note(number, keys, found.rows[at:end])
            at = end
        if not self._shared and not self._remains:
            shown = tuple(self._direct(page) for page in self._pages)
            return replace(found, key_pages=(*shown, OTHER) if other else shown)
        return self._summed(found, found.rows[at:] if other else None)

    def distinct(self, found: TableValues) -> TableValues:
        """One element for each series that `found` has, without rows. The state stays as it is."""
        pages = [page for page in found.key_pages if page is not OTHER]
        same = len(pages) == len(self._pages) and all(
            page is known.keys for page, known in zip(pages, self._pages, strict=True)
        )
        return label_pages.distinct(found, self.labels, list(self._places) if same else None)

    def remains(self) -> dict[KeyTuple, list[int]]:
        """By series, the words of what elements that have gone have counted."""
        width = self._width
        found = {p: self._words[p * width : (p + 1) * width] for p in self._remains}
        for page in self._pages:
            for n, place in enumerate(page.places):
                if place in found:
                    row = words(bytes(page.summed[n * 8 * width : (n + 1) * 8 * width]))
                    found[place] = [a - b for a, b in zip(found[place], row, strict=True)]
        return {self._names[place]: left for place, left in found.items()}

    # -- which element is of which series ---------------------------------------------------------

    def _note(self, number: int, keys: KeyPage, rows: bytes) -> None:
        if number == len(self._pages):
            self._pages.append(_Elements(keys, b"", [], bytearray()))
            self._sort(self._pages[number], None, keys, rows)
        elif self._pages[number].keys is not keys:
            page = self._pages[number]
            self._sort(page, page.keys, keys, rows)
        self._pages[number].rows = rows

    def _sort(self, page: _Elements, old: KeyPage | None, keys: KeyPage, rows: bytes) -> None:
        """Find the elements that have come and gone."""
        self._add(page)
        was_shown: dict[int, bool] = {}
        self._show(page, -1, was_shown)
        before, now = sequences(old), sequences(keys)
        for n, place in enumerate(page.places):
            if place != _NONE and before[n] != now[n]:
                self._leave(page, n)
        known, size = len(page.places), self.table.row_size
        page.places += [_NONE] * (keys.slots - known)
        page.summed += bytes((keys.slots - known) * size)
        made = keys.decode(keys.data)
        for n, key in enumerate(made):
            if page.places[n] == _NONE and (keys.live is None or keys.live[n]):
                self._join(page, n, key)
        page.keys, page.shown = keys, None
        self._show(page, 1, was_shown)
        for place, before_ in was_shown.items():
            if before_ != bool(self._visible[place]):
                self._touch(place)

    def _show(self, page: _Elements, step: int, was_shown: dict[int, bool]) -> None:
        """Count the elements of this page that show their series; 1: more of them, -1: fewer."""
        live = page.keys.live
        for n, place in enumerate(page.places):
            if place != _NONE and (live is None or live[n]):
                was_shown.setdefault(place, bool(self._visible[place]))
                self._visible[place] += step

    def _join(self, page: _Elements, n: int, key: KeyTuple) -> None:
        labels = self.labels(key)
        if labels is None:
            return
        place = self._places.get(labels)
        if place is None:
            place = self._places[labels] = self._new_place(labels)
        page.places[n] = place
        self._members[place] += 1
        self._shared += self._members[place] == 2

    def _new_place(self, labels: KeyTuple) -> int:
        if self._free:
            place = heappop(self._free)
        else:
            place = len(self._names)
            self._names.append(())
            self._members.append(0)
            self._visible.append(0)
            self._words += [0] * self._width
        self._names[place] = labels
        if (before := self.before.get(labels)) is not None:
            self._words[place * self._width : (place + 1) * self._width] = before
            self._remains.add(place)
        self._touch(place)
        return place

    def _leave(self, page: _Elements, n: int) -> None:
        """An element has gone. What it has counted stays, if the series grows."""
        place, size, width = page.places[n], self.table.row_size, self._width
        row = page.summed[n * size : (n + 1) * size]
        page.places[n] = _NONE
        page.summed[n * size : (n + 1) * size] = bytes(size)
        self._shared -= self._members[place] == 2
        self._members[place] -= 1
        first = place * width
        if not self._members[place]:
            del self._places[self._names[place]]
            self._remains.discard(place)
            self._words[first : first + width] = [0] * width
            heappush(self._free, place)
            self._touch(place)
        elif self._is_text:
            self._add_again(place)
        elif self.grows:
            self._remains.add(place)
        else:
            for word, value in enumerate(words(bytes(row)), first):
                self._words[word] -= value
            self._change(place)

    def _add_again(self, place: int) -> None:
        """A text has gone: that of another element takes its place."""
        size = self.table.row_size
        for page in self._pages:
            for n, other in enumerate(page.places):
                if other == place:
                    page.summed[n * size : (n + 1) * size] = bytes(size)

    def _leave_all(self, page: _Elements) -> None:
        self._add(page)
        self._show(page, -1, {})
        for n, place in enumerate(page.places):
            if place != _NONE:
                self._leave(page, n)

    def _touch(self, place: int) -> None:
        self._sums.pop(place // self._per_page, None)

    # -- one element each -------------------------------------------------------------------------

    def _direct(self, page: _Elements) -> KeyPage:
        if page.shown is None:
            live = page.keys.live or b"\1" * page.keys.slots
            shown = bytes(x and p != _NONE for x, p in zip(live, page.places, strict=True))
            names = [self._names[p] if x else () for x, p in zip(shown, page.places, strict=True)]
            page.shown = labelled(names, shown)
        return page.shown

    # -- sums -------------------------------------------------------------------------------------

    def _add(self, page: _Elements) -> None:
        """Add to the sums what the elements have counted since the last call."""
        size, live = self.table.row_size, page.keys.live
        if page.summed == page.rows or not page.rows:
            return
        if size == 8 and not self._is_text:
            self._add_numbers(page)
            return
        for n, place in enumerate(page.places):
            at = n * size
            row = page.rows[at : at + size]
            old = page.summed[at : at + size]
            if place == _NONE or row == old or not (live is None or live[n]):
                continue
            first = place * self._width
            for word, (a, b) in enumerate(zip(words(row), words(bytes(old)), strict=True), first):
                self._words[word] = a if self._is_text else self._words[word] + a - b
            page.summed[at : at + size] = row
            self._change(place)

    def _add_numbers(self, page: _Elements) -> None:
        sums, live = self._words, page.keys.live
        old, new = words(bytes(page.summed)), words(page.rows)
        for n, (place, a, b) in enumerate(zip(page.places, new, old, strict=True)):
            if a == b:
                continue
            if place == _NONE or not (live is None or live[n]):
                new[n] = b
                continue
            sums[place] += a - b
            self._change(place)
        page.summed[:] = pack(f"{len(new)}q", *new)

    def _change(self, place: int) -> None:
        """The sum of a series has changed, its labels have not."""
        sums = self._sums.get(place // self._per_page)
        if sums is not None:
            sums.rows = None

    def _summed(self, found: TableValues, other: bytes | None) -> TableValues:
        for page in self._pages:
            self._add(page)
        keys, rows = [], []
        for number in range(-(-len(self._names) // self._per_page)):
            sums = self._sums.setdefault(number, _Sums())
            if sums.keys is None:
                sums.keys = self._page_of_labels(number)
            if sums.rows is None:
                sums.rows = self._page_of_rows(number)
            keys.append(sums.keys)
            rows.append(sums.rows)
        if other is not None:
            keys.append(OTHER)
            rows.append(other)
        return replace(found, key_pages=tuple(keys), rows=b"".join(rows), columns=())

    def _page_of_labels(self, number: int) -> KeyPage:
        start = number * self._per_page
        end = min(start + self._per_page, len(self._names))
        return labelled(self._names[start:end], bytes(map(bool, self._visible[start:end])))

    def _page_of_rows(self, number: int) -> bytes:
        step = self._per_page * self._width
        part = self._words[number * step : (number + 1) * step]
        try:
            return pack(f"{len(part)}q", *part)
        except error:  # a sum has passed 2^63
            return pack(f"{len(part)}q", *map(wrapped, part))
