# SPDX-License-Identifier: GPL-2.0-or-later
"""`run -F -o FILE`: the same command line again, as a daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent.scripts.compile_worker import environment
from runtime.support import python_module


def daemonize(output: str) -> int:
    """Start the daemon and print its process id; returns the exit status.

    The caller has compiled the script already, so the daemon gets the module from the cache. The
    daemon's messages go to the system log.
    """
    command, *words = sys.argv[1:]
    Path(output).touch()  # the file exists, or the error is reported, before this process ends
    child = subprocess.Popen(
        [*python_module.command("agent"), command, "--in-background", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(),
    )
    print(child.pid)
    return 0
