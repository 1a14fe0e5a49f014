# SPDX-License-Identifier: GPL-2.0-or-later
"""When events are read, and when their records are given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from agent.scripts.event_reader import EventReader
from agent.scripts.script import LoadedModule, Owner
from agent.scripts.turns import Turns
from runtime.abi.structs import NO_TIME, EventKind, State
from runtime.events.decode import Event
from tests.agent import standin
from tests.agent.conftest import run, until
from tests.agent.standin import StandInDevice, StandInKernel

PIECE = 1 << 15


class Pieces(StandInDevice):
    """Each read returns the next of `pieces`; one read of many bytes each."""

    pieces: list[list[Event]]
    reads = 0

    def read_events(self, room: int = PIECE) -> list[Event]:
        self.reads += 1
        found = self.pieces.pop(0) if self.pieces else []
        self.read_size = PIECE if found else 0
        return found


class Log:
    """A target that is written when the test says so."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.waiting: list[Callable[[], None]] = []
        self.slow = False
        self.open: int | None = None  # the time of the oldest incomplete line
        self.cuts: list[int] = []

    def add(self, event: Event) -> None:
        self.got.append(event.time_ns)

    def written(self, done: Callable[[], None]) -> bool:
        if self.slow:
            self.waiting.append(done)
        return not self.slow

    def oldest(self) -> int | None:
        return self.open

    def cut(self, before: int) -> None:
        self.cuts.append(before)
        self.open = None


def events(*times: int) -> list[Event]:
    return [Event(EventKind.PRINT, 0, time, None, 0, ()) for time in times]


@pytest.fixture
def device() -> Iterator[Pieces]:
    kernel = StandInKernel()
    kernel.put(standin.manifest("ok 1", "a"), State.RUNNING)
    (name,) = kernel.names()
    found = Pieces(kernel, name, kernel.loaded[name])
    found.pieces = []
    yield found
    found.close()


def reading(device: Pieces, log: Log, errors: list[str] | None = None) -> EventReader:
    failed = errors if errors is not None else []
    reader = EventReader(device, Turns(), log, lambda: None, failed.append)
    reader.attach()
    device.say()  # the descriptor is readable from now on
    return reader


def test_nothing_is_read_before_the_last_piece_is_written(device: Pieces) -> None:
    log = Log()
    device.pieces = [events(1, 2), events(3), events(4)]

    async def work() -> None:
        log.slow = True
        reader = reading(device, log)
        await until(lambda: log.waiting)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (log.got, device.reads, device.kernel.consumed) == ([1, 2], 1, [0])
        for times in ([1, 2, 3], [1, 2, 3, 4]):
            log.waiting.pop()()
            await until(lambda: log.waiting)
            assert log.got == times
        log.slow = False
        reader.detach()

    run(work())
    assert device.kernel.consumed[:3] == [0, NO_TIME, NO_TIME]


def test_records_of_an_incomplete_line_are_kept(device: Pieces) -> None:
    log = Log()
    device.pieces = [events(5, 6)]

    async def work() -> None:
        log.open = 6
        reader = reading(device, log)
        await until(lambda: len(device.kernel.consumed) > 1)
        assert device.kernel.consumed == [0, 6]
        reader.settle()  # nothing has changed
        log.open = None  # it was quiet, and the line was logged as it is
        reader.settle()
        reader.settle()
        assert device.kernel.consumed == [0, 6, 6, NO_TIME]
        reader.detach()

    run(work())


def test_a_line_that_stays_incomplete_in_a_storm_is_cut(device: Pieces) -> None:
    """It would keep the records of all CPUs."""
    log = Log()
    device.pieces = [events(10 * n, 10 * n + 1) for n in range(1, 12)]

    async def work() -> None:
        log.open = 11
        reader = reading(device, log)
        await until(lambda: not device.pieces)
        reader.detach()

    run(work())
    assert len(log.cuts) == 1 and log.cuts[0] > 11
    kept = device.kernel.consumed.count(11)
    assert 3 <= kept <= 6  # pieces: more than one section, less than three
    assert device.kernel.consumed[-1] == NO_TIME


@pytest.mark.parametrize(
    ("is_open", "given_back"), [(None, [0, NO_TIME]), (2, [0, 2])], ids=["complete", "incomplete"]
)
def test_what_is_not_written_is_left_for_the_next_reader(
    device: Pieces, is_open: int | None, given_back: list[int]
) -> None:
    """Nothing more is read, and no incomplete line is ended."""
    log = Log()
    device.pieces = [events(1, 2), events(3)]

    async def work() -> None:
        log.slow, log.open = True, is_open
        reader = reading(device, log)
        await until(lambda: log.waiting)
        leaving = asyncio.create_task(reader.leave())
        await asyncio.sleep(0)
        log.slow = False
        log.waiting.pop()()
        await leaving
        assert (log.got, log.cuts) == ([1, 2], [])
        assert sorted(set(device.kernel.consumed)) == given_back

    run(work())


def test_a_log_that_takes_nothing_leaves_all(device: Pieces) -> None:
    log = Log()
    device.pieces = [events(1, 2), events(3)]

    async def work() -> None:
        log.slow = True
        reader = reading(device, log)
        await until(lambda: log.waiting)
        await reader.leave()

    run(work())
    assert (device.kernel.consumed, device.reads) == ([0], 1)


def test_a_log_that_takes_nothing_does_not_delay_the_end_for_long(device: Pieces) -> None:
    log = Log()
    log.slow = True
    device.pieces = [events(1), events(2), events(3)]

    async def work() -> None:
        reader = EventReader(device, Turns(), log, lambda: None, lambda why: None)
        await reader.drain()
        assert device.kernel.consumed == [], "it may be killed yet"

    run(work())
    assert log.got == [1, 2, 3]


def test_the_last_events_are_passed_on(device: Pieces) -> None:
    log = Log()

    async def work() -> None:
        reader = reading(device, log)
        device.pieces = [events(1, 2)]
        reader.detach()

    run(work())
    assert log.got == [1, 2]
    assert device.kernel.consumed == [0, NO_TIME]


def test_a_stop_closes_the_gates_and_empties_the_rings_first(device: Pieces) -> None:
    """What end probes print finds room."""
    steps: list[str] = []

    class Stopping(Pieces):
        def close_gates(self) -> None:
            steps.append("gates")

        def stop(self) -> None:
            steps.append("stop")
            self.pieces.append(events(9))

    class Noting(Owner):
        def on_event(self, module: LoadedModule, event: Event) -> None:
            steps.append(f"event {event.time_ns}")

    device.__class__ = Stopping
    device.pieces = [events(1), events(2)]
    run(LoadedModule(device, Noting(), Turns()).stop())
    assert steps == ["gates", "event 1", "event 2", "stop", "event 9"]


def test_damage_is_reported_once(device: Pieces) -> None:
    errors: list[str] = []

    class Damaged(Pieces):
        def read_events(self, room: int = PIECE) -> list[Event]:
            raise ValueError("damaged event at byte 0 of 8")

    device.__class__ = Damaged

    async def work() -> None:
        reader = reading(device, Log(), errors)
        await until(lambda: errors)
        for _ in range(20):
            await asyncio.sleep(0)
        reader.detach()

    run(work())
    assert errors == ["damaged event at byte 0 of 8"]
