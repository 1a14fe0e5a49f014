# SPDX-License-Identifier: GPL-2.0-or-later
"""Times as stap writes them: `Clock().text() -> "10usr/0sys/12real ms"`."""

from __future__ import annotations

import resource
import time


class Clock:
    """User, system and real time of this process since its making."""

    def __init__(self) -> None:
        self._usage = resource.getrusage(resource.RUSAGE_SELF)
        self._real = time.monotonic()

    def text(self) -> str:
        now = resource.getrusage(resource.RUSAGE_SELF)
        user, system = now.ru_utime - self._usage.ru_utime, now.ru_stime - self._usage.ru_stime
        return times(user, system, time.monotonic() - self._real)


def times(user: float, system: float, real: float) -> str:
    return f"{round(user * 1000)}usr/{round(system * 1000)}sys/{round(real * 1000)}real ms"
