# SPDX-License-Identifier: GPL-2.0-or-later
"""A short torture of the default kernel; `make torture` does more. And the judge finds what is wrong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from lab import DEFAULT_KERNEL
from tests.torture import fuzzed, judge, soak
from tests.torture.driver import DISTURBANCES, Torture
from tests.torture.workloads import WORKLOADS

SEED = 3  # two CPUs at first, whose snapshot other tests use
PROCESS, WATCH = (next(w for w in WORKLOADS if w.name == name) for name in ("process", "watch"))
MEMORY = {"MemAvailable": 800_000, "Percpu": 700, "SUnreclaim": 12_000, "VmallocUsed": 8_500}
CLEAN: dict[str, Any] = {
    "workloads": {
        "process": {
            "units": 2,
            "probes": [[6000, 0, 0, 0, 0], [5990, 4, 0, 0, 6], [6000, 0, 10, 0, 0]],
            "counted": {"n0": 6000, "n1": 5990, "n2": 5990},
            "lost": 0,
        }
    },
    "faults": [],
    "left": [],
    "memory": MEMORY,
}


@pytest.mark.lab
def test_a_minute_of_torture_finds_nothing(tmp_path: Path) -> None:
    tally = Torture(DEFAULT_KERNEL, SEED, tmp_path).run(minutes=0.75, seconds=10)
    assert tally.complaints == []
    assert tally.rounds >= 1 and tally.events > 1000


def test_a_clean_round_has_no_complaint() -> None:
    assert judge.complaints([PROCESS], CLEAN, MEMORY) == []


@pytest.mark.parametrize(
    ("hits", "disturbances", "number"),
    [(5990, ["hotplug"], 0), (5990, [], 1), (6001, ["hotplug"], 1)],
)
def test_fewer_events_are_allowed_where_it_is_decided(
    hits: int, disturbances: list[str], number: int
) -> None:
    found = {
        **CLEAN,
        "workloads": {
            "watch": {"units": 30, "probes": [[hits, 0, 0, 0, 0]], "counted": {}, "lost": 0}
        },
    }
    assert len(judge.complaints([WATCH], found, MEMORY, disturbances)) == number


def test_events_are_added_up() -> None:
    assert judge.events(CLEAN) == (18_000, 20)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (("workloads", "process", "units"), 3, "process: probe 0: 9000 events, but 6000 hits"),
        (("workloads", "process", "counted", "n2"), 6000, "the handler ran 6000 times"),
        (("workloads", "process", "probes", 0, 3), 1, "process: probe 0: 1 errors"),
        (("workloads", "process", "probes", 1, 4), 5, "5990 hits + 4 skipped + 5 missed"),
        (("left",), ["sw_x"], "module sw_x is left"),
        (("faults",), ["hotplug does not end"], "hotplug does not end"),
        (("memory", "VmallocUsed"), 9_500, "VmallocUsed grew by 1000 KiB"),
    ],
)
def test_the_judge_finds_what_is_wrong(path: tuple[Any, ...], value: Any, text: str) -> None:
    wrong = copy.deepcopy(CLEAN)
    at: Any = wrong
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    found = judge.complaints([PROCESS], wrong, MEMORY)
    assert found and all(text in each or "probe" in each for each in found)
    assert any(text in each for each in found)


def test_growth_is_that_of_the_middle_and_no_peak() -> None:
    flat = [30_000 + n % 3 for n in range(100)]
    assert soak.growth([29_000, 90_000, *flat]) <= 2
    assert soak.growth([30_000 + 50 * n for n in range(100)]) > soak.ROOM
    assert soak.growth([7]) == 0


def test_every_disturbance_is_one_of_the_guests() -> None:
    source = (Path(__file__).parent / "disturb.py").read_text()
    assert all(f"def {name}(scene: Scene)" in source for name in DISTURBANCES)


def test_generated_programs_are_the_seeds() -> None:
    made = fuzzed.programs(SEED, 3)
    assert made == fuzzed.programs(SEED, 3) != fuzzed.programs(SEED + 1, 3)
    assert all(any(point in each.text for point in fuzzed.POINTS) for each in made)
    assert not any("timer.ms" in each.text for each in made)
