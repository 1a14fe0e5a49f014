# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that repeat: the first at once, then their number, once a period."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.scripts.repeats import PERIOD, Repeats, Summary


def test_the_first_is_logged_and_the_others_are_counted() -> None:
    repeats: Repeats[str] = Repeats()
    assert [repeats.add("a", f"a{n}", float(n)) for n in range(4)] == [True, False, False, False]
    assert repeats.add("b", "b", 4.0)
    assert repeats.summaries(PERIOD - 1) == []
    assert repeats.summaries(PERIOD) == [Summary("a", 3, PERIOD, "a3")]
    assert not repeats.add("a", "a4", PERIOD + 1), "its period goes on"
    assert repeats.summaries(PERIOD + 4) == []
    assert repeats.add("b", "b", PERIOD + 5), "it was quiet for a period"
    assert repeats.summaries(0.0, everything=True) == [Summary("a", 1, -PERIOD, "a4")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 7))))
def test_none_is_lost(messages: list[tuple[str, float]]) -> None:
    repeats: Repeats[str] = Repeats()
    now, counted = 0.0, dict.fromkeys("abc", 0)
    for place, pause in messages:
        now += pause
        for found in repeats.summaries(now):
            counted[found.place] += found.count
        counted[place] += repeats.add(place, "x", now)
    for found in repeats.summaries(now, everything=True):
        counted[found.place] += found.count
    assert counted == {p: sum(1 for place, _ in messages if place == p) for p in "abc"}
