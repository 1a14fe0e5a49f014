# SPDX-License-Identifier: GPL-2.0-or-later
"""The last errors of a script, one of each place, for those who ask what is wrong with it.

errors.add(event, "division by 0 at x.stp:3:4", probe, manifest, offset)
errors.newest_first()   -> [RecentError("division by 0 at x.stp:3:4", "x.stp:3:4", count=17, ...)]
"""

from __future__ import annotations

from runtime.abi.manifest import Manifest
from runtime.abi.structs import NO_SITE
from runtime.events.decode import Event
from runtime.support.record import record

_PLACES = 8  # that are remembered


@record
class RecentError:
    """The last error of one place.

    `location`: file:line:column, "" outside of the script. `timestamp`: seconds since 1970. `count`: errors
    of that place since it was last forgotten. `module`: the one that made it.
    """

    text: str
    location: str
    probe: str
    timestamp: float
    count: int
    module: str


class RecentErrors:
    """Those of the places that have had an error last."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, str, str], RecentError] = {}

    def add(
        self, event: Event, text: str, probe: str, manifest: Manifest, time_offset: int
    ) -> None:
        """`time_offset`: what to add to the event's time to get ns since 1970."""
        place = event.site, probe, manifest.module
        before = self._places.pop(place, None)
        location = "" if event.site == NO_SITE else manifest.errors[event.site].location
        when, count = (event.time_ns + time_offset) / 1e9, before.count + 1 if before else 1
        self._places[place] = RecentError(text, location, probe, when, count, manifest.module)
        if len(self._places) > _PLACES:
            del self._places[next(iter(self._places))]

    def newest_first(self) -> list[RecentError]:
        return list(self._places.values())[::-1]
