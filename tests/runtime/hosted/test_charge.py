# SPDX-License-Identifier: GPL-2.0-or-later
"""Instalments of actions, and the time of a hit, by a clock of the test's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.runtime.hosted.sanitized import RUNTIME, gcc

HERE = Path(__file__).parent
SLOT = RUNTIME / "hosted/script_slot.c"  # a writable sw_script
EXCEEDED = "MAXACTION exceeded"
MS = 1_000_000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("charge") / "charge"
    gcc("-g", "-O1", HERE / "charge.c", RUNTIME / "kernel/lib/charge.c", SLOT, "-o", made)
    return made


def charge(program: Path, actions: int, max_time: int, *steps: str) -> tuple[int, int, str]:
    """The looks at the clock, the steps that were paid, and the error."""
    argv = [str(program), str(actions), str(max_time), *steps]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    looks, paid, error = done.stdout.rstrip("\n").split(" ", 2)
    return int(looks), int(paid), error


@pytest.mark.parametrize(
    ("actions", "steps", "wanted"),
    [
        (1000, ["100", "100", "56"], (0, 3, "")),  # a cheap hit reads no clock
        (1000, ["257"], (1, 1, "")),
        (1000, ["1000"], (1, 1, "")),
        (1000, ["1001"], (0, 0, EXCEEDED)),
        (1000, ["999", "1"], (1, 2, "")),
        (1000, ["999", "2", "1"], (1, 1, EXCEEDED)),
        (100, ["101", "1", "1"], (0, 0, EXCEEDED)),
        (2048, ["256"] * 8, (7, 8, "")),
        (2048, ["256"] * 9, (7, 8, EXCEEDED)),
        (1 << 30, [str(1 << 29), str(1 << 29)], (2, 2, "")),
        (1 << 30, [str((1 << 30) - 1), "1", "1"], (1, 2, EXCEEDED)),
    ],
)
def test_a_hit_has_its_actions_and_no_more(
    program: Path, actions: int, steps: list[str], wanted: tuple[int, int, str]
) -> None:
    assert charge(program, actions, 0, *steps) == wanted


def test_time_ends_a_hit(program: Path) -> None:
    slow = ["256", f"+{2 * MS}"] * 40
    looks, _, error = charge(program, 1_000_000, 0, *slow)
    assert error == "MAXTIME exceeded: the hit has taken 50 ms, -D MAXTIME=ms allows more"
    assert looks == 27  # the first one begins to measure, and 26 times 2 ms are more than 50
    assert charge(program, 1_000_000, 100, *slow)[2] == ""


def test_time_that_a_hypervisor_takes_does_not_end_a_hit(program: Path) -> None:
    stolen = ["256", f"+{10_000 * MS}", *["256", "+1000"] * 20]
    assert charge(program, 1_000_000, 0, *stolen)[2] == ""
    assert charge(program, 1_000_000, 0, "256", f"+{10_000 * MS}", "2000", "256")[2] == ""


def test_a_clock_that_goes_back_does_not_end_a_hit(program: Path) -> None:
    back = ["256", f"+{(1 << 64) - 5}"] * 20
    assert charge(program, 1_000_000, 0, *back)[2] == ""
