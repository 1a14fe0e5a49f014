# SPDX-License-Identifier: GPL-2.0-or-later
"""Notifications to systemd (sd_notify(3)): READY, RELOADING, STATUS, STOPPING, WATCHDOG.

    Notifier().reloading() -> "RELOADING=1\\nMONOTONIC_USEC=123456" on $NOTIFY_SOCKET

Without $NOTIFY_SOCKET every call does nothing. The event loop sends the watchdog's keep-alive, and not a
thread: a thread would keep sending while the loop hangs.
"""

from __future__ import annotations

import asyncio
import os
import time

import sdnotify  # type: ignore[import-untyped]

from runtime.support.escapes import printable


class Notifier:
    """One per process. `status` is shown by `systemctl status`."""

    def __init__(self) -> None:
        known = os.environ.get("NOTIFY_SOCKET")
        self._systemd = sdnotify.SystemdNotifier() if known else None
        self._timer: asyncio.TimerHandle | None = None

    def ready(self, status: str) -> None:
        self._send("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """A call of `ready` must follow; systemd matches the two by the monotonic time."""
        now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now}", "STATUS=reloading")

    def status(self, status: str) -> None:
        self._send(f"STATUS={_line(status)}", wait=False)

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=stopping")

    def extend(self, seconds: float) -> None:
        """Ask for more time to start, reload or stop: compiling many scripts can take long."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", wait=False)

    def start_watchdog(self) -> None:
        """Send keep-alives from the running loop, twice as often as systemd asks."""
        period = watchdog_period()
        if period is not None:
            self._feed(period / 2)

    def stop_watchdog(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _feed(self, interval: float) -> None:
        self._send("WATCHDOG=1", wait=False)
        self._timer = asyncio.get_running_loop().call_later(interval, self._feed, interval)

    def _send(self, *lines: str, wait: bool = True) -> None:
        """`wait`: until systemd, if it is busy, has room. Else a message may be lost; the next one tells."""
        if self._systemd is None or self._systemd.socket is None:
            return
        self._systemd.socket.setblocking(wait)
        self._systemd.notify("\n".join(lines))


def watchdog_period() -> float | None:
    """The watchdog's timeout in seconds; None if systemd does not watch this process."""
    period, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not period.isdecimal() or int(period) == 0:
        return None
    if pid and pid != str(os.getpid()):
        return None
    return int(period) / 1e6


def _line(text: str) -> str:
    return printable(text.replace("\n", " "))
