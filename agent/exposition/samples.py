# SPDX-License-Identifier: GPL-2.0-or-later
"""The samples of one element of a table: the template of its lines, and the numbers to fill in.

Numbers(family, member).lines('cpu="0"')   -> 'x_total{cpu="0"} %d\\n'
Numbers(family, member).arguments(rows)    -> (12, 7, ...)   of a page of rows
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, compress, pairwise
from struct import Struct
from typing import Protocol

from agent.config.settings import MetricType
from agent.exposition.families import Family, Member
from agent.exposition.units import bound_text, printed
from runtime.abi.histogram import upper_bounds
from runtime.abi.manifest import Histogram, HistogramKind
from runtime.reader.table import TableValues
from runtime.reader.table_keys import text
from runtime.support.escapes import readable

Arguments = tuple[int | bytes, ...]
OVERFLOW_LABEL = "other"


class Samples(Protocol):
    """The rendering of one type of family: the values that its templates are filled with."""

    def arguments(self, rows: bytes) -> Arguments:
        """The values for the templates of these rows."""

    def fits(self, rows: bytes) -> bool:
        """True if the templates apply to all of these rows."""

    def shown(self, lines: bytes, row: bytes) -> bytes:
        """One element of rows that do not fit, as the page shows it; empty if it is excluded."""


class TextSamples(Samples, Protocol):
    """The same as lines of text."""

    def lines(self, labels: str) -> str:
        """The template of an element, for `%`; `labels` without braces."""


class Numbers:
    """Counters and gauges: one sample per element. Negative counters are excluded."""

    def __init__(self, family: Family, member: Member) -> None:
        counter = family.type is MetricType.COUNTER
        self._name = f"{family.name}_total" if counter else family.name
        self._positive = counter
        self._printed = printed(member.scale)

    def lines(self, labels: str) -> str:
        return f"{self._name}{braces(labels)} {self._printed.mark}\n"

    def arguments(self, rows: bytes) -> Arguments:
        found: tuple[int, ...] = _numbers(len(rows) // 8).unpack(rows)
        factor = self._printed.factor
        return found if factor == 1 else tuple([value * factor for value in found])

    def fits(self, rows: bytes) -> bool:
        return not (self._positive and negative(rows))

    def shown(self, lines: bytes, row: bytes) -> bytes:
        return b"" if negative(row) else lines % self.arguments(row)


class Summaries:
    """Sum and count of statistics without buckets. OpenMetrics forbids negative sums."""

    def __init__(self, family: Family, member: Member, negative_sums: bool) -> None:
        statistic = member.table.statistic
        assert statistic is not None
        self._name, self._any_sum = family.name, negative_sums
        self._width = member.table.row_size // 8
        self._sum, self._count = statistic.sum, statistic.count
        hist = statistic.histogram  # a declared summary may have buckets instead of a count
        self._buckets = slice(hist.word, hist.word + hist.buckets) if hist else slice(0)
        self._printed = printed(member.scale)

    def lines(self, labels: str) -> str:
        count = f"{self._name}_count{braces(labels)} %d\n"
        if self._sum is None:
            return count
        return f"{self._name}_sum{braces(labels)} {self._printed.mark}\n{count}"

    def arguments(self, rows: bytes) -> Arguments:
        found: list[int] = []
        for row in _numbers(self._width).iter_unpack(rows):
            if self._sum is not None:
                found.append(row[self._sum] * self._printed.factor)
            found.append(row[self._count] if self._count is not None else sum(row[self._buckets]))
        return tuple(found)

    def fits(self, rows: bytes) -> bool:
        return self._any_sum or self._sum is None or not negative(rows, self._sum, self._width)

    def shown(self, lines: bytes, row: bytes) -> bytes:
        if self.fits(row):
            return lines % self.arguments(row)
        return lines[lines.index(b"\n") + 1 :] % self.arguments(row)[1:]


class Created:
    """Samples of another class, and for each element when it was 0: `started`, in ns since 1970."""

    def __init__(self, samples: TextSamples, family: Family, started: int) -> None:
        self._samples, self._name = samples, family.name
        self._seconds = f"{started // 10**9}.{started % 10**9:09}"
        self.arguments, self.fits, self.shown = samples.arguments, samples.fits, samples.shown

    def lines(self, labels: str) -> str:
        created = f"{self._name}_created{braces(labels)} {self._seconds}\n"
        return self._samples.lines(labels) + created


class Infos:
    """Strings: the label `value` of a sample that is always 1."""

    def __init__(self, family: Family, member: Member) -> None:
        self._name, self._size = family.name, member.table.row_size

    def lines(self, labels: str) -> str:
        return f'{self._name}_info{{{labels}{"," if labels else ""}value="%b"}} 1\n'

    def arguments(self, rows: bytes) -> Arguments:
        texts = (rows[at : at + self._size] for at in range(0, len(rows), self._size))
        return tuple([escape(text(row)).encode() for row in texts])

    def fits(self, rows: bytes) -> bool:
        return True

    def shown(self, lines: bytes, row: bytes) -> bytes:
        return lines % self.arguments(row)


class Window:
    """The range of buckets, `low` to `high`, that a family of histograms exports; it only grows.

    If bounds are not declared, only the buckets are exported that were ever filled in the family, so that
    empty ones at the ends cost nothing, and one bucket below them, from which quantiles are interpolated,
    unless its bound is negative.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        histogram = buckets_of(members[0])
        self.bounds = upper_bounds(histogram)
        fixed = histogram.kind in (HistogramKind.LINEAR, HistogramKind.BOUNDS)
        self._low, self.high = (0, len(self.bounds)) if fixed else (len(self.bounds), 0)

    @property
    def low(self) -> int:
        below = self._low - 1
        return below if below >= 0 and self.bounds[below] >= 0 else self._low

    @property
    def filled(self) -> tuple[int, int]:
        """The range without the bucket below it; if nothing is filled, it ends before it begins."""
        return self._low, self.high

    @property
    def negative(self) -> bool:
        """True if the range includes negative values."""
        return self.low < self.high and self.bounds[self.low] < 0

    def widen(self, member: Member, found: TableValues) -> bool:
        """Include the buckets that are filled now. Returns whether the range has changed."""
        last = len(self.bounds)
        before = self._low, self.high
        if before == (0, last):
            return False
        if found.filled is not None and all(page.live is None for page in found.key_pages):
            low, high = found.filled
            self._low, self.high = min(self._low, low), max(self.high, high)
            return before != (self._low, self.high)
        size, first = member.table.row_size, 8 * buckets_of(member).word
        zeros = bytes(8 * last)
        low, high, end = first + 8 * self._low, first + 8 * self.high, first + 8 * last
        below, above = zeros[: low - first], zeros[: end - high]
        for page in found.pages():
            for at in range(0, len(rows := page[1]), size):
                if rows[at + first : at + low] != below or rows[at + high : at + end] != above:
                    self._fill(_numbers(last).unpack_from(rows, at + first))
                    low, high = first + 8 * self._low, first + 8 * self.high
                    below, above = zeros[: low - first], zeros[: end - high]
        return before != (self._low, self.high)

    def _fill(self, counts: Sequence[int]) -> None:
        filled = [n for n, count in enumerate(counts) if count]
        self._low, self.high = min(self._low, filled[0]), max(self.high, filled[-1] + 1)


