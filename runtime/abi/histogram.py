# SPDX-License-Identifier: GPL-2.0-or-later
"""The bounds of a histogram's buckets.

    upper_bounds(Histogram(LOG2, 0, 65))   -> (-1, 0, 1, 3, 7, ...)   the last bucket has none
    lowest(Histogram(LOG2, 0, 65), 4)      -> 4                       bucket 4 counts 4 <= v < 8

Values are integers, so a bucket of 2^k <= v < 2^(k+1) has the inclusive upper bound 2^(k+1)-1.
"""

from typing import TYPE_CHECKING, Final

from runtime.abi.manifest import Histogram, HistogramKind
from runtime.support.exhaustive import assert_never

if TYPE_CHECKING:
    from runtime.abi.exponential import Exponential

ZERO_WORD: Final = 64  # the word that counts 0 in a histogram with negative values
_MOST_SCHEMA: Final = 3


def upper_bounds(hist: Histogram) -> tuple[int, ...]:
    """The largest value that each bucket but the last can count, ascending: Prometheus' `le`.

    The last bucket's bound is infinity. Raises ValueError if the description contradicts itself.
    """
    check(hist)
    words = range(hist.buckets - 1)
    match hist.kind:
        case HistogramKind.LOG2 if hist.negative:
            return tuple(_signed_bound(word) for word in words)
        case HistogramKind.LOG2:
            return tuple(-1 if word == 0 else (1 << word - 1) - 1 for word in words)
        case HistogramKind.LINEAR:
            return tuple(hist.low + word * hist.interval - 1 for word in words)
        case HistogramKind.BOUNDS:
            return hist.bounds
        case HistogramKind.EXPONENTIAL:
            shape = exponential(hist)
            below = (0, *shape.coarse.ceilings())[:ZERO_WORD]
            return (*(-1 - size for size in reversed(below)), 0, *shape.ceilings())
        case _ as never:
            assert_never(never)


def exponential(hist: Histogram) -> "Exponential":
    """The buckets of an EXPONENTIAL histogram. Raises ValueError for another schema or scale."""
    from fractions import Fraction  # takes milliseconds to import, and is seldom needed

    from runtime.abi.exponential import Exponential

    schema, scale = hist.schema or 0, Fraction(hist.scale or 1)
    if scale <= 0 or not 0 <= schema <= _MOST_SCHEMA:
        raise ValueError(f"a histogram cannot have schema {schema} and scale {hist.scale}")
    return Exponential(schema, scale)


def lowest(hist: Histogram, word: int) -> int:
    """The label of bucket `word` in a rendered histogram: its smallest value, or its largest if negative.

    An open bucket is labelled with its finite bound: the first of LINEAR with `low`, the last with the start
    of the interval before it.
    """
    match hist.kind:
        case HistogramKind.LOG2 if hist.negative:
            if word < ZERO_WORD:
                return -(1 << ZERO_WORD - 1 - word)
            return 0 if word == ZERO_WORD else 1 << word - ZERO_WORD - 1
        case HistogramKind.LOG2:
            return 0 if word < 2 else 1 << word - 2
        case HistogramKind.LINEAR:
            if word == 0:
                return hist.low
            last = word == hist.buckets - 1
            return hist.low + (word - (2 if last else 1)) * hist.interval
        case HistogramKind.BOUNDS:
            return hist.bounds[min(word, len(hist.bounds) - 1)]
        case HistogramKind.EXPONENTIAL:
            bounds = upper_bounds(hist)  # of negative values, they are the largest ones already
            return bounds[word] if word <= ZERO_WORD else bounds[word - 1] + 1
        case _ as never:
            assert_never(never)


def check(hist: Histogram) -> None:
    """Raises ValueError if the number of buckets contradicts the other fields."""
    match hist.kind:
        case HistogramKind.LOG2:
            good = 2 <= hist.buckets <= (128 if hist.negative else 65)
        case HistogramKind.LINEAR:
            good = (
                hist.interval > 0
                and hist.high >= hist.low
                and hist.buckets == (hist.high - hist.low) // hist.interval + 3
            )
        case HistogramKind.BOUNDS:
            good = hist.buckets == len(hist.bounds) + 1 > 1 and all(
                a < b for a, b in zip(hist.bounds, hist.bounds[1:], strict=False)
            )
        case HistogramKind.EXPONENTIAL:
            good = hist.buckets == exponential(hist).words
        case _ as never:
            assert_never(never)
    if not good:
        raise ValueError(f"a {hist.kind} histogram cannot have {hist.buckets} buckets like that")


def _signed_bound(word: int) -> int:
    if word < ZERO_WORD:
        return -(1 << ZERO_WORD - 1 - word)
    return (1 << word - ZERO_WORD) - 1
