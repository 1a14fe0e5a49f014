# SPDX-License-Identifier: GPL-2.0-or-later
"""A short live table of series, from the text of a metrics page.

    table = LiveTable({"stapwatch_vfs_latency"})
    table.update(text, time.monotonic())
    table.lines(width=80)
      -> ["series                                        total      /s    mean     99%",
          "vfs_latency_seconds{operation=read,fstype=ext4} 559    12.0  530 us   <4 ms", ...]

A histogram's row has its count, its mean and the bound of the bucket that holds the 99th percentile; a
counter's row has its value. Both have the rate since the previous update.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

EACH = 4  # series shown of each family, the fastest first
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
_NUMBERS = 36  # columns of the four numbers
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One series. `mean` and `most` (the 99th percentile) are in the family's unit; None for a counter."""

    family: str
    labels: Labels
    total: float
    mean: float | None = None
    most: float | None = None
    rate: float | None = None

    @property
    def name(self) -> str:
        inside = ",".join(f"{name}={value}" for name, value in self.labels)
        return self.family.removeprefix("stapwatch_") + (f"{{{inside}}}" if inside else "")


class LiveTable:
    """The latest values and rates of the families whose names begin with one of `names`."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)
        self._rows: dict[tuple[str, Labels], Row] = {}
        self._at = 0.0

    @property
    def series(self) -> int:
        return len(self._rows)

    def update(self, text: str, now: float) -> None:
        """Read a new page. `now`: seconds of a monotonic clock."""
        before, elapsed = self._rows, now - self._at
        self._rows = {}
        for family in text_string_to_metric_families(text):
            if not family.name.startswith(self._names):
                continue
            for row in rows(family):
                key = (row.family, row.labels)
                rate = None
                if elapsed > 0 and before:
                    old = before[key].total if key in before else 0.0
                    rate = (row.total - old) / elapsed
                self._rows[key] = Row(row.family, row.labels, row.total, row.mean, row.most, rate)
        self._at = now

    def lines(self, width: int) -> list[str]:
        """The table, no line wider than `width` columns."""
        space = max(width - _NUMBERS, 20)
        head = f"{'total':>9}{'/s':>9}{'mean':>9}{'99%':>9}"
        lines = [f"{'series':<{space}}{head}"]
        families: dict[str, list[Row]] = {}
        for row in self._rows.values():
            families.setdefault(row.family, []).append(row)
        for _, found in sorted(families.items()):
            found.sort(key=lambda row: (-(row.rate or 0), -row.total, row.labels))
            lines += [_line(row, space) for row in found[:EACH]]
            if len(found) > EACH:
                lines.append(f"  and {len(found) - EACH} more")
        return lines


def rows(family: Metric) -> list[Row]:
    """One row for each counter or histogram of a family."""
    if family.type != "histogram":
        return [
            Row(family.name, tuple(sample.labels.items()), sample.value)
            for sample in family.samples
        ]
    sums: dict[Labels, float] = {}
    counts: dict[Labels, float] = {}
    buckets: dict[Labels, list[tuple[float, float]]] = {}
    for sample in family.samples:
        labels = tuple((n, v) for n, v in sample.labels.items() if n != "le")
        if sample.name.endswith("_bucket"):
            buckets.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
        elif sample.name.endswith("_count"):
            counts[labels] = sample.value
        elif sample.name.endswith("_sum"):
            sums[labels] = sample.value
    found = []
    for labels, count in counts.items():
        mean = sums.get(labels, 0.0) / count if count else None
        most = next((le for le, upto in buckets[labels] if upto >= 0.99 * count), None)
        found.append(Row(family.name, labels, count, mean, most if count else None))
    return found


def _line(row: Row, space: int) -> str:
    name = row.name if len(row.name) < space else f"{row.name[: space - 4]}..."
    rate = "" if row.rate is None else f"{row.rate:.1f}"
    mean = "" if row.mean is None else duration(row.mean)
    most = "" if row.most is None else f"<{duration(row.most)}"
    return f"{name:<{space}}{row.total:>9.0f}{rate:>9}{mean:>9}{most:>9}"


def duration(seconds: float) -> str:
    """0.000256 -> "256 us"."""
    if seconds == float("inf"):
        return "inf"
    for unit, name in _UNITS:
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return "0 s"
