# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import PROJECT

DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])
# a path in code quotes: below a folder of the project, or a file with a known suffix
_PATH = re.compile(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|c|h|stp|stpm|md|lark))`")
_TOPS = ("agent", "compiler", "docs", "packaging", "runtime", "systemd", "tests")
_PLACEHOLDERS = re.compile(r"NAME|TOPIC|X/Y|/(name|x)\.|^/|^script\.stp$|probes\.d")


def missing(text: str, project: Path) -> list[str]:
    """The paths in `text` that are neither in the project nor the end of a path in it."""
    files = [str(path.relative_to(project)) for top in _TOPS for path in (project / top).rglob("*")]
    found = []
    for path in _PATH.findall(text):
        if _PLACEHOLDERS.search(path) or (project / path).exists():
            continue
        if not any(f"/{file}".endswith(f"/{path.rstrip('/')}") for file in files):
            found.append(path)
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_exists(document: Path) -> None:
    assert missing(document.read_text(), PROJECT) == []


def test_a_missing_path_is_found(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "there.py").touch()
    text = "`agent/there.py`, `there.py`, `agent/`, `agent/gone.py`, `gone.py`, `x = 1`"
    assert missing(text, tmp_path) == ["agent/gone.py", "gone.py"]
