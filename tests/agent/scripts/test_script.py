# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices that always have events leave the event loop its turns, no matter how many they are."""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc

import pytest

from agent.scripts.script import LoadedModule, Owner
from agent.scripts.turns import Turns
from runtime.abi.structs import EventKind, State
from runtime.events.decode import Event, decode
from runtime.reader.device import Device
from tests.agent import standin
from tests.agent.conftest import run
from tests.agent.standin import StandInDevice, StandInKernel
from tests.runtime.images import Plan, Writer, encoded, event


class Endless(StandInDevice):
    """Each read gives one line, and there is always another."""

    def read_events(self, room: int = 1) -> list[Event]:
        return decode(event(EventKind.PRINT, encoded()), self.manifest())


class Slow(Owner):
    """Takes longer for an event than a turn has time, and counts the events between two rounds of the loop."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = [[]]

    def on_event(self, module: LoadedModule, event: Event) -> None:
        time.sleep(0.01)
        self.seen[-1].append(module.name)


@pytest.mark.parametrize("scripts", [1, 5])
def test_all_scripts_together_have_one_turn(scripts: int) -> None:
    kernel = StandInKernel()
    for number in range(scripts):
        kernel.put(standin.manifest("ok 1", f"a{number}"), State.RUNNING)
    devices = [Endless(kernel, name, kernel.loaded[name]) for name in kernel.names()]
    owner = Slow()

    async def work() -> list[list[str]]:
        turns = Turns()
        modules = [LoadedModule(device, owner, turns) for device in devices]
        for device, module in zip(devices, modules, strict=True):
            device.say()  # the descriptor is readable from now on
            module.attach()
        while sum(map(len, owner.seen)) < 3 * scripts:
            owner.seen.append([])
            await asyncio.sleep(0)
        seen = [list(names) for names in owner.seen]
        for module in modules:
            module.detach()
        return seen

    found = run(work())
    for device in devices:
        device.close()
    rounds = [seen for seen in found if seen]
    assert max(map(len, rounds)) == 1
    # one after the other: none waits longer than the others
    names = [name for (name,) in rounds]
    assert all(set(names[at : at + scripts]) == set(names) for at in range(scripts))


def test_a_loaded_module_takes_little_memory() -> None:
    """A hundred scripts are a hundred devices: none keeps a buffer of its own."""
    plan = Plan(lanes=2)
    plan.scalar("hits")
    table = plan.array("reads", {"execname": 16, "cpu": None}, 1000)
    writer = Writer(plan.manifest(), 2)
    writer.used(table, 20)
    for slot in range(20):
        writer.slot(table, slot, 2, (f"process {slot}", slot))

    def load() -> LoadedModule:
        descriptor = os.memfd_create("module")
        os.write(descriptor, writer.data)
        module = LoadedModule(Device(descriptor, "x"), Owner(), turns)
        assert len(module.snapshot().tables[1]) == 20
        return module

    turns = Turns()
    loaded = [load()]  # what is made once is not counted
    tracemalloc.start()
    try:
        loaded += [load() for _ in range(20)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / 20 < 40_000
    for module in loaded:
        module.device.close()
