# SPDX-License-Identifier: GPL-2.0-or-later
"""Histograms as text, in the format of SystemTap's print(@hist_log(x)) and print(@hist_linear(x, ...)).

    render(hist, (0, 1, 3, ...)) ->
    value |-------------------------------------------------- count
        0 |@                                                  1
        1 |@@@                                                3
        2 |                                                   0
        4 |                                                   0

A row is labelled with the smallest value it counts. Up to two empty rows, or `margin`, are shown next to
full ones; a longer run of empty rows becomes one `~`. Rows `<low` and `>high` count the values outside of
a linear histogram.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from runtime.abi.histogram import ZERO_WORD, check, lowest
from runtime.abi.manifest import Histogram, HistogramKind
from runtime.support.exhaustive import assert_never

WIDTH: Final = 50  # columns of a full bar
_MARGIN: Final = 2


def render(hist: Histogram, buckets: Sequence[int], margin: int | None = None) -> str:
    """The table, with the empty line that ends it.

    Raises ValueError if the number of buckets is not the histogram's.
    """
    check(hist)
    margin = _MARGIN if margin is None else margin
    if len(buckets) != hist.buckets:
        raise ValueError(f"{len(buckets)} buckets for a histogram of {hist.buckets}")
    first, last = _range(hist, buckets, margin)
    most = max(buckets, default=0)
    # ceiling division: the longest bar is never wider than WIDTH
    scale = max(1, -(-most // WIDTH))
    labels = {row: _label(hist, row) for row in range(first, last + 1)}
    columns = _columns(hist, first, last, labels)
    count_width = len(str(most))
    lines = [f"{'value':>{columns}} |{'-' * WIDTH} count\n"]
    skipping = False
    for row, label in labels.items():
        if not any(buckets[max(first, row - margin) : min(last, row + margin) + 1]):
            skipping = True
            continue
        if skipping:
            lines.append(f"{'':>{columns}} ~\n")
            skipping = False
        bar = "@" * (buckets[row] // scale)
        lines.append(f"{label:>{columns}} |{bar:<{WIDTH}} {buckets[row]:>{count_width}}\n")
    lines.append("\n")
    return "".join(lines)


def _range(hist: Histogram, buckets: Sequence[int], margin: int) -> tuple[int, int]:
    """The first and the last row to show; (0, -1) if all are empty."""
    full = [row for row, count in enumerate(buckets) if count > 0]
    if not full:
        return 0, -1
    first, last = full[0], full[-1]
    match hist.kind:
        case HistogramKind.LOG2:
            # rows of negative values are shown only if there are such values
            zero = ZERO_WORD if hist.negative else 1
            floor = 0 if first < zero else zero
        case HistogramKind.LINEAR:
            floor = 0 if buckets[0] else 1
        case HistogramKind.BOUNDS | HistogramKind.EXPONENTIAL:
            floor = 0
        case _ as never:
            assert_never(never)
    ceiling = hist.buckets - 1
    if hist.kind is not HistogramKind.LOG2 and not buckets[ceiling]:
        ceiling -= 1
    return max(floor, first - margin), min(ceiling, last + margin)


def _columns(hist: Histogram, first: int, last: int, labels: Mapping[int, str]) -> int:
    """The width of the labels' column."""
    widths = [len("value"), *map(len, labels.values())]
    if hist.kind is HistogramKind.LINEAR:
        # SystemTap's column fits `low` and the value after the last row, even if these are not shown
        widths.append(len(str(hist.low)) + (first == 0))
        behind = hist.low + hist.interval * last
        widths.append(len(str(behind)) + (last == hist.buckets - 1))
    return max(widths)


def _label(hist: Histogram, row: int) -> str:
    value = lowest(hist, row)
    last = row == hist.buckets - 1
    match hist.kind:
        case HistogramKind.LOG2 if row == 0 and not hist.negative:
            return "<0"
        case HistogramKind.LINEAR if row == 0:
            return f"<{value}"
        case HistogramKind.LINEAR | HistogramKind.BOUNDS if last:
            return f">{value}"
        case HistogramKind.BOUNDS:
            return f"<={value}"
        case _:
            return str(value)
