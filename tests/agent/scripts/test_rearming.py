# SPDX-License-Identifier: GPL-2.0-or-later
"""The pauses of a script that is disarmed again and again, and what is said about a disarm."""

from __future__ import annotations

import pytest

from agent.config.budgets import Budgets
from agent.scripts.rearming import WELL, Disarm, Rearming

WHY = Disarm("cpu", "timer.s(1)", 61_234, 50_000)
PAUSES = Budgets().pauses


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def breach(script: Rearming, clock: Clock, pauses: tuple[float, ...] = PAUSES) -> float | None:
    """Disarm it, and arm it as soon as it is due. Returns the pause."""
    pause = script.disarmed(WHY, pauses)
    if pause is not None:
        clock.now += pause - 0.001
        assert not script.is_due
        clock.now += 0.001
        assert script.is_due
        script.armed()
        assert not script.is_due and script.disarm is None
    return pause


def test_pauses_grow_and_then_it_is_quarantined(clock: Clock) -> None:
    script = Rearming(clock)
    found = [breach(script, clock) for _ in range(8)]
    assert found == [1, 2, 4, 8, 16, 32, 64, None]
    assert script.quarantined and script.disarm == WHY
    clock.now += 1e9
    assert not script.is_due, "nothing but a person or a change arms it"
    assert script.counts == {"cpu": 8}
    assert script.seconds == pytest.approx(127 + 1e9)


def test_pauses_start_over_after_it_has_run_well(clock: Clock) -> None:
    script = Rearming(clock)
    assert [breach(script, clock) for _ in range(3)] == [1, 2, 4]
    clock.now += WELL - 1
    assert breach(script, clock) == 8
    clock.now += WELL
    assert breach(script, clock) == 1


def test_a_script_that_was_never_disarmed_begins_with_the_first_pause(clock: Clock) -> None:
    script = Rearming(clock)
    clock.now += 1
    assert breach(script, clock) == 1
    assert script.seconds == 1


def test_a_person_arms_it(clock: Clock) -> None:
    script = Rearming(clock)
    assert script.disarmed(WHY, ()) is None, "no pauses: it is quarantined at once"
    script.start_over()
    script.armed()
    assert not script.quarantined
    assert [breach(script, clock, (3, 5)) for _ in range(3)] == [3, 5, None]


def test_a_paused_script_waits_for_the_configuration(clock: Clock) -> None:
    script = Rearming(clock)
    script.hold()
    clock.now += 1e6
    assert script.paused and not script.is_due and not script.comes_back
    assert sum(script.counts.values()) == 0
    script.armed()
    assert not script.paused
    assert breach(script, clock) == PAUSES[0], "it is no breach"


def test_seconds_go_on_while_it_is_disarmed(clock: Clock) -> None:
    script = Rearming(clock)
    script.disarmed(WHY, PAUSES)
    clock.now += 10
    script.not_armed(WHY, 5)
    assert (script.seconds, script.left, script.is_due) == (10, 5, False)
    script.disarmed(WHY, PAUSES)
    clock.now += 3
    script.armed()
    clock.now += 10
    assert script.seconds == 13


@pytest.mark.parametrize(
    ("disarm", "text"),
    [
        (
            Disarm("cpu", "timer.s(1)", 61_234, 50_000),
            "took 6.12 % of the time of all CPUs, and the budget cpu is 5 %; most of it was timer.s(1)",
        ),
        (
            Disarm("one_cpu", "", 1_000_000, 100_000),
            "took 100 % of the time of one CPU, and the budget one_cpu is 10 %",
        ),
        (
            Disarm("hit_time", "", 2_500_000_000, 50_000_000),
            "took 2.5 s for one hit, and the budget hit_time is 50 ms",
        ),
        (
            Disarm("hit_rate", "", 1_234_567, 1000),
            "had 1,234,567 hits a second, and the budget hit_rate is 1,000",
        ),
        (
            Disarm("total.cpu", "", 123_000, 100_000),
            "took most of the 12.3 % of all CPUs' time that all scripts took together, and the budget "
            "total.cpu is 10 %",
        ),
        (Disarm("request"), "was disarmed by another program"),
    ],
)
def test_what_is_said(disarm: Disarm, text: str) -> None:
    assert str(disarm) == text
