# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers and statistics (`<<<`) merged over lanes.

    total([lane0, lane1])                   -> bytes of [3, 0, 17, ...]    added up, wrapped to s64
    values(Statistic(count=0, sum=1, min=2, max=3), total(lanes), 4, lanes)
    -> [StatValue(count=2, sum=30, min=10, max=20), ...]                   avg 15

A column is the bytes of one lane's rows. Min and max of a lane are used only if the lane counted something;
the variance is merged as in SystemTap (total variance).
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Final

from runtime.abi.manifest import Statistic
from runtime.support.int64 import wrapped
from runtime.support.record import record

_BLOCK: Final = 32768  # bytes added at a time: they fit the CPU's first-level cache
_PIECE: Final = 512


@record(frozen=False)
class StatValue:
    """A statistic; None: not recorded, or nothing was counted.

    `buckets` are those of the manifest's Histogram; if there are any, `count` is their sum. Not frozen,
    because there are many, and making a frozen one takes three times as long.
    """

    count: int | None
    sum: int | None = None
    min: int | None = None
    max: int | None = None
    variance: int | None = None
    buckets: tuple[int, ...] = ()

    @property
    def avg(self) -> int | None:
        """Rounded towards zero, as @avg is; None if it is empty or not recorded."""
        if not self.count or self.sum is None:
            return None
        return quotient(self.sum, self.count)


def copied(column: memoryview) -> bytes:
    """A copy of a region. No aligned word is torn, although handlers may be writing.

    memcpy() copies pieces of this size with vector loads, which do not tear aligned words; for longer pieces
    it uses string instructions, whose unit is not guaranteed.
    """
    if column.nbytes <= _PIECE:
        return bytes(column)
    return b"".join([column[at : at + _PIECE] for at in range(0, column.nbytes, _PIECE)])


def total(columns: Sequence[memoryview]) -> bytes:
    """The sum of columns of s64, word by word, wrapped to s64; all columns are equally long.

    Long integers add a whole block of words at once, which is several times faster than a loop. So that no
    carry reaches the next word, the top bits of the words are added separately, by exclusive or.
    """
    if len(columns) == 1:
        return copied(columns[0])
    sums: list[bytes] = []
    size = columns[0].nbytes
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        zeros = bytes(end - start)
        # machines have more possible CPUs than busy ones
        parts = [part for c in columns if (part := copied(c[start:end])) != zeros] or [zeros]
        sums.append(parts[0] if len(parts) == 1 else _sum(parts))
    return b"".join(sums)


def words(column: bytes | memoryview, start: int = 0, step: int = 1) -> list[int]:
    """Every `step`th s64 of a column."""
    found: list[int] = memoryview(column).cast("q")[start::step].tolist()
    return found


def _sum(columns: list[bytes]) -> bytes:
    size = len(columns[0])
    tops, rest = _masks(size // 8)
    first, *others = (int.from_bytes(column, "little") for column in columns)
    for other in others:
        first = ((first & rest) + (other & rest)) ^ ((first ^ other) & tops)
    return first.to_bytes(size, "little")


@lru_cache(maxsize=64)
def _masks(count: int) -> tuple[int, int]:
    """Masks for that many words: their top bits, and all other bits."""
    tops = int.from_bytes(bytes((0, 0, 0, 0, 0, 0, 0, 0x80)) * count, "little")
    return tops, tops - (tops >> 63)


def quotient(a: int, b: int) -> int:
    """C's integer division."""
    return a // b if (a < 0) == (b < 0) else -(-a // b)


def check(layout: Statistic, width: int) -> None:
    """Raises ValueError if words lie outside of a row, or if no word tells which lanes counted."""
    hist = layout.histogram
    words = [
        w
        for w in (layout.count, layout.sum, layout.min, layout.max, layout.mean, layout.m2)
        if w is not None
    ]
    for buckets in (hist, layout.separate):
        if buckets is not None:
            words += [buckets.word, buckets.word + buckets.buckets - 1]
    if any(not 0 <= w < width for w in words):
        raise ValueError(f"a statistic's word lies outside of its row of {width} words")
    needs_count = not (layout.min is layout.max is layout.mean is layout.m2 is None)
    if needs_count and layout.count is None and hist is None:
        raise ValueError("a statistic has min, max or variance but no count")
    if (layout.mean is None) != (layout.m2 is None):
        raise ValueError("a statistic has mean without m2, or m2 without mean")


def spread(layout: Statistic) -> bool:
    """Whether the statistic needs each lane's row: min, max and variance are no sums."""
    return not (layout.min is layout.max is layout.mean is None)


def values(
    layout: Statistic, sums: bytes, width: int, columns: Sequence[bytes | memoryview] = ()
) -> list[StatValue]:
    """One value for each row of `width` words, from the sums of the lanes' rows.

    Without `columns`, the rows of each lane, there is no min, max or variance.
    """
    flat = words(sums)
    nothing: list[int | None] = [None] * (len(flat) // width)
    counts = [_counts(layout, column, width) for column in columns] if spread(layout) else []
    all_sums = nothing if layout.sum is None else flat[layout.sum :: width]
    buckets = _buckets(layout, flat, width)
    all_counts = nothing if layout.count is None else flat[layout.count :: width]
    if not counts:
        columns = ()
    return list(
        map(
            StatValue,
            map(sum, buckets) if buckets else all_counts,
            all_sums,
            _extreme(layout.min, columns, counts, width) or nothing,
            _extreme(layout.max, columns, counts, width, largest=True) or nothing,
            _variances(layout, columns, counts, all_sums, width) or nothing,
            buckets or repeat(()),
        )
    )


def _buckets(layout: Statistic, flat: list[int], width: int) -> list[tuple[int, ...]]:
    hist = layout.histogram
    if hist is None:
        return []
    return [tuple(flat[at : at + hist.buckets]) for at in range(hist.word, len(flat), width)]


def _counts(layout: Statistic, column: bytes | memoryview, width: int) -> list[int]:
    """The counts of a lane, row by row."""
    if layout.count is not None:
        return words(column, layout.count, width)
    return list(map(sum, _buckets(layout, words(column), width)))


def _extreme(
    word: int | None,
    columns: Sequence[bytes | memoryview],
    counts: Sequence[list[int]],
    width: int,
    largest: bool = False,
) -> list[int | None]:
    if word is None or not columns:
        return []
    best: list[int | None] = [None] * len(counts[0])
    pick = max if largest else min
    for column, count in zip(columns, counts, strict=True):
        best = [
            old if not n else new if old is None else pick(old, new)
            for old, new, n in zip(best, words(column, word, width), count, strict=True)
        ]
    return best


def _variances(
    layout: Statistic,
    columns: Sequence[bytes | memoryview],
    counts: Sequence[list[int]],
    sums: Sequence[int | None],
    width: int,
) -> list[int | None]:
    if layout.mean is None or layout.m2 is None or not columns:
        return []
    means = zip(*[words(column, layout.mean, width) for column in columns], strict=True)
    m2s = zip(*[words(column, layout.m2, width) for column in columns], strict=True)
    return [
        _variance(layout.shift, list(zip(n, mean, m2, strict=True)), sum_)
        for n, mean, m2, sum_ in zip(zip(*counts, strict=True), means, m2s, sums, strict=True)
    ]


def _variance(shift: int, parts: list[tuple[int, int, int]], sum_: int | None) -> int | None:
    """Total variance of parts (count, mean, m2): within each, and between their means."""
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
    return quotient(wrapped(between + within), n - 1) >> 2 * shift
