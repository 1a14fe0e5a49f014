# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics that several CPUs have filled: handlers, readers and the documented formulas agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.reader.merge import StatValue
from tests.language.userspace import HostedRuntime, Outcome, Script


def quotient(a: int, b: int) -> int:
    """Rounded towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def wrapped(value: int) -> int:
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def variance(lanes: Sequence[Sequence[int]], shift: int) -> int:
    """Welford's algorithm on each CPU, then the total variance, in integers scaled by 2^shift."""
    count = sum(map(len, lanes))
    if count < 2:
        return 0
    middle = quotient(sum(map(sum, lanes)) << shift, count)
    squares = 0
    for values in lanes:
        mean = m2 = 0
        for n, value in enumerate(values, 1):
            before = (value << shift) - mean
            mean += quotient(before, n)
            m2 += before * ((value << shift) - mean)
        squares += len(values) * (mean - middle) ** 2
        if len(values) > 1:
            squares += (len(values) - 1) * quotient(m2, len(values) - 1)
    return quotient(wrapped(squares), count - 1) >> 2 * shift


@pytest.fixture(scope="module")
def hosted() -> Iterator[HostedRuntime]:
    with HostedRuntime.open() as opened:
        yield opened


def filled(factor: int, start: int, shift: int, rounds: int, lanes: int) -> Script:
    """Each hit comes on the next CPU; the values are `factor * i + start`, folded."""
    return Script(
        "x",
        f"""global i, x, y
        probe timer.s(1) {{ i++; x <<< ({factor} * i + {start}) % 977; y["k"] <<< i }}
        probe end {{
            if (i) printdln(" ", @count(x), @sum(x), @min(x), @max(x), @avg(x), @variance(x, {shift}),
                            @count(y["k"]), @variance(y["k"])) }}""",
        rounds=rounds,
        lanes=lanes,
    )


def check(outcome: Outcome, factor: int, start: int, shift: int, rounds: int, lanes: int) -> None:
    assert (outcome.fault, outcome.errors) == ("", ())
    values = [quotient_rest(factor * i + start, 977) for i in range(1, rounds + 1)]
    # the first CPU runs begin, so hits start with the second
    parts = [[v for n, v in enumerate(values) if n % lanes == lane] for lane in range(lanes)]
    counts = [[n + 1 for n in range(rounds) if n % lanes == lane] for lane in range(lanes)]
    said = [int(word) for word in outcome.output.split()]
    assert said == [
        rounds, sum(values), min(values), max(values), quotient(sum(values), rounds),
        variance(parts, shift), rounds, variance(counts, 0),
    ]  # fmt: skip
    found = outcome.value("x")
    assert isinstance(found, StatValue)
    assert [found.count, found.sum, found.min, found.max, found.avg, found.variance] == said[:6]


def quotient_rest(a: int, b: int) -> int:
    """C's remainder, of the dividend's sign."""
    return a - quotient(a, b) * b


fills = st.tuples(
    st.integers(-5000, 5000),
    st.integers(-100_000, 100_000),
    st.sampled_from([0, 1, 4, 10, 20]),
    st.integers(1, 40),
    st.integers(1, 4),
)


@settings(max_examples=4, deadline=None)
@given(st.lists(fills, min_size=12, max_size=24))
def test_what_cpus_counted_apart(
    hosted: HostedRuntime, cases: list[tuple[int, int, int, int, int]]
) -> None:
    outcomes = hosted.run([filled(*case) for case in cases])
    for case, outcome in zip(cases, outcomes, strict=True):
        check(outcome, *case)


def test_the_documented_examples(hosted: HostedRuntime) -> None:
    text = "global x probe begin { for (i = 1; i <= 5; i++) x <<< i; println(@variance(x%s)) }"
    outcomes = hosted.run([Script("a", text % ""), Script("b", text % ", 1")])
    assert [o.output for o in outcomes] == ["12\n", "2\n"]
