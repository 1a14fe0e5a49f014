# SPDX-License-Identifier: GPL-2.0-or-later
"""The buckets of a native histogram in protobuf: fields of io.prometheus.client.Histogram.

    buckets = NativeBuckets(member, window, doubles=False)
    buckets.spans                  which buckets there are: the same for all elements of a family
    buckets.message                the template of their counts
    buckets.columns(rows)          what it is filled with: for each `%b` the values of all rows

Counts are doubles: integers would be differences of varying length, which take three times as long to make.
With `doubles`, the module has made them (runtime/reader/doubles.py), and Python only copies. Empty buckets
between others are sent, those at the ends are not. With negative values, all of the family is at schema 0,
in which they are counted: a bucket of schema 0 is 2^n adjacent ones of schema n.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from struct import Struct
from typing import Any

from agent.exposition import wire
from agent.exposition.families import Member
from agent.exposition.samples import Window, buckets_of
from agent.exposition.wire_message import Message
from runtime.abi.histogram import ZERO_WORD, exponential

_FIRST = ZERO_WORD + 1  # the word of value 1
_COUNT, _ZERO = 4, 8  # sample_count_float, zero_count_float
_NEGATIVE_SPAN, _NEGATIVE, _POSITIVE_SPAN, _POSITIVE = 9, 11, 12, 14


class NativeBuckets:
    def __init__(self, member: Member, window: Window, doubles: bool = False) -> None:
        histogram = buckets_of(member)
        shape = exponential(histogram)
        low, high = window.filled
        first = max(low, _FIRST)
        count, below = max(0, high - first), max(0, ZERO_WORD - low)
        zeros = int(low <= ZERO_WORD < high)  # whether any value was 0
        self._below, self._zeros, self._doubles = below, zeros, doubles
        at = histogram.word + ZERO_WORD - below
        gap = first - _FIRST + (1 - zeros) if count else 1 - zeros
        last = histogram.word + histogram.buckets - 1
        self._read = _row(at, below, zeros, gap, count, last, member.table.row_size, doubles)
        start, self._groups = shape.first + first - _FIRST, []
        if below and shape.schema:
            self._groups = _groups(start, count, shape.per_octave)
            start, count = -(-start // shape.per_octave), len(self._groups)
            shape = shape.coarse
        self.schema, self.spans = shape.schema, b""
        self.message = Message().double(_COUNT)
        if zeros:
            self.message.double(_ZERO)
        layout = [1, zeros]
        for length, offset, span, field in (
            (count, start, _POSITIVE_SPAN, _POSITIVE),
            (below, shape.coarse.first, _NEGATIVE_SPAN, _NEGATIVE),
        ):
            layout.append(length)
            if length:
                range_ = wire.signed(1, offset) + wire.number(2, length)
                self.spans += wire.message(span, range_)
                self.message.filled(wire.message(field, b"", 8 * length), 8 * length)
        self._pack = Struct(f"<{sum(layout)}d").pack
        self._split = Struct("".join(f"{8 * n}s" for n in layout if n)).iter_unpack
        start, end = 8 * (histogram.word + low), 8 * (histogram.word + max(low, high))
        self._filled, self._none = slice(start, end), bytes(end - start)
        self._exponents = slice(8 * last + 7, None, member.table.row_size)

    def any_empty(self, rows: bytes) -> bool:
        """True if a row has counted nothing."""
        if self._doubles:
            return 0 in rows[self._exponents]  # a count from 1 on has some
        size = self._exponents.step
        return any(self.is_empty(rows, at) for at in range(0, len(rows), size))

    def is_empty(self, rows: bytes, at: int) -> bool:
        """True if the row that begins at byte `at` has counted nothing."""
        part = self._filled
        return rows[at + part.start : at + part.stop] == self._none

    def columns(self, rows: bytes) -> list[Sequence[bytes]]:
        """The values of each `%b` of the message, row by row."""
        if self._doubles:
            return self._doubles_of(rows)
        pack = self._pack
        if not self._below and not self._zeros:
            packed = [pack(sum(row), *row) for row in self._read(rows)]
        else:
            packed = [
                pack(sum(row), *zeros, *counts, *below)
                for row in self._read(rows)
                for below, zeros, counts in [self._parts(row)]
            ]
        return list(zip(*self._split(b"".join(packed))))  # noqa: B905

    def _parts(self, row: tuple[int, ...]) -> tuple[Sequence[int], Sequence[int], Sequence[int]]:
        """Negative values, those next to 0 first; 0; and the others."""
        below, first = self._below, self._below + self._zeros
        counts: Sequence[int] = row[first:]
        if self._groups:
            counts = [sum(counts[group]) for group in self._groups]
        return row[:below][::-1], row[below:first], counts

    def _doubles_of(self, rows: bytes) -> list[Sequence[bytes]]:
        """The same of counts that are doubles, with their sum behind them."""
        *parts, counts = zip(*self._read(rows))  # noqa: B905
        below = [[_reversed(part) for part in parts.pop(0)]] if self._below else []
        if self._groups and len(parts) > self._zeros:
            parts[-1] = tuple(self._grouped(part) for part in parts[-1])
        return [counts, *parts, *below]

    def _grouped(self, part: bytes) -> bytes:
        values = array("d", part)
        return array("d", [sum(values[group]) for group in self._groups]).tobytes()


def _reversed(part: bytes) -> bytes:
    return array("d", part)[::-1].tobytes()


def _row(
    at: int, below: int, zeros: int, gap: int, count: int, last: int, size: int, doubles: bool
) -> Callable[[bytes], Iterator[tuple[Any, ...]]]:
    """Reads what is served of each row of `size` bytes: numbers, or with `doubles` the bytes of each part and
    of the word `last`. The parts begin at word `at`."""
    rest = last - at - below - zeros - gap - count
    if doubles:
        parts = [f"{8 * n}s" if n else "" for n in (below, zeros)]
        counts = f"{8 * count}s" if count else ""
        form = f"{8 * at}x{''.join(parts)}{8 * gap}x{counts}{8 * rest}x8s{size - 8 * last - 8}x"
    else:
        form = f"{8 * at}x{below}q{zeros}q{8 * gap}x{count}q{8 * rest}x{size - 8 * last}x"
    return Struct(form).iter_unpack


def _groups(start: int, count: int, size: int) -> list[slice]:
    """The buckets from number `start` on that make up each bucket of schema 0."""
    groups: dict[int, slice] = {}
    for n in range(count):
        coarse = -(-(start + n) // size)
        groups[coarse] = slice(groups[coarse].start if coarse in groups else n, n + 1)
    return list(groups.values())
