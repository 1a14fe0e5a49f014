# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the programs with whose results ours are compared."""

from __future__ import annotations

import subprocess
from pathlib import Path

LIMIT = 10 * 60  # seconds


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """A command's output. If it fails, so does the test."""
    done = subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"
    return done.stdout
