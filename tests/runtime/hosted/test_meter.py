# SPDX-License-Identifier: GPL-2.0-or-later
"""The meters in a normal process, under sanitizers and a clock that the test moves: estimates and budgets."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from runtime.abi.structs import Breach
from tests.runtime.hosted.sanitized import RUNTIME, gcc

HERE = Path(__file__).parent
SLOT = 100_000_000  # ns


@dataclass(frozen=True, slots=True)
class Hits:
    """Equal hits in a row. `looks`: pieces of work that each pays for."""

    cost: int
    number: int = 1
    lane: int = 0
    slot: int = 1000
    probe: int = 0
    looks: int = 0


@dataclass(frozen=True, slots=True)
class Disarmed:
    hits: int
    breach: Breach
    probe: int
    value: int
    limit: int


@dataclass(frozen=True, slots=True)
class Found:
    disarmed: list[Disarmed]
    cpu_ns: list[int]
    hits: list[int]
    timed: list[int]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("meter") / "meter"
    gcc("-g", "-O1", HERE / "meter.c", RUNTIME / "kernel/core/meter.c", "-o", output)
    return output


def run(
    program: Path, hits: Iterable[Hits], budgets: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> Found:
    lines = ["budgets {} {} {} {}".format(*budgets)]
    lines += [f"hits {h.number} {h.lane} {h.slot} {h.probe} {h.cost} {h.looks}" for h in hits]
    done = subprocess.run(
        [program], input="\n".join(lines), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    disarmed, probes = [], []
    for line in done.stdout.splitlines():
        word, *numbers = line.split()
        values = [int(number) for number in numbers]
        if word == "probe":
            probes.append(values)
        else:
            disarmed.append(Disarmed(values[0], Breach(values[1]), *values[2:]))
    cpu_ns, counted, timed = (list(column) for column in zip(*probes, strict=True))
    return Found(disarmed, cpu_ns, counted, timed)


def spread(costs: Iterable[int], probe: int = 0) -> list[Hits]:
    return [Hits(cost, probe=probe) for cost in costs]


# -- estimates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", [0, 1, 40, 3_000, 40_000, 2_000_000])
def test_a_constant_cost(program: Path, cost: int) -> None:
    number = 200_000 if cost < 10_000 else 2_000
    found = run(program, [Hits(cost, number)])
    assert found.hits[0] == number
    # the hits since the last timed one are not added yet: a millisecond at most
    assert number * cost - 1_100_000 <= found.cpu_ns[0] <= number * cost
    gap = number / found.timed[0]
    assert gap == pytest.approx(max(1, min(256, 1e6 / max(cost, 1)) * 3 / 4), rel=0.4)


def test_each_expensive_hit_is_timed(program: Path) -> None:
    found = run(program, [Hits(1_000_000, 50)])
    assert (found.timed[0], found.cpu_ns[0]) == (50, 50_000_000)


def test_varying_costs(program: Path) -> None:
    """Costs over two orders of magnitude, in no order: 500 samples err by some percent, but not always
    in the same direction."""
    errors = []
    for seed in range(8):
        source = Random(seed)
        costs = [int(50 * 2 ** source.uniform(0, 8)) for _ in range(100_000)]
        errors.append(run(program, spread(costs)).cpu_ns[0] / sum(costs) - 1)
    assert max(map(abs, errors)) < 0.2
    assert abs(sum(errors)) / len(errors) < 0.04


@pytest.mark.parametrize("period", [2, 64, 128, 192, 256])
def test_a_pattern_of_the_hits(program: Path, period: int) -> None:
    """Every n-th hit is dearer: gaps that never changed would see always the same ones."""
    costs = [2_000 if n % period else 60 for n in range(100_000)]
    costs = costs if period == 2 else [60 if n % period else 12_000 for n in range(200_000)]
    found = run(program, spread(costs))
    assert found.cpu_ns[0] == pytest.approx(sum(costs), rel=0.25)


def test_probes_do_not_mix(program: Path) -> None:
    hits = [Hits(100 * 10**probe, 100, probe=probe) for _ in range(500) for probe in range(3)]
    found = run(program, hits)
    for probe in range(3):
        assert found.cpu_ns[probe] == pytest.approx(50_000 * 100 * 10**probe, rel=0.05)


def test_lanes_have_their_own_meters(program: Path) -> None:
    found = run(program, [Hits(1_000, 10_000, lane=lane) for lane in range(3)])
    assert found.cpu_ns[0] == pytest.approx(30_000 * 1_000, rel=0.05)


def test_a_theft_of_time_counts_once(program: Path) -> None:
    """Each twentieth millisecond somebody takes 5 ms from the hit that runs then."""
    costs = [200] * 100_000
    stolen = range(5_000, 100_000, 10_000)
    for n in stolen:
        costs[n] += 5_000_000
    everywhere = [[*costs[n:], *costs[:n]] for n in range(0, 3_000, 37)]
    for some in everywhere[:20]:
        found = run(program, spread(some))
        # 20 us of it may be multiplied by the gap
        assert found.cpu_ns[0] <= sum(some) + len(stolen) * 256 * 22_000 / 100
        assert found.cpu_ns[0] >= 200 * 90_000


def test_work_is_seen_at_once(program: Path) -> None:
    """One hit of a thousand is expensive, and says so: it is timed, and counts for itself."""
    hits = [hit for _ in range(100) for hit in (Hits(60, 999), Hits(500_000, looks=40))]
    found = run(program, hits)
    assert found.cpu_ns[0] == pytest.approx(100 * (999 * 60 + 500_000), rel=0.05)


def test_time_before_the_first_look(program: Path) -> None:
    """Hits with 1 to 10 looks, none of which was chosen to be timed: the time before a look counts."""
    for looks in (2, 5, 10):
        hits = [hit for _ in range(100) for hit in (Hits(60, 20), Hits(50_000, looks=looks))]
        found = run(program, hits)
        assert found.cpu_ns[0] == pytest.approx(100 * (20 * 60 + 50_000), rel=0.05)


def test_an_expensive_handler_that_was_cheap(program: Path) -> None:
    """Without a look, it takes one gap to notice it; the hits from then on are all there."""
    found = run(program, [Hits(60, 10_000), Hits(400_000, 1_000)])
    assert found.cpu_ns[0] >= 0.7 * 400_000 * 1_000
    assert found.cpu_ns[0] <= 10_000 * 60 + 400_000 * 1_000
    with_looks = run(program, [Hits(60, 10_000), Hits(400_000, 1_000, looks=20)])
    assert with_looks.cpu_ns[0] == pytest.approx(10_000 * 60 + 400_000 * 1_000, rel=0.01)


# -- budgets ------------------------------------------------------------------------------------


def seconds(share: float, count: int, *, cost: int = 20_000, lanes: int = 1) -> list[Hits]:
    """Hits that take a share of each CPU, slot by slot."""
    number = round(share * SLOT / cost)
    return [
        Hits(cost, number, lane=lane, slot=1_000 + slot)
        for slot in range(10 * count)
        for lane in range(lanes)
    ]


def test_no_budgets_no_breach(program: Path) -> None:
    assert run(program, seconds(1.0, 3, lanes=3)).disarmed == []


@pytest.mark.parametrize("cost", [500, 20_000, 3_000_000])
def test_one_cpu(program: Path, cost: int) -> None:
    """10 % of a CPU: less is fine for ever; a storm ends after 100 ms of work, at most a gap later."""
    budgets = (0, 100_000, 0, 0)
    assert run(program, seconds(0.09, 5, cost=cost), budgets).disarmed == []
    over = run(program, seconds(0.12, 5, cost=cost), budgets).disarmed
    assert over and over[0].breach is Breach.ONE_CPU
    assert 100_000_000 < over[0].hits * cost < 1.2 * SLOT + 2 * cost + 1_000_000
    storm = run(program, seconds(1.0, 1, cost=cost), budgets).disarmed
    assert storm[0].breach is Breach.ONE_CPU and storm[0].probe == 0
    assert SLOT < storm[0].hits * cost <= SLOT + max(1_000_000, 2 * cost)
    assert storm[0].limit == 100_000
    assert storm[0].value == pytest.approx(100_000, rel=0.04)


def test_a_second_is_forgotten(program: Path) -> None:
    """90 ms each 1.0 s is 9 %; each 0.9 s it is 10 %, of which a second has two."""
    budgets = (0, 100_000, 0, 0)
    rare = [Hits(10_000, 9_000, slot=1_000 + 10 * n) for n in range(10)]
    assert run(program, rare, budgets).disarmed == []
    often = [Hits(10_000, 9_000, slot=1_000 + 9 * n) for n in range(10)]
    assert run(program, often, budgets).disarmed


def test_all_cpus_together(program: Path) -> None:
    """5 % of three CPUs: 15 % of one of them is as much, and is seen in the next slot."""
    budgets = (50_000, 0, 0, 0)
    assert run(program, seconds(0.14, 3), budgets).disarmed == []
    assert run(program, seconds(0.045, 3, lanes=3), budgets).disarmed == []
    for hits in (seconds(0.16, 3), seconds(0.06, 3, lanes=3)):
        found = run(program, hits, budgets).disarmed[0]
        assert found.breach is Breach.CPU
        assert found.limit == 50_000 < found.value < 60_000
    storm = run(program, seconds(1.0, 1, lanes=3), budgets).disarmed[0]
    assert storm.hits * 20_000 <= 2.1 * SLOT * 3


def test_hits_a_second(program: Path) -> None:
    budgets = (0, 0, 0, 50_000)
    few = [Hits(10, 4_800, slot=1_000 + n) for n in range(40)]
    assert run(program, few, budgets).disarmed == []
    many = [Hits(10, 1_800, lane=lane, slot=1_000 + n) for n in range(40) for lane in range(3)]
    found = run(program, many, budgets).disarmed[0]
    assert found.breach is Breach.HIT_RATE
    assert found.limit == 50_000 < found.value < 60_000


def test_the_time_of_a_hit(program: Path) -> None:
    budgets = (0, 0, 1_000_000, 0)
    assert run(program, [Hits(900_000, 100)], budgets).disarmed == []
    found = run(program, [Hits(100, 1_000), Hits(1_500_000, 300)], budgets).disarmed[0]
    assert (found.breach, found.value, found.limit) == (Breach.HIT_TIME, 1_500_000, 1_000_000)
    assert found.hits <= 1_000 + 256 + 1, "the first one that is timed, and the next one"
    looking = [Hits(100, 1_000), Hits(1_500_000, 3, looks=9)]
    assert run(program, looking, budgets).disarmed[0].hits == 1_002


def test_one_long_hit_is_no_evidence(program: Path) -> None:
    """A hypervisor that takes 300 ms disarms nobody; two such hits out of nine do."""
    budgets = (50_000, 100_000, 1_000_000, 0)
    once = [Hits(500_000, 20), Hits(300_000_000), Hits(500_000, 40)]
    assert run(program, once, budgets).disarmed == []
    twice = [Hits(500_000, 20), Hits(300_000_000), Hits(500_000, 5), Hits(300_000_000)]
    assert [each.hits for each in run(program, twice, budgets).disarmed] == [27]
    apart = [Hits(500_000, 20), Hits(300_000_000), Hits(500_000, 12), Hits(300_000_000)]
    assert run(program, apart, budgets).disarmed == []


def test_the_costliest_probe_is_named(program: Path) -> None:
    """Not the one whose hit was over the edge, nor one that was expensive long ago."""
    old = [Hits(500_000, 100, probe=2, slot=1_000)]
    new = [
        hit
        for slot in range(1_050, 1_070)
        for hit in (
            Hits(50_000, 220, probe=1, slot=slot),
            Hits(10_000, 20, probe=0, slot=slot),
        )
    ]
    found = run(program, [*old, *new], (0, 100_000, 0, 0)).disarmed
    assert found and {each.probe for each in found} == {1}


def test_armed_again_it_starts_from_nothing(program: Path) -> None:
    """The program arms the script after each disarming: a storm needs another 100 ms each time."""
    found = run(program, seconds(1.0, 1), (0, 100_000, 0, 0)).disarmed
    apart = [b.hits - a.hits for a, b in itertools.pairwise(found)]
    assert len(found) == 9
    assert all(100_000_000 < 20_000 * hits <= 102_000_000 for hits in apart)
