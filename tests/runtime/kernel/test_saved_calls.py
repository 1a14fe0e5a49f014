# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept from a call's entry to its return: never another call's, and lost only for want of room."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime.hosted.sanitized import gcc

HERE = Path(__file__).parent
Calls = Callable[[int, int], tuple[int, int]]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    program = tmp_path_factory.mktemp("calls") / "calls"
    gcc("-g", "-O2", "-pthread", HERE / "saved_calls.c", "-o", program)

    def run(places: int, left: int) -> tuple[int, int]:
        argv = [str(program), str(places), "20000", str(left)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        returned, missed = done.stdout.split()
        return int(returned), int(missed)

    return run


def test_none_is_lost_where_there_is_room(calls: Calls) -> None:
    returned, missed = calls(2048, 0)
    assert returned > 70_000 and not missed


def test_calls_that_never_return_give_their_places_to_others(calls: Calls) -> None:
    returned, missed = calls(2048, 10)
    assert returned > 50_000 and missed < returned / 500


def test_without_room_some_are_lost(calls: Calls) -> None:
    returned, missed = calls(8, 1)
    assert 0 < missed < returned
