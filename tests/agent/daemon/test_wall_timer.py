# SPDX-License-Identifier: GPL-2.0-or-later
"""The timer for times of the day. That it follows a clock that is set: tests/system/test_rollout.py."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from agent.daemon.wall_timer import WallTimer
from tests.agent.conftest import run


def timers() -> int:
    """Descriptors of this process that are timers."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += "timerfd" in str(link.readlink())
        except OSError:
            continue
    return found


def test_a_timer_from_its_setting_to_its_end() -> None:
    async def work() -> None:
        before = timers()
        expired = asyncio.Event()
        timer = WallTimer(expired.set)
        assert timers() == before + 1
        started = time.time()
        timer.set(started + 0.2)
        await expired.wait()
        assert time.time() >= started + 0.2
        expired.clear()
        timer.set(started - 3600)  # the time has passed already
        await expired.wait()
        expired.clear()
        timer.set(0.0)  # that is a time, too
        await expired.wait()
        expired.clear()
        timer.set(time.time() + 0.05)
        timer.set(None)
        await asyncio.sleep(0.1)  # nothing can be waited for: nothing is to happen
        assert not expired.is_set()
        timer.set(4e9)  # in a century
        timer.close()
        assert timers() == before

    run(work())
