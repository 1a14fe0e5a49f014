# SPDX-License-Identifier: GPL-2.0-or-later
"""/usr/bin/program, the only program of the system that golden cases are compiled for."""

from __future__ import annotations

import subprocess
import tempfile
from functools import cache
from pathlib import Path

from compiler.userspace.program_files import Files

SOURCE = Path(__file__).parents[1] / "handlers" / "program.c"


@cache
def _root() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    made = Path(folder.name) / "usr/bin/program"
    made.parent.mkdir(parents=True)
    subprocess.run(["gcc", "-O1", "-pthread", "-o", made, SOURCE], check=True)
    text = Path(folder.name) / "etc/text"
    text.parent.mkdir()
    text.write_text("no program\n")
    return folder


def golden_programs() -> Files:
    """Files of a folder that goes when the process ends."""
    return Files(Path(_root().name))
