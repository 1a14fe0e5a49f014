# SPDX-License-Identifier: GPL-2.0-or-later
"""Each event has an id, and the journal's catalog explains it: checked by journalctl itself."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.log_messages import Message
from tests import PROJECT

CATALOG = PROJECT / "systemd/stapwatch.catalog"
_LEVELS = {"info", "warning", "error", "critical", "exception"}


def entries() -> dict[str, str]:
    """The catalog's text by id."""
    parts = re.split(r"(?m)^-- ([0-9a-f]{32})$", CATALOG.read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_catalog_has_each_event_once() -> None:
    assert CATALOG.read_text().count("\n-- ") == len(Message)
    assert list(entries()) == [message.value for message in Message]
    for text in entries().values():
        assert re.match(r"\nSubject: \S.*\nDefined-By: stapwatch\n\n\S", text)


@pytest.mark.skipif(not shutil.which("journalctl"), reason="needs journalctl")
def test_journalctl_takes_the_catalog(tmp_path: Path) -> None:
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    shutil.copy(CATALOG, folder)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    root = f"--root={tmp_path}"
    made = subprocess.run(
        ["journalctl", root, "--update-catalog"], capture_output=True, text=True, check=True
    )
    assert made.stderr == ""
    shown = subprocess.run(
        ["journalctl", root, "--dump-catalog"], capture_output=True, text=True, check=True
    ).stdout
    found = re.findall(r"(?m)^-- ([0-9a-f]{32})$", shown)
    assert sorted(found) == sorted(Message)


def test_every_line_of_the_agent_has_an_id() -> None:
    without = []
    for path in sorted((PROJECT / "agent").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            logger = ast.unparse(node.func.value)
            if logger not in ("log()", "log_sinks.log()") or node.func.attr not in _LEVELS:
                continue
            if not any(word.arg in ("message_id", None) for word in node.keywords):
                without.append(f"{path.relative_to(PROJECT)}:{node.lineno}")
    assert without == []
