# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns of an event loop: work that never ends leaves time for everything else.

    turns = Turns(); turns.add(work)    # calls work(end) until it returns False

All kinds of such work together get one turn of `seconds` between two rounds of the event loop, one after
the other. So a request, a timer or the watchdog waits for one turn at most, no matter how many scripts print.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

TURN_SECONDS: Final = 0.005

Work = Callable[[float], bool]


class Turns:
    """`work(end)` works until `end`, of time.monotonic(), and says whether it wants another turn."""

    def __init__(self, seconds: float = TURN_SECONDS) -> None:
        self._seconds = seconds
        self._waiting: dict[Work, None] = {}  # in the order of their turns
        self._handle: asyncio.Handle | None = None

    def add(self, work: Work) -> None:
        """Give `work` turns from now on; nothing changes if it has them."""
        self._waiting[work] = None
        self._schedule()

    def discard(self, work: Work) -> None:
        self._waiting.pop(work, None)

    def _schedule(self) -> None:
        if self._handle is None and self._waiting:
            self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._handle = None
        end = time.monotonic() + self._seconds
        for work in list(self._waiting):
            if work not in self._waiting:
                continue  # another one has discarded it
            del self._waiting[work]
            if work(end):
                self._waiting[work] = None  # behind those that had no turn yet
            if time.monotonic() >= end:
                break
        self._schedule()
