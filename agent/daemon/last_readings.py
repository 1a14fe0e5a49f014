# SPDX-License-Identifier: GPL-2.0-or-later
"""The last values of modules that were replaced: each scraper gets them in one page.

    readings.served("10.0.0.1 Prometheus/2.53")         # it has got a page
    readings.add(LastReading(planned, snapshot))        # a module has stopped; its successor counts from 0
    readings.due("10.0.0.1 Prometheus/2.53")  -> {"vfs": LastReading(...)}, until that page was served

A counter that falls is a reset for Prometheus: what it had before counts, and so does what it has then. So
the page with the old module's last values must come before the first one with the new module's, or else
what the old one counted after its last scrape is lost. The sum of both in one page would count the new
module's events twice. The new module's values wait in its tables meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final

from agent.exposition.planner import Planned
from runtime.reader.snapshot import Snapshot
from runtime.support.record import field, record

REMEMBERED: Final = 600.0  # seconds: a scraper that was not seen for so long has gone
_MOST: Final = 16  # readings of one script that wait
_MOST_SCRAPERS: Final = 64


@record(frozen=False)
class LastReading:
    """The values of a module when it was stopped. `seen_by`: the scrapers that have got them."""

    planned: Planned
    snapshot: Snapshot
    since: float = 0.0
    seen_by: set[str] = field(default_factory=set)


class LastReadings:
    """The readings of all scripts, in the order in which their modules were replaced."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._scrapers: dict[str, float] = {}  # by the time of the last page
        self._waiting: dict[str, list[LastReading]] = {}

    def add(self, reading: LastReading) -> int:
        """Keep a reading until it was served. Returns how many had to be given up for it."""
        reading.since = self._clock()
        waiting = self._waiting.setdefault(reading.planned[0], [])
        waiting.append(reading)
        surplus = max(0, len(waiting) - _MOST)
        del waiting[:surplus]
        return surplus

    def due(self, scraper: str) -> dict[str, LastReading]:
        """By script, the oldest reading that this scraper must get before it gets anything newer.

        A scraper that comes for the first time gets current values, unless nobody has scraped before:
        whoever comes first then has lost nothing.
        """
        if scraper not in self._scrapers and self._scrapers:
            return {}
        due = {}
        for name, waiting in self._waiting.items():
            reading = next((r for r in waiting if scraper not in r.seen_by), None)
            if reading is not None:
                due[name] = reading
        return due

    def served(self, scraper: str, page: Mapping[str, LastReading]) -> None:
        """A page with these readings was made for the scraper."""
        now = self._clock()
        self._scrapers.pop(scraper, None)
        self._scrapers[scraper] = now
        while len(self._scrapers) > _MOST_SCRAPERS:
            del self._scrapers[next(iter(self._scrapers))]
        for reading in page.values():
            reading.seen_by.add(scraper)
        self.tick()

    def forget(self, name: str) -> None:
        """The script was removed."""
        self._waiting.pop(name, None)

    def tick(self) -> None:
        """Drop scrapers that have gone, and readings that every scraper has got or that nobody came for."""
        now = self._clock()
        for scraper, seen in list(self._scrapers.items()):
            if now - seen > REMEMBERED:
                del self._scrapers[scraper]
        for name, waiting in list(self._waiting.items()):
            left = [r for r in waiting if now - r.since <= REMEMBERED and not self._is_done(r)]
            if left:
                self._waiting[name] = left
            else:
                del self._waiting[name]

    def _is_done(self, reading: LastReading) -> bool:
        return bool(self._scrapers) and reading.seen_by >= self._scrapers.keys()
