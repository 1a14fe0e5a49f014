# SPDX-License-Identifier: GPL-2.0-or-later
"""Marks for whole folders: what needs Debian's packages (host), and what needs a guest (lab).

`make check` leaves both out; `make test` runs everything.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARKS = {
    "bench": "lab",
    "build": "host",
    "handlers": "lab",
    "kernel": "host",
    "lab": "lab",
    "system": "lab",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mark = MARKS.get(item.path.relative_to(HERE).parts[0])
        if mark is not None:
            item.add_marker(mark)
