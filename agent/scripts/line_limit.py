# SPDX-License-Identifier: GPL-2.0-or-later
"""The rate limit of a script's log lines, shared out among the places that print them.

    limit = LineLimit(LogSettings(rate_limit=200, burst=2000))
    limit.take("x.stp:3:4")     -> True, as long as there are tokens
    limit.dropped               -> Counter({"x.stp:9:1": 4711})

All places draw on one bucket of the script. Its upper half is for whoever comes first. From the lower half a
place takes no more than its share, so that the lines of a place that prints little come through while
another one prints too much. A place that is alone has the whole rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic

from agent.config.settings import LogSettings
from runtime.support.record import field, record


@record(frozen=False)
class Bucket:
    """Tokens: `level` of them at time `last`."""

    level: float
    last: float

    def fill(self, rate: float, most: float, now: float) -> None:
        self.level = min(most, self.level + (now - self.last) * rate)
        self.last = now

    def take(self) -> bool:
        if self.level < 1:
            return False
        self.level -= 1
        return True


@record(frozen=False)
class LineLimit:
    """`settings.rate_limit` lines a second and `settings.burst` at once; 0: no limit. The same of one place:
    `settings.place_rate_limit`."""

    settings: LogSettings
    clock: Callable[[], float] = monotonic
    dropped: Counter[str] = field(default_factory=Counter)  # by place
    _all: Bucket = field(init=False)
    _shares: dict[str, Bucket] = field(default_factory=dict)
    _places: dict[str, Bucket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.configure(self.settings)

    def configure(self, settings: LogSettings) -> None:
        """Other limits; what was dropped stays counted."""
        self.settings = settings
        self._all = Bucket(float(settings.burst), self.clock())
        self._shares, self._places = {}, {}

    def take(self, place: str) -> bool:
        """Whether a line of this place may be logged. If not, it is counted."""
        now = self.clock()
        if self._allows(place, now) and self._has_room(place, now):
            return True
        self.dropped[place] += 1
        return False

    def _allows(self, place: str, now: float) -> bool:
        """By the limit of one place."""
        rate, most = self.settings.place_rate_limit, float(self.settings.place_burst)
        if rate <= 0:
            return True
        bucket = self._places.setdefault(place, Bucket(most, now))
        bucket.fill(rate, most, now)
        return bucket.take()

    def _has_room(self, place: str, now: float) -> bool:
        """By the limit of the script."""
        rate, most = self.settings.rate_limit, float(self.settings.burst)
        if rate <= 0:
            return True
        self._all.fill(rate, most, now)
        share = self._shares.setdefault(place, Bucket(most, now))
        shares = 2 * len(self._shares)  # of the lower half
        share.fill(rate / shares, max(1.0, most / shares), now)
        if self._all.level < 1 or (self._all.level <= most / 2 and not share.take()):
            return False
        self._all.level -= 1
        return True
