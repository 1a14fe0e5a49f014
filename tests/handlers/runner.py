# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: loads each module of a plan, runs its trigger, and reports the results.

    runner.py plan.json result.json
    plan    [{"name", "module", "path", "trigger": [argv], "until_exit": bool, "errors": int}]
    result  {name: {"output", "transcript", "errors", "tables", "probes", "lanes", "state"}}

The trigger starts only when the probes are armed, and its process id is the scripts' target().
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.abi.manifest import Table
from runtime.abi.structs import UNLIMITED_ERRORS, EventKind, State
from runtime.events import decode as events
from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError, Image
from runtime.reader.snapshot import read
from runtime.reader.table_rows import counts_of
from runtime.support.record import asdict

DEADLINE = 60.0


def run(case: dict[str, Any]) -> dict[str, Any]:
    """One case from loading to unloading."""
    module_loader.load(Path(case["path"]))
    try:
        with Device.open(case["module"]) as device:
            return measure(device, case)
    finally:
        module_loader.unload(case["module"])


def measure(device: Device, case: dict[str, Any]) -> dict[str, Any]:
    child = os.fork()
    if child == 0:
        argv = case["trigger"] or ["/bin/true"]
        try:
            os.kill(os.getpid(), signal.SIGSTOP)
            os.execv(argv[0], argv)
        finally:
            os._exit(127)
    os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOWAIT)
    found: list[events.Event] = []
    errors = case.get("errors")
    device.start(UNLIMITED_ERRORS if errors is None else errors, child)
    os.kill(child, signal.SIGCONT)
    deadline = time.monotonic() + DEADLINE
    alive = True
    while alive or (case["until_exit"] and device.header().state == State.RUNNING):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{case['name']}: not done after {DEADLINE:.0f} s")
        if device in select.select([device], [], [], 0.02)[0]:
            found += device.read_events()
        if alive:
            done, status = os.waitpid(child, os.WNOHANG)
            alive = done == 0
            if not alive and os.waitstatus_to_exitcode(status):
                raise RuntimeError(f"the trigger ended with status {status}")
    device.stop()
    while more := device.read_events():
        found += more
    device.sync()
    return report(device, found)


def report(device: Device, found: list[events.Event]) -> dict[str, Any]:
    manifest = device.manifest()
    snapshot = read(device)
    tables = {
        table.table.name: [
            [list(key), value if isinstance(value, int | str) else vars_of(value)]
            for key, value in zip(table.keys, table.values, strict=True)
        ]
        for table in snapshot.tables
    }
    return {
        "output": "".join(events.text(e, manifest) for e in found if e.kind == EventKind.PRINT),
        "transcript": events.transcript(found, manifest),
        "errors": [events.text(e, manifest) for e in found if e.kind == EventKind.ERROR],
        "tables": tables,
        "adds_up": adds_up(device),
        "dropped": {t.table.name: t.dropped for t in snapshot.tables if t.dropped},
        "probes": [
            [p.hits, p.skipped_reentrant, p.skipped_lock, p.errors, p.missed]
            for p in snapshot.probes
        ],
        "lanes": [snapshot.lanes.events, snapshot.lanes.events_lost, snapshot.lanes.strings_cut],
        "state": int(snapshot.header.state),
    }


def adds_up(device: Device) -> bool:
    """Whether the module's own sums over lanes equal those of the mapping, which no handler changes now."""
    count = device.manifest().lane_size // 8
    return (
        refused(lambda: device.sums(8, count))  # past the end
        and device.sums(0, count) == Image.sums(device, 0, count)
        and all(doubles_add_up(device, table) for table in device.manifest().tables)
    )


def doubles_add_up(device: Device, table: Table) -> bool:
    """The same of the doubles that the module makes, which Python makes here of the mapping's words."""
    counts = counts_of(table)
    if counts is None:
        return True
    words, number = table.row_size // 8, counts.stop - counts.start
    nr_rows = table.slots.rows if table.slots is not None else 1
    found = device.doubles(table.rows, nr_rows, words, counts.start, number)
    assert found is not None
    expected, filled = b"", set()
    for n in range(nr_rows):
        row = Image.sums(device, table.rows + n * table.row_size, words)
        seen = struct.unpack(f"{words}q", row)[counts]
        made = struct.pack(f"{number + 1}d", *seen, sum(seen))
        expected += row[: 8 * counts.start] + made + row[8 * counts.stop + 8 :]
        filled |= {i for i, count in enumerate(seen) if count}
    most = device.manifest().lane_size // table.row_size
    return (
        found.rows == expected
        and (found.begin, found.end) == (min(filled, default=number), max(filled, default=-1) + 1)
        and refused(lambda: device.doubles(table.rows, most + 1, words, 0, 1))
        and refused(lambda: device.doubles(table.rows, 0, 1 << 31, 0, 1))
        and refused(lambda: device.doubles(table.rows, 1, words, words, 0))
        and refused(lambda: device.doubles(table.rows, 1, words, 1, words - 1))
        and refused(lambda: device.doubles(table.rows + 4, 1, words, 0, 1))
    )


def refused(request: Callable[[], object]) -> bool:
    try:
        request()
    except DeviceError as error:
        return error.errno == errno.EINVAL
    return False


def vars_of(value: object) -> dict[str, Any]:
    return asdict(value)


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    results = {}
    for case in plan:
        print(case["name"], file=sys.stderr, flush=True)
        try:
            results[case["name"]] = run(case)
        except Exception:  # reported with the case; the others go on
            results[case["name"]] = {"fault": traceback.format_exc()}
    Path(sys.argv[2]).write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
