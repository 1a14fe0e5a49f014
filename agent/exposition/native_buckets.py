# SPDX-License-Identifier: GPL-2.0-or-later
"""The buckets of a native histogram in protobuf: fields of io.prometheus.client.Histogram.

    buckets = NativeBuckets(member, window)
    buckets.spans                  which buckets there are: the same for all elements of a family
    buckets.packed(rows, at)       the counts of a row, always `buckets.size` bytes

Counts are doubles: integers would be differences of varying length, which take three times as long to make.
Empty buckets between others are sent, those at the ends are not. With negative values, all of the family is
at schema 0, in which they are counted: a bucket of schema 0 is 2^n adjacent ones of schema n.
"""

from __future__ import annotations

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
        word = histogram.word + ZERO_WORD - self._below
        gap = first - _FIRST if count else 0
        self._read = Struct(f"{8 * word}x{self._below}q q{8 * gap}x{count}q").unpack_from
        self._filled = slice(8 * (histogram.word + low), 8 * (histogram.word + max(low, high)))
        self._none = bytes(self._filled.stop - self._filled.start)
        start, self._groups = shape.first + first - _FIRST, []
        if self._below and shape.schema:
            self._groups = _groups(start, count, shape.per_octave)
            start, count = -(-start // shape.per_octave), len(self._groups)
            shape = shape.coarse
        self.schema, self.spans, pieces = shape.schema, b"", []
        layout = [f"<{len(_COUNT)}sd{len(_ZERO)}sd"]
        for length, offset, span, field in (
            (count, start, _POSITIVE_SPAN, _POSITIVE),
            (self._below, shape.coarse.first, _NEGATIVE_SPAN, _NEGATIVE),
        ):
            head = b""
            if length:
                range_ = wire.signed(1, offset) + wire.number(2, length)
                self.spans += wire.message(span, range_)
                head = wire.message(field, b"", 8 * length)
            pieces.append(head)
            layout.append(f"{len(head)}s{length}d")
        self._positive, self._negative = pieces
        self._layout = Struct("".join(layout))
        self.size = self._layout.size

    def is_empty(self, rows: bytes, at: int) -> bool:
        """Whether the row that begins there has counted nothing."""
        part = self._filled
        return rows[at + part.start : at + part.stop] == self._none

    def packed(self, rows: bytes, at: int) -> bytes:
        found: tuple[int, ...] = self._read(rows, at)
        total, pack = sum(found), self._layout.pack
        if not self._below:
            zero, *counts = found
            return pack(_COUNT, total, _ZERO, zero, self._positive, *counts, b"")
        below, (zero, *counts) = found[self._below - 1 :: -1], found[self._below :]
        if self._groups:
            counts = [sum(counts[group]) for group in self._groups]
        return pack(_COUNT, total, _ZERO, zero, self._positive, *counts, self._negative, *below)


def _groups(start: int, count: int, size: int) -> list[slice]:
    """The buckets from number `start` on that make up each bucket of schema 0."""
    groups: dict[int, slice] = {}
    for n in range(count):
        coarse = -(-(start + n) // size)
        groups[coarse] = slice(groups[coarse].start if coarse in groups else n, n + 1)
    return list(groups.values())
