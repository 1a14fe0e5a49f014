# SPDX-License-Identifier: GPL-2.0-or-later
"""A device that always has events leaves the event loop its turns."""

from __future__ import annotations

import asyncio
import time

from agent.scripts.script import LoadedModule
from runtime.abi.structs import EventKind, State
from runtime.events.decode import Event, decode
from tests.agent import standin
from tests.agent.conftest import run
from tests.agent.standin import StandInDevice, StandInKernel
from tests.runtime.images import encoded, event


class Endless(StandInDevice):
    """Each read gives one line, and there is always another."""

    def read_events(self, room: int = 1) -> list[Event]:
        return decode(event(EventKind.PRINT, encoded()), self.manifest())


def test_reading_ends_its_turn_by_time() -> None:
    kernel = StandInKernel()
    kernel.put(standin.manifest("ok 1", "a"), State.RUNNING)
    (name,) = kernel.names()
    device = Endless(kernel, name, kernel.loaded[name])
    seen: list[int] = []  # lines of each turn

    def slowly(module: LoadedModule, line: Event) -> None:
        time.sleep(0.05)  # longer than a turn
        seen[-1] += 1

    async def work() -> None:
        module = LoadedModule(device, slowly, lambda _: None)
        device.say()  # the descriptor is readable from now on
        module.attach()
        for _ in range(3):
            seen.append(0)
            await asyncio.sleep(0)
        module.detach()

    run(work())
    device.close()
    assert max(seen) == 1
