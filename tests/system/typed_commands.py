# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reader of docs/fleet.md types, by the names behind the language of its blocks.

typed("sh", "builder")            -> "ssh-keygen -q -t ed25519 ..."
typed("yaml", "prometheus")       -> "global: {scrape_interval: 15s} ..."
"""

from __future__ import annotations

import re

from tests import PROJECT

_BLOCK = re.compile(r"^```(\S+) ([\w ]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def typed(language: str, name: str) -> str:
    """The text of the block that is called so; there is one."""
    text = (PROJECT / "docs/fleet.md").read_text()
    [found] = [m[3] for m in _BLOCK.finditer(text) if (m[1], m[2]) == (language, name)]
    return found


def queries(part: str) -> list[str]:
    """Those of the query blocks that have this text in them."""
    text = (PROJECT / "docs/fleet.md").read_text()
    blocks = re.findall(r"^```promql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if part in line]
