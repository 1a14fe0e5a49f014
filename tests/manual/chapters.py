# SPDX-License-Identifier: GPL-2.0-or-later
"""The blocks of the manual's chapters.

blocks("sh")   -> [Block("install.md-0", "sh", "apt install ./stapwatch_*.deb\\n", ...), ...]

The line in front of a block may name the file that the block is (`/etc/stapwatch/probes.d/reads.stp`:), or be a
comment that says why nobody types it here (`sh skip`). A block `text` is what the commands above it print.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests import PROJECT

FOLDER = PROJECT / "docs" / "manual"
_FENCED = re.compile(r"^```([\w ]*)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """`path`: of the file that it is; `reason`: why it is not typed. Both may be empty."""

    place: str
    language: str
    text: str
    path: str = ""
    reason: str = ""


def of(path: Path) -> list[Block]:
    whole = path.read_text()
    found = []
    for number, match in enumerate(_FENCED.finditer(whole)):
        before = whole[: match.start()].rstrip().rpartition("\n")[2]
        file = re.fullmatch(r"`(/[^`]+)`:", before)
        comment = re.fullmatch(r"<!-- (.+) -->", before)
        found.append(
            Block(
                f"{path.name}-{number}",
                match[1],
                match[2],
                file[1] if file else "",
                comment[1] if comment else "",
            )
        )
    return found


def blocks(*languages: str) -> list[Block]:
    """Those of all chapters and of docs/fleet.md, in these languages, or in any."""
    paths = (*sorted(FOLDER.glob("*.md")), FOLDER.parent / "fleet.md")
    return [b for path in paths for b in of(path) if not languages or b.language in languages]


def shows(printed: str, expected: str) -> bool:
    """Whether the lines are there, one below the other. `...` stands for any text."""
    text = re.escape(expected.strip()).replace(re.escape("..."), "(?s:.*?)")
    return re.search(f"^{text}$", printed, re.M) is not None
