# SPDX-License-Identifier: GPL-2.0-or-later
"""Each scraper gets the last values of a replaced module in one page, before it gets newer ones."""

from __future__ import annotations

from typing import Any

import pytest

from agent.daemon.last_readings import REMEMBERED, LastReading, LastReadings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def readings(clock: Clock) -> LastReadings:
    return LastReadings(clock)


def reading(name: str = "a", version: Any = 1) -> LastReading:
    return LastReading((name, version, {}), version)


def scrape(readings: LastReadings, scraper: str = "one") -> dict[str, Any]:
    """The versions in a page, by script."""
    due = readings.due(scraper)
    readings.served(scraper, due)
    return {name: found.snapshot for name, found in due.items()}


def test_once_for_each_scraper(readings: LastReadings) -> None:
    assert scrape(readings, "one") == scrape(readings, "two") == {}
    readings.add(reading())
    assert readings.due("one") == readings.due("one"), "a page that was not served does not count"
    assert scrape(readings, "one") == {"a": 1}
    assert scrape(readings, "one") == {}
    assert scrape(readings, "a person") == {}, "who comes for the first time has lost nothing"
    assert scrape(readings, "two") == {"a": 1}
    assert scrape(readings, "two") == {}


def test_a_module_that_nobody_has_scraped(readings: LastReadings) -> None:
    readings.add(reading())
    assert scrape(readings) == {"a": 1}
    assert scrape(readings) == {}


def test_versions_in_their_order(readings: LastReadings) -> None:
    scrape(readings)
    readings.add(reading("a", 1))
    readings.add(reading("b", 7))
    readings.add(reading("a", 2))
    assert [scrape(readings) for _ in range(3)] == [{"a": 1, "b": 7}, {"a": 2}, {}]


def test_too_many_versions(readings: LastReadings) -> None:
    scrape(readings)
    given_up = [readings.add(reading("a", n)) for n in range(18)]
    assert given_up == [0] * 16 + [1, 1]
    assert scrape(readings) == {"a": 2}


def test_a_scraper_that_has_gone(readings: LastReadings, clock: Clock) -> None:
    scrape(readings, "gone")
    clock.now = REMEMBERED - 1
    scrape(readings, "one")
    readings.add(reading())
    assert scrape(readings, "one") == {"a": 1}
    clock.now += 2
    readings.tick()
    assert readings.due("gone") == {}


def test_a_removed_script_and_one_that_nobody_asks_for(
    readings: LastReadings, clock: Clock
) -> None:
    readings.add(reading("a"))
    readings.add(reading("b"))
    readings.forget("a")
    assert list(readings.due("one")) == ["b"]
    clock.now = REMEMBERED + 1
    readings.tick()
    assert readings.due("one") == {}
