# SPDX-License-Identifier: GPL-2.0-or-later
"""Floating-point numbers by integers: as the processor's and the C library's, over numbers at random."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.runtime.hosted.sanitized import RUNTIME, gcc

HERE = Path(__file__).parent
LIBRARY = [RUNTIME / "kernel/lib" / f"{name}.c" for name in ("float64", "float64_text", "charge")]
SLOT = RUNTIME / "hosted/script_slot.c"  # a writable sw_script
ROUNDS = 100_000  # half a second; millions of them have been run by hand
MOST_ACTIONS = 3000  # for the text of a thousand digits that decides a half


def test_as_the_processor(tmp_path: Path) -> None:
    made = tmp_path / "float64"
    gcc("-g", "-O1", HERE / "float64.c", *LIBRARY, SLOT, "-lm", "-o", made)
    command = [str(made), "12", str(ROUNDS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert 1000 < int(done.stdout) < MOST_ACTIONS
