# SPDX-License-Identifier: GPL-2.0-or-later
"""Histograms as text."""

from collections.abc import Iterable
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.abi.manifest import Histogram, HistogramKind
from runtime.events.histogram_text import render

PLAIN = Histogram(HistogramKind.LOG2, 0, 65)
SIGNED = Histogram(HistogramKind.LOG2, 0, 128, negative=True)


def linear(low: int, high: int, interval: int) -> Histogram:
    words = (high - low) // interval + 3
    return Histogram(HistogramKind.LINEAR, 0, words, low=low, high=high, interval=interval)


def buckets(hist: Histogram, counts: dict[int, int]) -> list[int]:
    return [counts.get(word, 0) for word in range(hist.buckets)]


def rows(text: str) -> list[tuple[str, int, int]]:
    """(name, length of bar, count) of each row; `~` alone for skipped rows."""
    lines = text.split("\n")
    assert lines[-2:] == ["", ""]
    bar = lines[0].index("|")
    assert lines[0] == f"{'value':>{bar - 1}} |{'-' * 50} count"
    found = []
    for line in lines[1:-2]:
        if line.endswith("~"):
            assert line == " " * bar + "~"
            found.append(("~", 0, 0))
            continue
        name, drawn, count = line[: bar - 1], line[bar + 1 : bar + 51], line[bar + 51 :]
        assert line[bar - 1 : bar + 1] == " |"
        assert drawn == ("@" * drawn.count("@")).ljust(50)
        found.append((name.strip(), drawn.count("@"), int(count)))
    return found


def test_the_whole_picture() -> None:
    text = render(PLAIN, buckets(PLAIN, {1: 1, 3: 5, 10: 200}))
    expected = """\
        value |-------------------------------------------------- count
            0 |                                                     1
            1 |                                                     0
            2 |@                                                    5
            4 |                                                     0
            8 |                                                     0
              ~
           64 |                                                     0
          128 |                                                     0
          256 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@ 200
          512 |                                                     0
         1024 |                                                     0

        """
    assert text == dedent(expected)


def test_bars_are_scaled_down_only() -> None:
    hist = linear(0, 4, 1)
    assert [r[1] for r in rows(render(hist, [0, 50, 1, 2, 0, 0, 0]))] == [50, 1, 2, 0, 0]
    # 51 on 50 columns: one column represents two
    assert [r[1] for r in rows(render(hist, [0, 51, 1, 2, 0, 0, 0]))] == [25, 0, 1, 0, 0]


def test_signed_log() -> None:
    # -1000 lies in word 64 - 10, -1 in 63, 5 in 64 + 3
    names = [r[0] for r in rows(render(SIGNED, buckets(SIGNED, {54: 1, 63: 1, 67: 1})))]
    assert " ".join(names) == "-2048 -1024 -512 -256 -128 ~ -4 -2 -1 0 1 2 4 8 16"


def test_no_negative_rows_without_negative_values() -> None:
    assert [r[0] for r in rows(render(SIGNED, buckets(SIGNED, {64: 3})))] == ["0", "1", "2"]
    assert [r[0] for r in rows(render(PLAIN, buckets(PLAIN, {1: 3})))] == ["0", "1", "2"]
    assert rows(render(PLAIN, buckets(PLAIN, {0: 3})))[0] == ("<0", 3, 3)


def test_ends_of_the_log() -> None:
    extremes = rows(render(SIGNED, buckets(SIGNED, {0: 1, 127: 1})))
    assert extremes[0][0] == str(-(1 << 63))
    assert extremes[-1][0] == str(1 << 62)


def test_linear_under_and_over() -> None:
    hist = linear(0, 100, 10)
    full = rows(render(hist, [1, *[0] * 5, 2, *[0] * 5, 3]))
    assert " ".join(r[0] for r in full) == "<0 0 10 ~ 30 40 50 60 70 ~ 90 100 >100"
    # rows for values outside are not shown if they counted nothing
    assert [r[0] for r in rows(render(hist, [0, 1, *[0] * 11]))] == ["0", "10", "20"]
    assert [r[0] for r in rows(render(hist, [0, *[0] * 10, 1, 0]))] == ["80", "90", "100"]


def test_bounds() -> None:
    hist = Histogram(HistogramKind.BOUNDS, 0, 3, bounds=(10, 20))
    assert [r[0] for r in rows(render(hist, [1, 0, 4]))] == ["<=10", "<=20", ">20"]


def test_empty() -> None:
    assert rows(render(PLAIN, [0] * 65)) == []


@pytest.mark.parametrize("size", [0, 64, 66])
def test_wrong_number_of_buckets(size: int) -> None:
    with pytest.raises(ValueError, match="buckets"):
        render(PLAIN, [0] * size)


@given(st.dictionaries(st.integers(0, 127), st.integers(0, 1 << 40), min_size=1))
def test_every_count_is_shown(counts: dict[int, int]) -> None:
    drawn = rows(render(SIGNED, buckets(SIGNED, counts)))
    assert positive(r[2] for r in drawn) == positive(counts[w] for w in sorted(counts))
    assert all(r[1] <= 50 for r in drawn)
    names = [int(r[0]) for r in drawn if r[0] != "~"]
    assert names == sorted(names)


def positive(numbers: Iterable[int]) -> list[int]:
    return [n for n in numbers if n > 0]
