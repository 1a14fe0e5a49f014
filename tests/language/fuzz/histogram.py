# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics computed from all their values: extractors and histograms.

variance([1, 2, 3, 4, 5], 1)  ->  2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.language.fuzz.tree import Histogram
from tests.language.fuzz.values import Failure, divide, wrap


@dataclass(slots=True)
class Statistic:
    values: list[int] = field(default_factory=list)


def extract(what: str, values: Sequence[int], shift: int = 0) -> int:
    match what:
        case "count":
            return len(values)
        case "sum":
            return wrap(sum(values))
    if not values:
        raise Failure("empty aggregate")
    match what:
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "variance":
            return variance(values, shift)
        case _:
            return divide(wrap(sum(values)), len(values))


def variance(values: Sequence[int], shift: int) -> int:
    """Welford's algorithm in integers scaled by 2^shift, then the total variance of a single CPU."""
    mean = squares = 0
    for n, value in enumerate(values, 1):
        scaled = wrap(value << shift)
        before = wrap(scaled - mean)
        mean = wrap(mean + divide(before, n))
        squares = wrap(squares + before * wrap(scaled - mean))
    n = len(values)
    if n < 2:
        return 0
    off = mean - divide(wrap(wrap(sum(values)) << shift), n)
    total = wrap(n * off * off + (n - 1) * divide(squares, n - 1))
    return divide(total, n - 1) >> 2 * shift


# ---------------------------------------------------------------- histograms


def size(shape: Histogram) -> int:
    """The number of buckets, with those for values that are too low and too high."""
    if not shape.interval:
        return 128  # by the highest bit of each sign, 64 for 0
    return len(range(shape.low, shape.high + 1, shape.interval)) + 2


def bucket(shape: Histogram, value: int) -> int:
    """The bucket that counts a value."""
    if not shape.interval:
        return 64 + (value.bit_length() if value >= 0 else -(-value).bit_length())
    if value < shape.low:
        return 0
    return min((value - shape.low) // shape.interval + 1, size(shape) - 1)


def filled(shape: Histogram, values: Sequence[int]) -> list[int]:
    if not values:
        raise Failure("empty aggregate")
    found = [0] * size(shape)
    for value in values:
        found[bucket(shape, value)] += 1
    return found


def picked(shape: Histogram, values: Sequence[int], index: int) -> int:
    counts = filled(shape, values)
    if not 0 <= index < len(counts):
        raise Failure("histogram index out of range")
    return counts[index]


def drawn(shape: Histogram, values: Sequence[int]) -> str:
    """The chart, with the empty line after it."""
    counts = filled(shape, values)
    labels = _labels(shape)
    used = [i for i, count in enumerate(counts) if count]
    # two empty rows on both sides, but none beyond 0 or an empty end
    low, high = 0, len(counts) - 1
    if shape.interval:
        low, high = int(not counts[0]), high - int(not counts[-1])
    elif used[0] >= 64:
        low = 64
    first, last = max(low, used[0] - 2), min(high, used[-1] + 2)
    names = ["value", *labels[first : last + 1]]
    if shape.interval:  # room for `low` and for the value after the last row
        after = shape.low + shape.interval * last
        names.append(f"<{shape.low}" if first == 0 else f"{shape.low}")
        names.append(f">{after}" if last == len(counts) - 1 else f"{after}")
    margin = max(map(len, names))
    wide = len(str(max(counts)))
    unit = max(1, -(-max(counts) // 50))
    lines = ["value".rjust(margin) + " |" + "-" * 50 + " count"]
    for i in range(first, last + 1):
        if any(abs(i - j) <= 2 for j in used):
            bar = "@" * (counts[i] // unit)
            lines.append(f"{labels[i].rjust(margin)} |{bar.ljust(50)} {str(counts[i]).rjust(wide)}")
        elif not lines[-1].endswith("~"):  # a longer gap
            lines.append(" " * margin + " ~")
    return "\n".join(lines) + "\n\n"


def _labels(shape: Histogram) -> list[str]:
    if not shape.interval:
        below = [str(-(1 << bit)) for bit in range(63, -1, -1)]
        return [*below, "0", *(str(1 << bit) for bit in range(63))]
    steps = list(range(shape.low, shape.high + 1, shape.interval))
    return [f"<{shape.low}", *map(str, steps), f">{steps[-1]}"]
