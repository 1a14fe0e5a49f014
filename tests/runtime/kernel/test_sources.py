# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime's files are compiled as one unit, in a quarter of the time: no two may define the same name."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import runtime

SOURCES = sorted((Path(runtime.__file__).parent / "kernel").rglob("*.c"))
_DEFINED = re.compile(
    r"^(?:#define (\w+)|static [^;=({]*?(\w+)\([^;{]*\)\n\{|(struct \w+) \{)", re.M
)


def test_no_name_is_defined_twice() -> None:
    found = defaultdict(set)
    for path in SOURCES:
        for names in _DEFINED.findall(path.read_text()):
            found["".join(names)].add(path.name)
    assert len(found) > 100
    assert {name: sorted(files) for name, files in found.items() if len(files) > 1} == {}
