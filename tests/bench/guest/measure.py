# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: the cost of one event, as time of a loop that makes many with a probe attached.

    measure.py plan.json loop.so
    plan    [{"name", "kind": "nothing" | "script" | "module" | "command", "work": "reads", "clock": "all",
              "events": 200000, "most": events that may be counted, ...}]
    writes a line of JSON for each step as it ends:
            {"name", "ns": time an event, "counted": events in that time, "started": seconds until the
             probe was in place, "fault": None or text}

Each step also reports the number of events that its tables counted meanwhile, so that only work that was done
is measured. The loop runs in this process, which does nothing else between the two readings of the tables.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import Snapshot, SnapshotReader, StatValue

WARM_UP = 2000
WINDOWS = 3  # the output of all of them must fit the ring
PATIENCE = 600.0  # a peer that compiles under emulation


class Loops:
    """The library's loops."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)

    def run(self, step: dict[str, Any], events: int) -> int:
        """Make that many of a step's events. Returns nanoseconds."""
        function = self._library[f"timed_{step['work']}"]
        function.restype = ctypes.c_uint64
        function.argtypes = (ctypes.c_int, ctypes.c_uint64)
        # the time of all processes, or of this thread
        clocks = {"all": time.CLOCK_MONOTONIC, "own": time.CLOCK_THREAD_CPUTIME_ID}
        ns = int(function(clocks[step["clock"]], events))
        if not ns:
            raise RuntimeError(f"the loop of {step['work']} failed")
        return ns


def measure(step: dict[str, Any], loops: Loops) -> dict[str, Any]:
    kind, events = step["kind"], step["events"]
    if kind == "command":
        return with_command(step, loops)
    placed = {"nothing": nothing, "script": script, "module": module}[kind]
    begun = time.monotonic()
    with placed(step) as count:
        started = time.monotonic() - begun
        loops.run(step, warm_up(step))
        count()
        found = []
        for _ in range(WINDOWS):
            before = count()
            ns = loops.run(step, events)
            found.append((ns, count() - before))
    # other processes that ran meanwhile can only add: events beyond `most`, or time
    undisturbed = [each for each in found if each[1] <= step["most"]]
    ns, counted = min(undisturbed or found)
    return {"ns": ns / events, "counted": counted, "started": started}


def warm_up(step: dict[str, Any]) -> int:
    """An even number of events, for two CPUs."""
    return min(WARM_UP, int(step["events"]) // 20 * 2 + 2)


@contextlib.contextmanager
def nothing(step: dict[str, Any]) -> Iterator[Callable[[], int]]:
    yield lambda: 0


@contextlib.contextmanager
def script(step: dict[str, Any]) -> Iterator[Callable[[], int]]:
    """A module of ours: {"path", "module", "table": name, or None for the events printed}."""
    module_loader.load(Path(step["path"]))
    try:
        with Device.open(step["module"]) as device:
            reader = SnapshotReader(device)
            device.start()
            try:
                yield lambda: events_of(reader.read(), step["table"])
            finally:
                device.stop()
            device.sync()
            check(reader.read())
    finally:
        module_loader.unload(step["module"])


def events_of(snapshot: Snapshot, name: str | None) -> int:
    if name is None:
        return snapshot.lanes.events
    table = next(t for t in snapshot.tables if t.table.name == name)
    return sum(number_of(value) for value in table.values)


def number_of(value: object) -> int:
    if isinstance(value, StatValue):
        return sum(value.buckets) if value.buckets else value.count or 0
    assert isinstance(value, int)
    return value


def check(snapshot: Snapshot) -> None:
    """Raise RuntimeError if anything was lost, because then less than the whole work was measured."""
    for probe in snapshot.probes:
        losses = (probe.skipped_reentrant, probe.skipped_lock, probe.errors, probe.missed)
        if any(losses) or probe.error:
            raise RuntimeError(f"{probe.probe.point}: skipped, locked, errors, missed: {losses}")
    if snapshot.lanes.events_lost:
        raise RuntimeError(f"{snapshot.lanes.events_lost} records were lost")
    if any(table.dropped for table in snapshot.tables):
        raise RuntimeError("an array was full")


@contextlib.contextmanager
def module(step: dict[str, Any]) -> Iterator[Callable[[], int]]:
    """A hand-written module: {"path", "module", "parameters"}; reading its number is an event, too."""
    subprocess.run(["insmod", step["path"], *step["parameters"]], check=True)
    try:
        fd = os.open(f"/sys/module/{step['module']}/parameters/events", os.O_RDONLY)
        yield lambda: int(os.pread(fd, 32, 0))
        os.close(fd)
    finally:
        subprocess.run(["rmmod", step["module"]], check=True)


def with_command(step: dict[str, Any], loops: Loops) -> dict[str, Any]:
    """A peer's program: {"argv", "env", "ready", "counted", "lines"}.

    `ready`: text that it writes when it starts to work; SIGINT makes it write its count: the sum of all
    numbers in that output which the regular expression `counted` finds, or, with `lines`, how often.
    """
    log = Path("/tmp/peer.log")
    begun = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            step["argv"],
            env={**os.environ, **step["env"]},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while step["ready"] not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > begun + PATIENCE:
                said = log.read_text(errors="replace")
                raise RuntimeError(f"it never got ready: {' '.join(said.split())[-300:]}")
            time.sleep(0.1)
        started = time.monotonic() - begun
        # its first output may precede the attachment of the hook: the count shows it
        time.sleep(5)
        before = log.stat().st_size
        loops.run(step, warm_up(step))
        ns = loops.run(step, step["events"])
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
        said = log.read_bytes()[before:].decode(errors="replace")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = re.findall(step["counted"], said)
    counted = (len(found) if step["lines"] else sum(map(int, found))) - warm_up(step)
    ns_each = ns / step["events"]
    return {"ns": ns_each, "counted": counted, "started": started, "said": said[-2000:]}


def main() -> int:
    loops = Loops(sys.argv[2])
    for step in json.loads(Path(sys.argv[1]).read_text()):
        result: dict[str, Any] = {"name": step["name"], "fault": None}
        try:
            result |= measure(step, loops)
        except Exception:  # reported with the step; the others go on
            result["fault"] = traceback.format_exc()
        print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