class Histograms:
    """Buckets, sum and count. The count is the sum of the buckets, so that they always agree.

    OpenMetrics forbids sums that can decrease, and counts without a sum: with negative values or without
    a sum, it gets buckets only (`whole` is false).
    """

    def __init__(self, family: Family, member: Member, window: Window, whole: bool) -> None:
        statistic = member.table.statistic
        assert statistic is not None
        self._name, self._whole = family.name, whole
        self._size, self._sum = member.table.row_size, statistic.sum if whole else None
        self._printed = printed(member.scale)
        word, last = buckets_of(member).word, len(window.bounds)
        low, high = window.low, max(window.low, window.high)
        # buckets above `high` are empty except the last one, which has no bound
        self._buckets = Struct(f"{8 * (word + low)}x{high - low}q{8 * (last - high)}xq")
        bounds = window.bounds[low:high]
        # a bucket without any whole number has the bound of the one below it
        shown = [*(a != b for a, b in pairwise(bounds)), True, True]
        self._shown = None if all(shown) else shown
        texts = [bound_text(b, member.scale) for b in compress(bounds, shown)]
        self._bounds = [*texts, "+Inf"]

    def lines(self, labels: str) -> str:
        inside = f"{labels}," if labels else ""
        name, parts = self._name, []
        for bound in self._bounds:
            parts.append(f'{name}_bucket{{{inside}le="{bound}"}} %d\n')
        if self._sum is not None:
            parts.append(f"{name}_sum{braces(labels)} {self._printed.mark}\n")
        if self._whole:
            parts.append(f"{name}_count{braces(labels)} %d\n")
        return "".join(parts)

    def arguments(self, rows: bytes) -> Arguments:
        found: list[int] = []
        read, shown = self._buckets.unpack_from, self._shown
        for at in range(0, len(rows), self._size):
            counts = accumulate(read(rows, at))
            found += counts if shown is None else compress(counts, shown)
            if self._whole:
                count = found[-1]
                if self._sum is not None:
                    total = _numbers(1).unpack_from(rows, at + 8 * self._sum)[0]
                    found.append(total * self._printed.factor)
                found.append(count)
        return tuple(found)

    def fits(self, rows: bytes) -> bool:
        return True

    def shown(self, lines: bytes, row: bytes) -> bytes:
        return lines % self.arguments(row)


def buckets_of(member: Member) -> Histogram:
    """The buckets that a histogram's table is exported with."""
    statistic = member.table.statistic
    assert statistic is not None and statistic.exported is not None
    return statistic.exported


def negative(rows: bytes, word: int = 0, width: int = 1) -> bool:
    """True if word `word` of any row of `width` words is negative, by the top bit of its last byte."""
    return not rows[8 * word + 7 :: 8 * width].isascii()


def label_layout(member: Member) -> str:
    """The labels of a series, without braces: a template for the parts of the key."""
    pairs = [f'{name}="{escape_doubly(value)}"' for name, value in member.constant]
    return ",".join([*(p.replace("%", "%%") for p in pairs), *(f'{n}="%s"' for n in member.labels)])


def overflow_labels(member: Member) -> str:
    """The labels of the series for all elements without a slot, without braces, for a template."""
    pairs = [f'{name}="{escape_doubly(value)}"' for name, value in member.constant]
    return ",".join([*pairs, f'{OVERFLOW_LABEL}="true"'])


def braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def escape(text: str) -> str:
    """Escape a label's value for both formats; bytes that are not UTF-8 become \\xNN, and stay distinct."""
    return readable(text).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def escape_doubly(part: int | str) -> int | str:
    """Escape a part of a key for use in a template."""
    return part if isinstance(part, int) else escape(part).replace("%", "%%")


@lru_cache(maxsize=256)
def _numbers(count: int) -> Struct:
    return Struct(f"{count}q")
