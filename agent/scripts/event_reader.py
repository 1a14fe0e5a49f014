# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a device's events in turns, and gives their records back when what they caused is out.

    reader = EventReader(device, turns, target, on_turn, on_error)
    reader.attach()          # target.add(event) for each event, from now on
    await reader.drain()     # all that is left

At most one piece of records is in memory, and no other is read before its lines are written: if the log or
the terminal is slow, records wait in the kernel's rings, which count what does not fit. The records of a
process that is killed are still in the rings (SW_IOC_CONSUMED), and the next reader gets them again. So no
line is lost, and at most those of one piece, and of lines that were not complete, are written twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from agent.scripts.turns import TURN_SECONDS, Turns
from agent.timeout import timeout
from runtime.abi.structs import NO_TIME
from runtime.events.decode import Event
from runtime.reader.device import Device, DeviceError

_JUMP_NS: Final = 1_000_000  # a change of the clocks' distance that makes the module read it again
_PIECE: Final = 1 << 15  # bytes; hundreds of records
_SECTION: Final = 2 * _PIECE  # bytes; an incomplete line may keep twice as many
_PATIENCE: Final = 0.5  # seconds that a log which takes nothing delays the end of a script


class Target(Protocol):
    """What gets the events. `written` returns True if everything that they caused is out; else it calls its
    argument when it is, in any thread. `oldest`: the time of the oldest event that is part of an incomplete
    line. `cut` ends the incomplete lines with an event older than its argument."""

    def add(self, event: Event) -> None: ...

    def written(self, done: Callable[[], None]) -> bool: ...

    def oldest(self) -> int | None: ...

    def cut(self, before: int) -> None: ...


class EventReader:
    """`on_turn` is called after each turn, and `on_error` once, when the device can no longer be read."""

    def __init__(
        self,
        device: Device,
        turns: Turns,
        target: Target,
        on_turn: Callable[[], None],
        on_error: Callable[[str], None],
    ) -> None:
        self._device, self._turns, self._target = device, turns, target
        self._on_turn, self._on_error = on_turn, on_error
        self._loop: asyncio.AbstractEventLoop | None = None
        self._piece: deque[Event] = deque()  # read, and not passed on yet
        self._held = False  # some of what was passed on was not given back
        self._asked = 0  # the number of the last question whether all is written
        self._answered = asyncio.Event()
        self._answered.set()
        self._patience = _PATIENCE
        self._size = 0  # bytes read in this section
        self._sections = (0, 0)  # times at which the last one and this one began
        self._distance = 0  # of the clocks, when the module last read them because of events

    def attach(self) -> None:
        """Read events from now on, in the running event loop, as the device's only reader."""
        self._loop = asyncio.get_running_loop()
        with contextlib.suppress(DeviceError):  # reading fails as well, and is reported
            self._device.consumed(0)
        self._sleep()

    def detach(self) -> None:
        """Read no more after a last turn; what was read is passed on."""
        if self._loop is None:
            return
        self._wake()
        self._loop = None
        self._turns.discard(self._turn)
        with contextlib.suppress(DeviceError, ValueError):
            self._read(time.monotonic() + TURN_SECONDS)
        if self._piece:
            while self._piece:
                self._target.add(self._piece.popleft())
            self._ask()

    async def leave(self) -> None:
        """Read no more, and give back only what is written: the next reader gets the rest."""
        if self._loop is not None:
            self._wake()
            self._loop = None
            self._turns.discard(self._turn)
        await self._until_written()
        while self._piece:
            self._target.add(self._piece.popleft())
        self._ask()
        await self._until_written()

    async def _until_written(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with timeout(self._patience):
                await self._answered.wait()

    async def drain(self) -> None:
        """Pass on all that can be read. Raises DeviceError and ValueError."""
        while self._read(time.monotonic() + TURN_SECONDS) or not self._answered.is_set():
            if self._answered.is_set():
                await asyncio.sleep(0)
                continue
            began = time.monotonic()
            try:
                async with timeout(self._patience):
                    await self._answered.wait()
            except TimeoutError:
                self._answered.set()  # the log takes nothing: it counts what it loses
            self._patience = max(self._patience - (time.monotonic() - began), 0)

    def settle(self) -> None:
        """Give back the records of lines that were ended by something else than events."""
        if self._held and not self._piece and self._answered.is_set():
            self._ask()

    def _sleep(self) -> None:
        """Until there are records."""
        if self._loop is not None:
            self._loop.add_reader(self._device.fileno(), self._on_readable)

    def _wake(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._device.fileno())

    def _on_readable(self) -> None:
        self._wake()
        self._turns.add(self._turn)

    def _turn(self, end: float) -> bool:
        try:
            more = self._read(end)
        except (DeviceError, ValueError) as error:
            self._on_error(str(error))
            return False
        if not more and self._answered.is_set():
            self._sleep()
        self._on_turn()
        return more

    def _read(self, end: float) -> bool:
        """Pass on events until `end`; False if there are none, or none before the last ones are written."""
        while self._answered.is_set():
            if not self._piece:
                found = self._device.read_events(_PIECE)
                if not found:
                    return False
                self._piece.extend(found)
                self._follow_clock()
                self._size += self._device.read_size
                if self._size > _SECTION:
                    self._size, self._sections = 0, (self._sections[1], found[0].time_ns)
            while self._piece:
                self._target.add(self._piece.popleft())
                if time.monotonic() >= end:
                    break
            if not self._piece:
                self._ask()
            if time.monotonic() >= end:
                return self._answered.is_set()
        return False

    def _ask(self) -> None:
        """Give the records back when their lines are written, but for those of incomplete lines.

        A line that is still incomplete after a whole section ends here: it would keep all CPUs' records.
        """
        oldest = self._target.oldest()
        if oldest is not None and oldest < self._sections[0]:
            self._target.cut(self._sections[0])
            oldest = self._target.oldest()
        self._held = oldest is not None
        self._asked += 1
        number, before = self._asked, NO_TIME if oldest is None else oldest
        self._answered.clear()
        loop = asyncio.get_running_loop()

        def written() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._answer, number, before)

        if self._target.written(written):
            self._release(before)

    def _answer(self, number: int, before: int) -> None:
        if number != self._asked or self._answered.is_set():
            return  # nobody waits for it any more
        self._release(before)
        if self._loop is not None:
            self._turns.add(self._turn)

    def _follow_clock(self) -> None:
        """Let the module read its `time_offset` again if CLOCK_REALTIME was set, or the machine slept.

        The difference is not used itself, because a time namespace has another CLOCK_MONOTONIC.
        """
        distance = time.time_ns() - time.monotonic_ns()
        if abs(distance - self._distance) > _JUMP_NS:
            with contextlib.suppress(DeviceError):
                self._device.sync()
                self._distance = distance

    def _release(self, before: int) -> None:
        self._answered.set()
        if self._device.fileno() >= 0:
            with contextlib.suppress(DeviceError):
                self._device.consumed(before)
