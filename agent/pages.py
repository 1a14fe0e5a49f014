# SPDX-License-Identifier: GPL-2.0-or-later
"""A table's samples as text, fast: a cached template for each page of 64 elements, filled by one `%`.

    page of 2 elements -> b'x_total{cpu="0"} %d\\nx_total{cpu="1"} %d\\n' % (12, 7)

Building the text of labels costs microseconds a series, filling in numbers 60 ns. A template is rebuilt
only when a key of its page has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import cast

from agent.families import Family, Member
from agent.scaling import bound_text, scaler
from agent.settings import MetricType
from runtime.histogram import upper_bounds
from runtime.manifest import HistogramKind
from runtime.record import dataclass
from runtime.snapshot import StatValue, TableValues
from runtime.table import KeyTuple

PAGE = 64


@dataclass(frozen=True, slots=True)
class _Page:
    keys: Sequence[KeyTuple]
    template: bytes


class NumberPages:
    """Counters and gauges: one sample an element."""

    def __init__(self, family: Family, member: Member) -> None:
        suffix = "_total" if family.type is MetricType.COUNTER else ""
        self._name = f"{family.name}{suffix}"
        self._member = member
        self._positive = family.type is MetricType.COUNTER
        self._pages: list[_Page] = []
        self._keys: Sequence[KeyTuple] = ()
        self._scaled = scaler(member.scale)
        self.refused = 0  # samples left out of the last rendering: a counter is never negative

    def render(self, rows: TableValues) -> list[bytes]:
        keys, values = rows.keys, cast("list[int]", rows.values)
        out: list[bytes] = []
        pages, scaled = self._pages, self._scaled
        negative = self._positive and min(values, default=0) < 0
        self.refused = 0
        # The reader gives the very same list for as long as no key of the table changes.
        same, self._keys = keys is self._keys, keys
        for number, start in enumerate(range(0, len(keys), PAGE)):
            if not same:
                now = keys[start : start + PAGE]
                if number == len(pages):
                    pages.append(self._build(now))
                elif pages[number].keys != now:
                    pages[number] = self._build(now)
            page = pages[number]
            part = values[start : start + PAGE]
            text = page.template % tuple(part if scaled is None else map(scaled, part))
            out.append(text if not negative else self._positives(page, part))
        del pages[(len(keys) + PAGE - 1) // PAGE :]
        return out

    def _positives(self, page: _Page, part: Sequence[int]) -> bytes:
        lines = page.template.split(b"\n")[:-1]
        keep = [(line, value) for line, value in zip(lines, part, strict=True) if value >= 0]
        self.refused += len(part) - len(keep)
        return b"".join(
            (line % (self._scaled(value) if self._scaled else value)) + b"\n"
            for line, value in keep
        )

    def _build(self, keys: Sequence[KeyTuple]) -> _Page:
        mark = "%d" if self._scaled is None else "%b"
        lines = [
            f"{self._name}{in_template(braces(label_text(self._member, key)))} {mark}\n"
            for key in keys
        ]
        return _Page(keys, "".join(lines).encode())


class HistogramPages:
    """Buckets, sum and count of each element; the count is the buckets' sum, so the two always agree.

    Bounds of a log2 histogram: from one below the lowest bucket ever filled in the family (but not below
    0 for that reason) to the highest, so that empty ends cost nothing; the range only grows. Declared
    bounds are always all there.

    OpenMetrics has no sum that can go down, and no count without a sum: with negative values only buckets.
    """

    def __init__(self, family: Family, member: Member) -> None:
        statistic = member.table.statistic
        assert statistic is not None and statistic.histogram is not None
        self._family, self._member = family, member
        self._has_sum = statistic.sum is not None
        self._scaled = scaler(member.scale)
        self._bounds = upper_bounds(statistic.histogram)
        self._pages: dict[tuple[int, bool, bool], _Page] = {}
        self._range = (0, 0)
        fixed = statistic.histogram.kind is not HistogramKind.LOG2
        self.low, self.high = (0, len(self._bounds)) if fixed else (len(self._bounds), 0)

    @property
    def _lowest(self) -> int:
        """The first bound shown: quantiles are interpolated from it."""
        below = self.low - 1
        return below if below >= 0 and self._bounds[below] >= 0 else self.low

    def note(self, rows: TableValues) -> None:
        """Widen the range by what is filled now."""
        if self.low == 0 and self.high == len(self._bounds):
            return
        last = len(self._bounds)
        for value in cast("list[StatValue]", rows.values):
            buckets = value.buckets
            if any(buckets[: self.low]):
                self.low = next(n for n, count in enumerate(buckets) if count)
            if any(buckets[self.high : last]):
                self.high = next(n for n in range(last, 0, -1) if buckets[n - 1])

    def negative(self, rows: TableValues) -> bool:
        """Whether OpenMetrics forbids the sum: it must not go down. Also when there is none."""
        if not self._has_sum:
            return True
        low = self._lowest
        if low < self.high and self._bounds[low] < 0:
            return True
        return any((value.sum or 0) < 0 for value in cast("list[StatValue]", rows.values))

    def render(self, rows: TableValues, with_sum: bool, with_count: bool) -> list[bytes]:
        low, high = self._lowest, self.high
        if (low, high) != self._range:
            self._pages.clear()
            self._range = (low, high)
        shown = max(high - low, 0)
        with_sum = with_sum and self._has_sum
        keys, stats, scaled = rows.keys, cast("list[StatValue]", rows.values), self._scaled
        out: list[bytes] = []
        for start in range(0, len(keys), PAGE):
            now = keys[start : start + PAGE]
            page = self._pages.get((start, with_sum, with_count))
            if page is None or page.keys != now:
                page = self._pages[start, with_sum, with_count] = self._build(
                    now, low, high, with_sum, with_count
                )
            values: list[int | bytes] = []
            for stat in stats[start : start + PAGE]:
                running = list(accumulate(stat.buckets[low:], initial=0))
                values += running[1 : shown + 1]
                values.append(running[-1])
                if with_sum:
                    total = stat.sum or 0
                    values.append(scaled(total) if scaled else total)
                if with_count:
                    values.append(running[-1])
            out.append(page.template % tuple(values))
        return out

    def _build(
        self, keys: Sequence[KeyTuple], low: int, high: int, with_sum: bool, with_count: bool
    ) -> _Page:
        name, parts = self._family.name, []
        bounds = [bound_text(bound, self._member.scale) for bound in self._bounds[low:high]]
        mark = "%d" if self._scaled is None else "%b"
        for key in keys:
            labels = in_template(label_text(self._member, key))
            inside = f"{labels}," if labels else ""
            parts += [f'{name}_bucket{{{inside}le="{bound}"}} %d\n' for bound in [*bounds, "+Inf"]]
            if with_sum:
                parts.append(f"{name}_sum{braces(labels)} {mark}\n")
            if with_count:
                parts.append(f"{name}_count{braces(labels)} %d\n")
        return _Page(keys, "".join(parts).encode())


class SummaryPages:
    """Sum and count of statistics without buckets."""

    def __init__(self, family: Family, member: Member) -> None:
        statistic = member.table.statistic
        assert statistic is not None
        self._name, self._member = family.name, member
        self._has_sum = statistic.sum is not None
        self._scaled = scaler(member.scale) or str_bytes

    def render(self, rows: TableValues, negative: bool) -> list[bytes]:
        """`negative`: sums below 0 may be shown (OpenMetrics has none)."""
        out = []
        for key, stat in zip(rows.keys, cast("list[StatValue]", rows.values), strict=True):
            labels = braces(label_text(self._member, key)).encode()
            name, total = self._name.encode(), stat.sum or 0
            if self._has_sum and (total >= 0 or negative):
                out.append(b"%b_sum%b %b\n" % (name, labels, self._scaled(total)))
            out.append(b"%b_count%b %d\n" % (name, labels, stat.count or sum(stat.buckets)))
        return out


class InfoPages:
    """Texts, as the label `value` of a sample that is always 1."""

    def __init__(self, family: Family, member: Member) -> None:
        self._name, self._member = family.name, member

    def render(self, rows: TableValues) -> list[bytes]:
        out = []
        for key, value in zip(rows.keys, cast("list[str]", rows.values), strict=True):
            labels = [label_text(self._member, key), f'value="{escape(value)}"']
            text = f"{self._name}_info{braces(','.join(filter(None, labels)))} 1\n"
            out.append(text.encode(errors="backslashreplace"))
        return out


def label_text(member: Member, key: KeyTuple) -> str:
    """The labels of one series, without braces."""
    pairs = [f'{name}="{escape(value)}"' for name, value in member.constant]
    for name, part in zip(member.labels, key, strict=True):
        pairs.append(f'{name}="{part if isinstance(part, int) else escape(part)}"')
    return ",".join(pairs)


def braces(labels: str) -> str:
    return f"{{{labels}}}" if labels else ""


def escape(text: str) -> str:
    """A label's value as both formats write it; bytes that are no UTF-8 show as \\xNN."""
    text = text.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def in_template(text: str) -> str:
    return text.replace("%", "%%")


def str_bytes(value: int) -> bytes:
    return b"%d" % value
