# SPDX-License-Identifier: GPL-2.0-or-later
"""`run -F -o FILE`: the same run again, in the background."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from agent.scripts.compile_worker import environment


def leave_behind(output: str) -> int:
    """Start it and print its process id; the exit status. It has compiled already: the module comes
    out of the cache. What it says besides its output goes to the system's log."""
    command, *words = sys.argv[1:]
    Path(output).touch()  # it is there, or cannot be, when we end
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "agent", command, "--in-background", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment(),
    )
    print(child.pid)
    return 0
