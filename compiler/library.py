# SPDX-License-Identifier: GPL-2.0-or-later
"""The tapset: library scripts that every script may use, ours and the user's.

read(("/etc/stapwatch/tapset",)) -> {"task.stp": b"function pid ...", ...}
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # reading is quick, and often all that is wanted
    from compiler.conditions import Conditions
    from compiler.syntax import Script

TAPSET = Path(__file__).parent / "tapset"


def read(folders: Iterable[str] = ()) -> dict[str, bytes]:
    """Every library script: name for messages -> bytes. The user's folders come after ours."""
    found = {f"tapset/{path.name}": path.read_bytes() for path in sorted(TAPSET.glob("*.stp"))}
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.stp")):
            found[str(path)] = path.read_bytes()
    return found


def parse_all(tapset: dict[str, bytes], conditions: Conditions) -> list[Script]:
    """Parse the library; embedded C is allowed there. Raises CompileError."""
    from compiler.parser import parse

    return [
        parse(text, name, conditions=conditions, privileged=True) for name, text in tapset.items()
    ]
