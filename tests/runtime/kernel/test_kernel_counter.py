# SPDX-License-Identifier: GPL-2.0-or-later
"""A 32-bit counter of the kernel's as one of 64 bits, in a normal process under sanitizers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.hosted.sanitized import gcc

HERE = Path(__file__).parent
WRAP = 1 << 32
Totals = Callable[[list[int]], list[int]]


@pytest.fixture(scope="module")
def totals(tmp_path_factory: pytest.TempPathFactory) -> Totals:
    program = tmp_path_factory.mktemp("counter") / "counter"
    gcc("-g", "-O1", HERE / "kernel_counter.c", "-o", program)

    def run(values: list[int]) -> list[int]:
        argv = [str(program), *(str(value % WRAP) for value in values)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        return [int(line) for line in done.stdout.split()]

    return run


def test_an_int_that_is_negative(totals: Totals) -> None:
    """2^31 misses are not 1.8e19."""
    assert totals([(1 << 31) - 1, 1 << 31, (1 << 31) + 1]) == [
        (1 << 31) - 1,
        1 << 31,
        (1 << 31) + 1,
    ]


@settings(deadline=None, max_examples=30)
@given(steps=st.lists(st.integers(0, (1 << 31) - 1), min_size=1, max_size=20))
def test_wraps_are_added_up(totals: Totals, steps: list[int]) -> None:
    true = [sum(steps[: i + 1]) for i in range(len(steps))]
    assert totals(true) == true


def test_a_stale_value_takes_nothing_away(totals: Totals) -> None:
    assert totals([100, 97, 99, 100, 103]) == [100, 100, 100, 100, 103]
    start = [(1 << 31) - 1, WRAP - 2, WRAP + 1]
    assert totals([*start, WRAP - 1, WRAP, WRAP + 5]) == [*start, WRAP + 1, WRAP + 1, WRAP + 5]
