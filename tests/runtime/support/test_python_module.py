# SPDX-License-Identifier: GPL-2.0-or-later
from __future__ import annotations

import os
import subprocess
from pathlib import Path

from runtime.support import python_module


def test_a_module_of_the_current_folder_is_not_run(tmp_path: Path) -> None:
    """The module and what it imports come from PYTHONPATH, though files with these names lie here."""
    ours, here = tmp_path / "ours", tmp_path / "here"
    for folder in (ours, here):
        (folder / "tool").mkdir(parents=True)
        (folder / "tool/__init__.py").touch()
        text = "import sys, json, helper; print(helper.NAME, __name__, sys.argv[1:])"
        (folder / "tool/__main__.py").write_text(text)
        (folder / "helper.py").write_text(f"NAME = {folder.name!r}")
        (folder / "runpy.py").write_text("raise SystemExit('a planted file')")
    (ours / "runpy.py").unlink()
    env = {**os.environ, "PYTHONPATH": str(ours)}
    command = [*python_module.command("tool", "-S"), "-x", "y"]
    done = subprocess.run(command, cwd=here, env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("ours __main__ ['-x', 'y']\n", "")
