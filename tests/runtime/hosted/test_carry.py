# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements that another module has counted: added, written, and never outside of the tables' regions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.runtime.hosted.sanitized import RUNTIME, gcc

HERE = Path(__file__).parent
SOURCES = [
    RUNTIME / "kernel/lib" / f"{name}.c"
    for name in ("carry", "array", "table", "expire", "statistic")
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("carry") / "carry"
    gcc("-g", "-O1", HERE / "carry.c", *SOURCES, RUNTIME / "hosted/script_slot.c", "-o", made)
    return made


def test_elements_are_added_or_written(program: Path) -> None:
    subprocess.run([program], timeout=60, check=True)


@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_request_stays_inside(program: Path, seed: int) -> None:
    """AddressSanitizer ends the program at the first access outside."""
    subprocess.run([program, str(seed), "20000"], timeout=120, check=True)
