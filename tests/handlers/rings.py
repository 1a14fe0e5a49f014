# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: records that were read and not given back, readers that go, and gates that close in a storm.

rings.py plan.json result.json
plan    {"numbers": path of a module that prints a number for each getppid() of the target,
         "storm": path of one that prints a line for each getppid(), and "bye" at its end,
         "burst": path of one that prints a thousand numbers at its begin, and again at its end}
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.abi.structs import EventKind, State
from runtime.events.decode import Event
from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError
from runtime.reader.snapshot import read

DEADLINE = 120.0


@contextlib.contextmanager
def loaded(path: str) -> Iterator[str]:
    module_loader.load(Path(path))
    try:
        yield Path(path).stem
    finally:
        module_loader.unload(Path(path).stem)


def numbers(events: list[Event]) -> list[int]:
    return [int(e.args[0]) for e in events if e.kind is EventKind.PRINT]  # type: ignore[arg-type]


def everything(device: Device) -> list[Event]:
    found = []
    while more := device.read_events():
        found += more
    return found


def readable(device: Device) -> bool:
    return bool(select.select([device], [], [], 0)[0])


def call(count: int) -> None:
    """Calls from both CPUs in turn."""
    for n in range(count):
        os.sched_setaffinity(0, {n // 7 % 2})
        os.getppid()


def refused(device: Device) -> str:
    try:
        device.read_events()
    except DeviceError as error:
        return os.strerror(error.errno or 0)
    return ""


def held(path: str) -> dict[str, Any]:
    """Three readers of the same 100 records, and then of as many as the rings hold."""
    result: dict[str, Any] = {}
    with loaded(path) as name, Device.open(name) as owner:
        owner.start(0, os.getpid())
        everything(owner)  # the states
        with Device.open(name) as first, Device.open(name) as second:
            first.consumed(0)
            call(100)
            events = everything(first)
            result["first"] = numbers(events)
            result["others"] = [refused(second), refused(owner)]
            result["readable"] = [readable(second)]
            first.consumed(events[40].time_ns)
            first.close()
            result["readable"].append(readable(second))
            result["second"] = numbers(everything(second))
            result["nothing_left"] = numbers(everything(owner))
        before = read(owner).lanes.events_lost
        with Device.open(name) as third:
            third.consumed(0)
            while read(owner).lanes.events_lost == before:
                call(50)
                result["third"] = result.get("third", []) + numbers(everything(third))
            call(50)
        lost = read(owner).lanes.events_lost - before
        again = numbers(everything(owner))
        result["again"] = {"same": again[: len(result["third"])] == result["third"]}
        result["again"] |= {"count": len(again), "rising": again == sorted(set(again))}
        call(50)
        last = numbers(everything(owner))
        result["added_up"] = len(again) + lost + 50 == last[-1] + 1 - 100
        result["room"] = len(last)
        owner.stop()
    return result


def storming(counter: mmap.mmap, cpu: int) -> int:
    """A process that calls without a pause and counts; its pid."""
    child = os.fork()
    if child == 0:
        os.sched_setaffinity(0, {cpu})
        count = 0
        while True:
            for _ in range(100):
                os.getppid()
            count += 100
            counter[8 * cpu : 8 * cpu + 8] = count.to_bytes(8, "little")
    return child


def calls(counter: mmap.mmap, more: int = 0) -> int:
    """The calls of all; waits until there are `more`."""
    deadline = time.monotonic() + DEADLINE
    total = first = sum(int.from_bytes(counter[at : at + 8], "little") for at in (0, 8))
    while total < first + more:
        if time.monotonic() > deadline:
            raise TimeoutError("the storm has stopped")
        time.sleep(0.01)
        total = sum(int.from_bytes(counter[at : at + 8], "little") for at in (0, 8))
    return total


def gates(path: str) -> dict[str, Any]:
    """The storm blows until the module is unloaded."""
    counter = mmap.mmap(-1, 4096)
    children = [storming(counter, cpu) for cpu in (0, 1)]
    result: dict[str, Any] = {}
    try:
        with loaded(path) as name, Device.open(name) as device:
            device.start(0, os.getpid())
            while not read(device).lanes.events_lost:
                calls(counter, 1000)
            began = time.monotonic()
            device.close_gates()
            calls(counter, 200)  # what was in progress has ended
            shot = read(device)
            result["calls"] = calls(counter, 2000)
            later = read(device)
            result["new"] = later.lanes.events - shot.lanes.events
            result["new_lost"] = later.lanes.events_lost - shot.lanes.events_lost
            result["new_hits"] = later.probes[0].hits - shot.probes[0].hits
            result["drained"] = len(everything(device))
            device.stop()
            result["last"] = [e.args for e in everything(device) if e.kind is EventKind.PRINT]
            result["end_lost"] = read(device).lanes.events_lost - later.lanes.events_lost
            result["seconds"] = time.monotonic() - began
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return result


def burst(path: str) -> dict[str, Any]:
    """A module whose begin and end probes print more than a ring holds: with a reader, without one, and with
    a process that is killed while it waits."""
    symbols = Path("/proc/kallsyms").read_text()
    result: dict[str, Any] = {"waits": " migrate_disable\n" in symbols}
    with loaded(path) as name, Device.open(name) as device:
        found: list[int] = []
        for work in (lambda: device.start(0, os.getpid()), device.stop):
            worker = threading.Thread(target=work)
            worker.start()
            while worker.is_alive():
                found += numbers(device.read_events())
            found += numbers(everything(device))
        result["read"] = {"prints": found, "lost": read(device).lanes.events_lost}
    with loaded(path) as name, Device.open(name) as device:
        device.start(0, os.getpid())
        lost = read(device).lanes.events_lost
        result["alone"] = {"prints": len(numbers(everything(device))), "lost": lost}
        device.stop()
    with loaded(path) as name, Device.open(name) as device:
        child = os.fork()
        if child == 0:
            device.start(0, os.getpid())
            os._exit(0)
        deadline = time.monotonic() + DEADLINE
        while device.state is not State.STARTING and time.monotonic() < deadline:
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        result["killed"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) * -1
        everything(device)
    return result


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    result = {"held": held(plan["numbers"]), "gates": gates(plan["storm"])}
    result["burst"] = burst(plan["burst"])
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
