# SPDX-License-Identifier: GPL-2.0-or-later
"""A timer for a time of the day: it follows the clock when the clock is set.

    timer = WallTimer(callback)
    timer.set(1_798_000_000.0)    # callback runs then, and whenever the clock was set before that
    timer.set(None)               # nothing runs any more

The event loop's own timers count seconds, so after a jump of the clock they would be late by the jump. The
kernel's timerfd wakes its reader when the clock is set (TFD_TIMER_CANCEL_ON_SET). Python has it from 3.13 on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
import time
from collections.abc import Callable

_NONBLOCK, _CLOEXEC = 0o4000, 0o2000000  # TFD_NONBLOCK, TFD_CLOEXEC
_ABSTIME, _CANCEL_ON_SET = 1, 2
_SETTING = struct.Struct(
    "qqqq"
)  # struct itimerspec: interval and value, in seconds and nanoseconds


class WallTimer:
    """One timer in the running event loop. Close it before the loop ends."""

    def __init__(self, callback: Callable[[], None]) -> None:
        """Raises OSError."""
        self._callback = callback
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(
            self._libc.timerfd_create(time.CLOCK_REALTIME, _NONBLOCK | _CLOEXEC)
        )
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._expired)

    def set(self, at: float | None) -> None:
        """Expire at this time, in seconds since 1970, at once if it has passed; None: never."""
        # 0 would disarm the timer
        nanoseconds = 0 if at is None else max(1, int(at * 1e9))
        setting = _SETTING.pack(0, 0, *divmod(nanoseconds, 1_000_000_000))
        flags = _ABSTIME | _CANCEL_ON_SET
        self._checked(self._libc.timerfd_settime(self._fd, flags, setting, None))

    def close(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _expired(self) -> None:
        # ECANCELED: the clock was set; then the time left is another
        with contextlib.suppress(OSError):
            os.read(self._fd, 8)
        self._callback()

    @staticmethod
    def _checked(result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
