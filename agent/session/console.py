# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a run says what goes wrong: to the terminal, or in the background to the system's log.

say = messages.sayer(background=False); say("WARNING: 3 hits missed by the kernel")
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable


def sayer(*, background: bool) -> Callable[[str], None]:
    """A function that says one message."""
    return _to_system_log if background else _to_terminal


def _to_terminal(text: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


def _to_system_log(text: str) -> None:
    import syslog

    syslog.openlog("stapwatch", syslog.LOG_PID)
    for line in text.splitlines():
        syslog.syslog(syslog.LOG_WARNING, line)


def command_failed(status: int) -> str:
    """How the command of -c ended, in stap's words; `status` is minus a signal's number."""
    if status < 0:
        return f"Child process exited with signal {-status} ({signal.strsignal(-status)})"
    return f"Child process exited with status {status}"
