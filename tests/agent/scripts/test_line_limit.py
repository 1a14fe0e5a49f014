# SPDX-License-Identifier: GPL-2.0-or-later
"""The rate limit of log lines: exact for a script, and shared among the places that print."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.config.budgets import Budgets
from agent.config.settings import LogSettings
from agent.scripts.line_limit import LineLimit


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def limit(clock: Clock, rate: float = 200, burst: int = 2000, **of_a_place: float) -> LineLimit:
    return LineLimit(LogSettings(rate_limit=rate, burst=burst, **of_a_place), clock)  # type: ignore[arg-type]


def flood(found: LineLimit, place: str, lines: int = 5000) -> int:
    return sum(found.take(place) for _ in range(lines))


def test_a_place_that_is_alone_has_the_whole_rate() -> None:
    clock = Clock()
    found = limit(clock)
    assert flood(found, "a") == 2000
    allowed = 0
    for _ in range(1000):  # ten seconds
        clock.now += 0.01
        allowed += flood(found, "a", 50)
    assert 1000 <= allowed <= 2001, "it fills the lower half first"
    allowed = 0
    for _ in range(1000):
        clock.now += 0.01
        allowed += flood(found, "a", 50)
    assert 1980 <= allowed <= 2001
    assert found.dropped["a"] > 90_000


def test_a_flood_leaves_room_for_a_place_that_prints_little() -> None:
    clock = Clock()
    found = limit(clock)
    missed = 0
    for second in range(60):
        for _ in range(100):
            clock.now += 0.01
            flood(found, "storm", 100)
        if second >= 1:
            missed += sum(not found.take("rare") for _ in range(10))
    assert missed == 0 and found.dropped.keys() == {"storm"}


def test_a_place_has_a_limit_of_its_own() -> None:
    clock = Clock()
    found = LineLimit(LogSettings().limited(Budgets(log_lines_per_statement=3)), clock)
    assert (flood(found, "a"), flood(found, "b")) == (30, 30), "ten seconds' worth"
    clock.now += 1
    assert flood(found, "a") == 3


def test_no_limit() -> None:
    assert flood(limit(Clock(), rate=0), "a") == 5000


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 0.1)), max_size=300),
    st.integers(1, 20),
    st.floats(1, 50),
)
def test_a_script_never_has_more_than_its_rate(
    lines: list[tuple[str, float]], burst: int, rate: float
) -> None:
    clock = Clock()
    found = limit(clock, rate, burst)
    allowed = 0
    for place, pause in lines:
        clock.now += pause
        allowed += found.take(place)
        assert allowed <= burst + (clock.now - 100) * rate + 1e-6
    assert allowed + found.dropped.total() == len(lines)
