# SPDX-License-Identifier: GPL-2.0-or-later
"""What systemd says of the units' privileges. A directive that it does not know is an error here."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests import PROJECT
from tests.system.exposure import COMMAND, HIGHEST, exposure

UNITS = PROJECT / "systemd"


def test_each_service_has_its_limit() -> None:
    assert {path.name for path in UNITS.glob("*.service")} == set(HIGHEST)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize("unit", HIGHEST)
def test_exposure(unit: str) -> None:
    done = subprocess.run(
        [*COMMAND, str(UNITS / unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert exposure(done.stdout) <= HIGHEST[unit]
    assert "Unknown" not in done.stderr and "ignoring" not in done.stderr
