# SPDX-License-Identifier: GPL-2.0-or-later
"""The last lines of a script's log, for the status page; the whole log is where the configuration wants it.

lines.add("info", moment, probe, "cat(42) open")
lines.after(17)     -> [RecentLine(18, ...), ...]    what came after number 17
"""

from __future__ import annotations

from collections import deque

from runtime.support.record import record

_MOST = 200  # lines of a script
_LENGTH = 500  # characters of one


@record
class RecentLine:
    """`number`: of the script's lines since the agent started, from 1. `timestamp`: seconds since 1970."""

    number: int
    timestamp: float
    level: str
    probe: str
    text: str


class RecentLines:
    def __init__(self) -> None:
        self._lines: deque[tuple[str, int, str, str]] = deque(maxlen=_MOST)
        self._count = 0

    def add(self, level: str, moment: int, probe: str, text: str) -> None:
        """`moment`: ns since 1970."""
        self._count += 1
        self._lines.append((level, moment, probe, text[:_LENGTH]))

    def after(self, number: int) -> list[RecentLine]:
        """The lines after this one, oldest first; all that there are if the agent never had so many."""
        seen = number if number <= self._count else 0
        return [
            RecentLine(n, moment / 1e9, level, probe, text)
            for n, (level, moment, probe, text) in enumerate(self._lines, self._first)
            if n > seen
        ]

    @property
    def _first(self) -> int:
        return self._count - len(self._lines) + 1
