# SPDX-License-Identifier: GPL-2.0-or-later
"""The destination of a run's messages: the terminal, or for a daemon the system log.

say = console.sayer(background=False); say("WARNING: 3 hits missed by the kernel")
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable


def sayer(*, background: bool) -> Callable[[str], None]:
    """A function that writes one message."""
    return _to_system_log if background else _to_terminal


def _to_terminal(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def _to_system_log(text: str) -> None:
    import syslog

    syslog.openlog("stapwatch", syslog.LOG_PID)
    for line in text.splitlines():
        syslog.syslog(syslog.LOG_WARNING, line)
