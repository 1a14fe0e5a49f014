# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics (`<<<`) merged over lanes.

    merge(Statistic(count=0, sum=1, min=2, max=3), [[2, 30, 10, 20], [0, 0, 0, 0]], 4)
    -> [StatValue(count=2, sum=30, min=10, max=20)]        avg 15

A column is one lane's rows as a flat list of words. Sums and buckets add up and wrap at 64 bits;
min and max count only where the lane counted something; the variance is merged as SystemTap does
it (total variance).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import add
from typing import Final

from runtime.manifest import Statistic

_LOW: Final = -(1 << 63)
_HIGH: Final = (1 << 63) - 1


@dataclass(slots=True)
class StatValue:
    """A statistic; None: not kept, or nothing was counted.

    `buckets` as the manifest's Histogram tells; where they are kept, `count` is their sum. Not
    frozen only because a frozen one takes three times as long to make, and there are many.
    """

    count: int | None
    sum: int | None = None
    min: int | None = None
    max: int | None = None
    variance: int | None = None
    buckets: tuple[int, ...] = ()

    @property
    def avg(self) -> int | None:
        """Rounded towards zero, as @avg is; None when empty or not kept."""
        if not self.count or self.sum is None:
            return None
        return quotient(self.sum, self.count)


def total(columns: Sequence[list[int]]) -> list[int]:
    """The sum of columns of s64, row by row, wrapped to s64."""
    if len(columns) == 1:
        return columns[0]
    if len(columns) > 8:
        sums = list(map(sum, zip(*columns, strict=True)))
    else:
        sums = columns[0]
        for column in columns[1:]:
            sums = list(map(add, sums, column))
    return wrapped(sums)


def wrapped(numbers: list[int]) -> list[int]:
    """The numbers as s64."""
    if numbers and (min(numbers) < _LOW or max(numbers) > _HIGH):
        return [(n - _LOW & (1 << 64) - 1) + _LOW for n in numbers]
    return numbers


def quotient(a: int, b: int) -> int:
    """C's integer division."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def check(layout: Statistic, width: int) -> None:
    """ValueError when words lie outside of a row, or nothing tells which lanes counted."""
    hist = layout.histogram
    words = [
        w
        for w in (layout.count, layout.sum, layout.min, layout.max, layout.mean, layout.m2)
        if w is not None
    ]
    if hist is not None:
        words += [hist.word, hist.word + hist.buckets - 1]
    if any(not 0 <= w < width for w in words):
        raise ValueError(f"a statistic's word lies outside of its row of {width} words")
    needs_count = not (layout.min is layout.max is layout.mean is layout.m2 is None)
    if needs_count and layout.count is None and hist is None:
        raise ValueError("a statistic keeps min, max or variance but nothing that counts")
    if (layout.mean is None) != (layout.m2 is None):
        raise ValueError("a statistic keeps mean without m2, or m2 without mean")


def merge(layout: Statistic, columns: Sequence[list[int]], width: int) -> list[StatValue]:
    """One value a row; every column has the same number of rows of `width` words."""
    rows = len(columns[0]) // width
    counts = [_counts(layout, column, width) for column in columns]
    nothing: list[int | None] = [None] * rows
    sums = (
        nothing
        if layout.sum is None
        else total([column[layout.sum :: width] for column in columns])
    )
    buckets = _buckets(layout, columns, width)
    count = map(sum, buckets) if layout.histogram is not None else total(counts) or nothing
    return list(
        map(
            StatValue,
            count,
            sums,
            _extreme(layout.min, columns, counts, width) or nothing,
            _extreme(layout.max, columns, counts, width, largest=True) or nothing,
            _variances(layout, columns, counts, sums, width) or nothing,
            buckets if layout.histogram is not None else repeat(()),
        )
    )


def _counts(layout: Statistic, column: list[int], width: int) -> list[int]:
    """What a lane counted, row by row; [] when nothing tells."""
    if layout.count is not None:
        return column[layout.count :: width]
    if layout.histogram is None:
        return []
    first, last = layout.histogram.word, layout.histogram.word + layout.histogram.buckets
    return [sum(column[at + first : at + last]) for at in range(0, len(column), width)]


def _buckets(layout: Statistic, columns: Sequence[list[int]], width: int) -> list[tuple[int, ...]]:
    if layout.histogram is None:
        return []
    first, last = layout.histogram.word, layout.histogram.word + layout.histogram.buckets
    starts = range(0, len(columns[0]), width)
    parts = [[tuple(column[at + first : at + last]) for at in starts] for column in columns]
    if len(parts) == 1:
        return parts[0]
    merged = []
    for row in zip(*parts, strict=True):
        busy = [part for part in row if any(part)]
        if len(busy) > 1:
            merged.append(tuple(map(sum, zip(*busy, strict=True))))
        else:
            merged.append(busy[0] if busy else row[0])
    return merged


def _extreme(
    word: int | None,
    columns: Sequence[list[int]],
    counts: Sequence[list[int]],
    width: int,
    largest: bool = False,
) -> list[int | None]:
    if word is None:
        return []
    best: list[int | None] = [None] * len(counts[0])
    pick = max if largest else min
    for column, count in zip(columns, counts, strict=True):
        best = [
            old if not n else new if old is None else pick(old, new)
            for old, new, n in zip(best, column[word::width], count, strict=True)
        ]
    return best


def _variances(
    layout: Statistic,
    columns: Sequence[list[int]],
    counts: Sequence[list[int]],
    sums: Sequence[int | None],
    width: int,
) -> list[int | None]:
    if layout.mean is None or layout.m2 is None:
        return []
    means = zip(*[column[layout.mean :: width] for column in columns], strict=True)
    m2s = zip(*[column[layout.m2 :: width] for column in columns], strict=True)
    return [
        _variance(layout.shift, list(zip(n, mean, m2, strict=True)), sum_)
        for n, mean, m2, sum_ in zip(zip(*counts, strict=True), means, m2s, sums, strict=True)
    ]


def _variance(shift: int, parts: list[tuple[int, int, int]], sum_: int | None) -> int | None:
    """Total variance of parts (count, mean, m2): inside of each, and between their means."""
    parts = [part for part in parts if part[0]]
    n = sum(count for count, _, _ in parts)
    if n == 0:
        return None
    if n == 1:
        return 0
    scaled = sum_ << shift if sum_ is not None else sum(count * mean for count, mean, _ in parts)
    middle = quotient(scaled, n)
    between = sum(count * (mean - middle) ** 2 for count, mean, _ in parts)
    # each part's own variance is rounded first, as SystemTap does
    within = sum((count - 1) * quotient(m2, count - 1) for count, _, m2 in parts if count > 1)
    return quotient(between + within, n - 1) >> 2 * shift
