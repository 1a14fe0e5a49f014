# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements expire while handlers count: no hit is lost or doubled, and slots are used again."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.runtime.hosted.sanitized import RUNTIME, gcc

HERE = Path(__file__).parent
SOURCES = [
    RUNTIME / "kernel/lib" / f"{name}.c" for name in ("array", "table", "expire", "statistic")
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("expire") / "expire"
    slot = RUNTIME / "hosted/script_slot.c"
    gcc("-g", "-O2", "-pthread", HERE / "expire.c", *SOURCES, slot, "-o", made)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_no_hit_is_lost(program: Path, seed: int) -> None:
    subprocess.run([program, str(seed), "100000"], timeout=300, check=True)
