# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's promtool, as a judge of rules."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def check_rules(file: Path) -> None:
    _run("check", "rules", str(file))


def run_rule_tests(folder: Path, rules: str, tests: Sequence[dict[str, Any]]) -> None:
    """Raises AssertionError with what promtool says."""
    (folder / "alerts.yaml").write_text(rules)
    tree = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": tests}
    (folder / "test.json").write_text(json.dumps(tree))
    _run("test", "rules", str(folder / "test.json"))


def _run(*words: str) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
