# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: a module whose probes are attached and detached with their conditions.

    arming.py module.ko steps result.json
    result  {"steps": [{"on": what was set, "traced": [functions], "armed": [flags], "hits": [counts]}, ...],
             "tables": {...}, "errors": [...]}

The script's switch is the offset of lseek(SEEK_DATA), which nothing else calls: each step sets it, then waits
until the hooks are as expected.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from runtime.abi.structs import EventKind
from runtime.events import decode as events
from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read

TRACED = Path("/sys/kernel/tracing/enabled_functions")
WATCHED = ("__x64_sys_getpgid", "__x64_sys_getsid", "__x64_sys_umask")
DEADLINE = 30.0


def traced() -> list[str]:
    """Watched functions that a hook of ftrace (or a kprobe based on it) is attached to."""
    words = {line.split()[0] for line in TRACED.read_text().splitlines() if line}
    return [name for name in WATCHED if name in words]


def calls(count: int) -> None:
    for _ in range(count):
        os.getpgid(0)
        os.getsid(0)
        os.umask(0o022)


def step(
    device: Device, file: int, switch: int, wanted: list[str], armed: list[bool]
) -> dict[str, Any]:
    os.lseek(file, switch, os.SEEK_DATA)
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        if traced() == wanted and [p.armed for p in read(device).probes] == armed:
            break
        time.sleep(0.01)
    calls(10)
    snapshot = read(device)
    return {
        "on": switch,
        "traced": traced(),
        "armed": [p.armed for p in snapshot.probes],
        "hits": [p.hits for p in snapshot.probes],
    }


def main() -> int:
    module, steps = Path(sys.argv[1]), json.loads(sys.argv[2])
    if not TRACED.exists():
        os.system("mount -t tracefs tracefs /sys/kernel/tracing")
    module_loader.load(module)
    try:
        with Device.open(module.stem) as device, Path("/etc/passwd").open("rb") as file:
            device.start(1000, os.getpid())
            calls(5)
            found = [step(device, file.fileno(), *one) for one in steps]
            for switch in range(200):  # faster than any hook can be attached and detached
                os.lseek(file.fileno(), switch % 4, os.SEEK_DATA)
                calls(3)
            found.append(step(device, file.fileno(), *steps[-1]))
            device.stop()
            said = []
            while more := device.read_events():
                said += more
            manifest = device.manifest()
            tables = {t.table.name: list(t.values) for t in read(device).tables}
    finally:
        module_loader.unload(module.stem)
    errors = [
        events.text(e, manifest) for e in said if e.kind in (EventKind.ERROR, EventKind.WARNING)
    ]
    Path(sys.argv[3]).write_text(
        json.dumps({"steps": found, "tables": tables, "errors": errors, "left": traced()})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
