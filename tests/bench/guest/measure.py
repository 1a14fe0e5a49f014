# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: the cost of one event, as time of many reads with a probe attached.

    measure.py plan.json loop.so
    plan    [{"name", "kind": "nothing" | "script" | "module" | "command", "reads": 200000,
              "most": events that may be counted, ...}]
    writes a line of JSON for each step as it ends:
            {"name", "ns": time a read, "counted": events in that time, "fault": None or text}

Each step also reports the number of events that its tables counted meanwhile, so that only work that was done
is measured. Reads happen in this process, which reads nothing else between the two readings of the tables.
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


class Loop:
    """Reads of one byte of /dev/zero."""

    def __init__(self, library: str) -> None:
        function = ctypes.CDLL(library).timed_reads
        function.restype = ctypes.c_uint64
        function.argtypes = (ctypes.c_int, ctypes.c_uint64)
        zero = os.open("/dev/zero", os.O_RDONLY)
        self._timed_reads: Callable[[int], int] = lambda n: int(function(zero, n))

    def run(self, reads: int) -> int:
        """Do the reads. Returns nanoseconds."""
        ns = self._timed_reads(reads)
        if not ns:
            raise RuntimeError("a read of /dev/zero failed")
        return ns


def measure(step: dict[str, Any], loop: Loop) -> dict[str, Any]:
    kind, reads = step["kind"], step["reads"]
    if kind == "command":
        return with_command(step, loop)
    placed = {"nothing": nothing, "script": script, "module": module}[kind]
    with placed(step) as count:
        loop.run(WARM_UP)
        count()
        found = []
        for _ in range(WINDOWS):
            before = count()
            ns = loop.run(reads)
            found.append((ns, count() - before))
    # other processes that ran meanwhile can only add: events beyond `most`, or time
    undisturbed = [each for each in found if each[1] <= step["most"]]
    ns, counted = min(undisturbed or found)
    return {"ns": ns / reads, "counted": counted}


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
    """A hand-written module: {"path", "module"}; reading its number is an event, too."""
    subprocess.run(["insmod", step["path"]], check=True)
    try:
        fd = os.open(f"/sys/module/{step['module']}/parameters/events", os.O_RDONLY)
        yield lambda: int(os.pread(fd, 32, 0))
        os.close(fd)
    finally:
        subprocess.run(["rmmod", step["module"]], check=True)


def with_command(step: dict[str, Any], loop: Loop) -> dict[str, Any]:
    """A peer's program: {"argv", "ready", "counted"}.

    `ready`: text that it writes when it starts to work; SIGINT makes it write its count: the sum of all
    numbers in that output which the regular expression `counted` finds.
    """
    log = Path("/tmp/peer.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            step["argv"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while step["ready"] not in log.read_text(errors="replace"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"it never got ready:\n{log.read_text(errors='replace')}")
            time.sleep(0.5)
        # its first output may precede the attachment of the hook: the count shows it
        time.sleep(5)
        before = log.stat().st_size
        loop.run(WARM_UP)
        ns = loop.run(step["reads"])
        os.killpg(process.pid, signal.SIGINT)
        process.wait(PATIENCE)
        said = log.read_bytes()[before:].decode(errors="replace")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    counted = sum(int(number) for number in re.findall(step["counted"], said))
    return {"ns": ns / step["reads"], "counted": counted - WARM_UP, "said": said[-2000:]}


def main() -> int:
    loop = Loop(sys.argv[2])
    for step in json.loads(Path(sys.argv[1]).read_text()):
        result: dict[str, Any] = {"name": step["name"], "fault": None}
        try:
            result |= measure(step, loop)
        except Exception:  # reported with the step; the others go on
            result["fault"] = traceback.format_exc()
        print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
