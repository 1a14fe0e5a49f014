# SPDX-License-Identifier: GPL-2.0-or-later
"""The library's macros, from compiler/tapset/macros.

    # The struct whose member `member` is at `address` ...
    @define container_of(address, type, member) %( ... %)
      -> {"The struct whose member ...": ["@container_of(address, type, member)"]}

A macro without a comment above it is explained by the comment at the start of its file.
"""

from __future__ import annotations

import re
from pathlib import Path

from manual.functions import TAPSET, joined, joined_comment
from manual.scd import bold, definition, escape, prose

_MACRO = re.compile(r"@define ([A-Za-z]\w*)(\([^)]*\))?")


def macros(folder: Path = TAPSET / "macros") -> dict[str, list[str]]:
    """The public macros by their explanation, in the order of the files."""
    found: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.stpm")):
        text = path.read_text()
        comment: list[str] = []
        for line in text.partition("\n\n")[2].splitlines():
            comment = [*comment, line] if line.startswith("#") else comment if line else []
            if declared := _MACRO.match(line):
                about = joined(comment) or joined_comment(text)
                found.setdefault(about, []).append(f"@{declared[1]}{declared[2] or ''}")
    return found


def render() -> str:
    return "\n".join(
        definition("\n".join(map(_term, signatures)), prose(about))
        for about, signatures in macros().items()
    )


def _term(signature: str) -> str:
    name, bracket, parameters = signature.partition("(")
    return bold(name) + escape(bracket + parameters)
