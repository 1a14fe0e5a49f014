# SPDX-License-Identifier: GPL-2.0-or-later
"""Sums up messages that repeat: the first one is logged at once, the others once a period, with their number.

repeats.add(place, text, now)   -> True, then False for PERIOD seconds
repeats.summaries(now)          -> [Summary(place, 4711, 10.2, "division by 0 at x.stp:3:4")]
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from runtime.support.record import field, record

PERIOD: Final = 10.0  # seconds

T = TypeVar("T", bound=Hashable)


@record(frozen=False)
class _Place:
    since: float
    count: int = 0  # of messages that were not logged
    last: str = ""


@record
class Summary(Generic[T]):
    """`count` messages of a place in so many seconds; the last one."""

    place: T
    count: int
    seconds: float
    last: str


@record(frozen=False)
class Repeats(Generic[T]):
    """Messages by the place that they come from. A place is forgotten after a period without a message."""

    _places: dict[T, _Place] = field(default_factory=dict)

    def add(self, place: T, text: str, now: float) -> bool:
        """Count a message; True if it is to be logged now."""
        found = self._places.get(place)
        if found is None:
            self._places[place] = _Place(now)
            return True
        found.count += 1
        found.last = text
        return False

    def summaries(self, now: float, everything: bool = False) -> list[Summary[T]]:
        """Those of places whose period is over, or of all."""
        over = {p: f for p, f in self._places.items() if everything or now - f.since >= PERIOD}
        for place, found in over.items():
            del self._places[place]
            if found.count:
                self._places[place] = _Place(now)
        return [
            Summary(place, found.count, now - found.since, found.last)
            for place, found in over.items()
            if found.count
        ]
