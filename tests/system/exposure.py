# SPDX-License-Identifier: GPL-2.0-or-later
"""The units and how exposed systemd finds them: 0 is a unit without any privilege, 10 one with all of them."""

from __future__ import annotations

import re

# unit file: the highest exposure that is allowed
HIGHEST = {
    "stapwatch.service": 1.5,
    "stapwatch-loader.service": 2.5,
    "stapwatch-compile@.service": 0.5,
    "stapwatch-modules.service": 3.0,
    "stapwatch-prepare@.service": 1.0,
    "stapwatch-sync.service": 1.5,
}
COMMAND = ("systemd-analyze", "security", "--no-pager", "--offline=true")


def exposure(printed: str) -> float:
    """The overall exposure in what systemd-analyze has printed."""
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", printed)
    assert found, printed
    return float(found[1])
