# SPDX-License-Identifier: GPL-2.0-or-later
"""What systemd hears from the agent: READY, RELOADING, STATUS, STOPPING, WATCHDOG.

    Notifier().reloading() -> "RELOADING=1\\nMONOTONIC_USEC=123456" on $NOTIFY_SOCKET

Without $NOTIFY_SOCKET every call does nothing. The watchdog is fed from the event loop, so that a loop
which hangs is noticed, and not from a thread, which would go on.
"""

from __future__ import annotations

import asyncio
import os
import time

import sdnotify  # type: ignore[import-untyped]


class Notifier:
    """One per process. `status` is shown by `systemctl status`."""

    def __init__(self) -> None:
        known = os.environ.get("NOTIFY_SOCKET")
        self._systemd = sdnotify.SystemdNotifier() if known else None
        self._timer: asyncio.TimerHandle | None = None

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """To be followed by `ready`. systemd pairs the two by the monotonic time (Type=notify-reload)."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading")

    def status(self, status: str) -> None:
        self._send(f"STATUS={_line(status)}")

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping")

    def extend(self, seconds: float) -> None:
        """Ask for more time to start, reload or stop: compiling many scripts can take long."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")

    def start_watchdog(self) -> None:
        """Feed systemd's watchdog from the running loop, twice as often as asked."""
        period = watchdog_period()
        if period is not None:
            self._feed(period / 2)

    def stop_watchdog(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _feed(self, interval: float) -> None:
        self._send("WATCHDOG=1")
        self._timer = asyncio.get_running_loop().call_later(interval, self._feed, interval)

    def _send(self, *lines: str) -> None:
        if self._systemd is not None:
            self._systemd.notify("\n".join(lines))


def watchdog_period() -> float | None:
    """Seconds after which systemd thinks that this process hangs; None: it does not watch."""
    period, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not period.isdecimal() or int(period) == 0:
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(period) / 1e6


def _line(text: str) -> str:
    return text.replace("\n", " ")
