# SPDX-License-Identifier: GPL-2.0-or-later
"""The doubles that a module makes without an FPU are those that the CPU makes."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest

from tests.runtime.hosted.sanitized import RUNTIME, gcc

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("doubles") / "doubles"
    sources = [RUNTIME / "kernel/lib" / f"{name}.c" for name in ("doubles", "float64")]
    unused = ("-ffunction-sections", "-Wl,--gc-sections")  # arithmetic, which is paid for
    gcc("-g", "-O2", *unused, HERE / "doubles.c", *sources, "-o", made)
    return made


def ran(program: Path, data: bytes, *arguments: int) -> bytes:
    argv = [str(program), *map(str, arguments)]
    return subprocess.run(argv, input=data, capture_output=True, timeout=60, check=True).stdout


def test_every_number_is_rounded_as_the_cpu_does(program: Path) -> None:
    """Around all powers of two, and the middles between two doubles, of which the even one is chosen."""
    chosen = random.Random(1)
    numbers = {(1 << bit) + d for bit in range(64) for d in (-2, -1, 0, 1, 2)}
    numbers |= {(1 << 64) - d for d in (1, 2, 1023, 1024, 1025, 2048, 3072)}
    for bit in range(54, 64):
        half = 1 << bit - 53
        for _ in range(50):
            middle = (1 << bit) + (chosen.getrandbits(bit) & -(2 * half)) + half
            numbers |= {middle - 1, middle, middle + 1}
    numbers |= {chosen.getrandbits(chosen.randrange(1, 65)) for _ in range(50_000)}
    values = sorted(n for n in numbers if 0 <= n < 1 << 64)
    made = ran(program, struct.pack(f"{len(values)}Q", *values))
    assert made == struct.pack(f"{len(values)}d", *values)


def test_rows(program: Path) -> None:
    rows = [[7, 0, 0, 5, 0, 1 << 60, 0, 9], [8, 0, 0, 0, 0, 0, 0, 10], [9, 0, 2, 0, 0, 0, 0, 11]]
    made = ran(program, b"".join(struct.pack("8Q", *row) for row in rows), 8, 1, 5)
    for n, row in enumerate(rows):
        counts = row[1:6]
        expected = struct.pack("<Q6dQ", row[0], *counts, sum(counts), row[7])
        assert made[64 * n : 64 * (n + 1)] == expected
    assert struct.unpack("2I", made[64 * len(rows) :]) == (1, 5)


def test_nothing_is_filled(program: Path) -> None:
    made = ran(program, struct.pack("4Q", 1, 0, 0, 0), 4, 1, 2)
    assert made == struct.pack("4Q2I", 1, 0, 0, 0, 2, 0)
