# SPDX-License-Identifier: GPL-2.0-or-later
"""The times of a pass in SystemTap's notation: `PassTimer().text() -> "10usr/0sys/12real ms"`."""

from __future__ import annotations

import resource
import time


class PassTimer:
    """User, system and real time of this process since the timer was made."""

    def __init__(self) -> None:
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._real = time.monotonic()

    def text(self) -> str:
        now = resource.getrusage(resource.RUSAGE_SELF)
        user, system = now.ru_utime - self._usage.ru_utime, now.ru_stime - self._usage.ru_stime
        return times(user, system, time.monotonic() - self._real)


def times(user: float, system: float, real: float) -> str:
    """Seconds as text."""
    return f"{round(user * 1000)}usr/{round(system * 1000)}sys/{round(real * 1000)}real ms"
