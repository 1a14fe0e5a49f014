# SPDX-License-Identifier: GPL-2.0-or-later
"""The buckets of a native histogram in protobuf: fields of io.prometheus.client.Histogram.

    buckets = NativeBuckets(member, window)
    buckets.spans                  which buckets there are: the same for all elements of a family
    buckets.packed(rows)           the counts of each row, always `buckets.size` bytes

Counts are doubles: integers would be differences of varying length, which take three times as long to make.
Empty buckets between others are sent, those at the ends are not. With negative values, all of the family is
at schema 0, in which they are counted: a bucket of schema 0 is 2^n adjacent ones of schema n.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct

from agent.exposition import wire
from agent.exposition.families import Member
from agent.exposition.samples import Window, buckets_of
from runtime.abi.histogram import ZERO_WORD, exponential

_FIRST = ZERO_WORD + 1  # the word of value 1
_COUNT, _ZERO = wire.double_tag(4), wire.double_tag(8)  # sample_count_float, zero_count_float
_NEGATIVE_SPAN, _NEGATIVE, _POSITIVE_SPAN, _POSITIVE = 9, 11, 12, 14


class NativeBuckets:
    def __init__(self, member: Member, window: Window) -> None:
        histogram = buckets_of(member)
        shape = exponential(histogram)
        low, high = window.filled
        first = max(low, _FIRST)
        count, self._below = max(0, high - first), max(0, ZERO_WORD - low)
        self._zeros = int(low <= ZERO_WORD < high)  # whether any value was 0
        self._read = _row(
            member, histogram.word, self._below, self._zeros, first, count
        ).iter_unpack
        start, self._groups = shape.first + first - _FIRST, []
        if self._below and shape.schema:
            self._groups = _groups(start, count, shape.per_octave)
            start, count = -(-start // shape.per_octave), len(self._groups)
            shape = shape.coarse
        self.schema, self.spans = shape.schema, b""
        zero = _ZERO * self._zeros
        layout = [f"<{len(_COUNT)}sd{len(zero)}s{self._zeros}d"]
        heads = []
        for length, offset, span, field in (
            (count, start, _POSITIVE_SPAN, _POSITIVE),
            (self._below, shape.coarse.first, _NEGATIVE_SPAN, _NEGATIVE),
        ):
            head = b""
            if length:
                range_ = wire.signed(1, offset) + wire.number(2, length)
                self.spans += wire.message(span, range_)
                head = wire.message(field, b"", 8 * length)
            heads.append(head)
            layout.append(f"{len(head)}s{length}d")
        self._heads = zero, heads[0], heads[1]
        self._layout = Struct("".join(layout))
        self.size = self._layout.size
        start, end = 8 * (histogram.word + low), 8 * (histogram.word + max(low, high))
        self._filled, self._none = slice(start, end), bytes(end - start)

    def is_empty(self, rows: bytes, at: int) -> bool:
        """True if the row that begins at byte `at` has counted nothing."""
        part = self._filled
        return rows[at + part.start : at + part.stop] == self._none

    def packed(self, rows: bytes) -> list[bytes]:
        """The counts of each row."""
        pack, (zero, positive, negative) = self._layout.pack, self._heads
        if not self._below and not self._zeros:
            return [
                pack(_COUNT, sum(row), zero, positive, *row, negative) for row in self._read(rows)
            ]
        return [
            pack(_COUNT, sum(row), zero, *zeros, positive, *counts, negative, *below)
            for row in self._read(rows)
            for below, zeros, counts in [self._parts(row)]
        ]

    def _parts(self, row: tuple[int, ...]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Negative values, those next to 0 first; 0; and the others."""
        below, first = self._below, self._below + self._zeros
        counts: Sequence[int] = row[first:]
        if self._groups:
            counts = [sum(counts[group]) for group in self._groups]
        return row[:below][::-1], row[below:first], counts


def _row(member: Member, word: int, below: int, zeros: int, first: int, count: int) -> Struct:
    """The words of a row that are served."""
    start = word + ZERO_WORD - below
    gap = first - _FIRST + (1 - zeros) if count else 1 - zeros
    rest = member.table.row_size // 8 - start - below - zeros - gap - count
    return Struct(f"{8 * start}x{below}q{zeros}q{8 * gap}x{count}q{8 * rest}x")


def _groups(start: int, count: int, size: int) -> list[slice]:
    """The buckets from number `start` on that make up each bucket of schema 0."""
    groups: dict[int, slice] = {}
    for n in range(count):
        coarse = -(-(start + n) // size)
        groups[coarse] = slice(groups[coarse].start if coarse in groups else n, n + 1)
    return list(groups.values())
