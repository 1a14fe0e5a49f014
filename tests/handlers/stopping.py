# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: how often a stop waits for the kernel, and what a SIGKILL does to a start.

stopping.py plan.json result.json
plan    {"few": path, "many": path, "functions": path, "killed": {name: path}}
result  {"few": {function: calls while stopping}, "many": ..., "functions": ..., "seconds": {name: of the stop},
         "killed": {name: {"state", "failed", "armed": probes and functions}}}
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from runtime.abi.structs import State
from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read

TRACING = Path("/sys/kernel/tracing")
WAITS = ("synchronize_rcu", "synchronize_srcu", "synchronize_rcu_tasks")
DEADLINE = 120.0


def profile() -> dict[str, int]:
    """Calls of each of WAITS so far, by kprobe events of the kernel's own."""
    rows = (line.split() for line in (TRACING / "kprobe_profile").read_text().splitlines())
    return {row[0].removeprefix("wait_"): int(row[1]) for row in rows}


def stop(path: Path) -> tuple[dict[str, int], float]:
    module_loader.load(path)
    try:
        with Device.open(path.stem) as device:
            device.start(1000, os.getpid())
            before, began = profile(), time.monotonic()
            device.stop()
            seconds = time.monotonic() - began
            return {name: calls - before[name] for name, calls in profile().items()}, seconds
    finally:
        module_loader.unload(path.stem)


def kill(path: Path) -> dict[str, Any]:
    """A process is killed while it starts the module's probes; another one has the device open."""
    module_loader.load(path)
    try:
        with Device.open(path.stem) as device:
            child = os.fork()
            if child == 0:
                try:
                    device.start(1000, os.getpid())
                finally:
                    os._exit(0)
            deadline = time.monotonic() + DEADLINE
            while device.header().state == State.LOADED and time.monotonic() < deadline:
                time.sleep(0.001)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            header = device.header()
            armed = sum(probe.armed for probe in read(device).probes)
            return {"state": header.state, "failed": bool(header.failed), "armed": armed}
    finally:
        module_loader.unload(path.stem)


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    if not (TRACING / "kprobe_events").exists():
        os.system("mount -t tracefs tracefs /sys/kernel/tracing")
    os.system("modprobe loop")
    events = TRACING / "kprobe_events"
    events.write_text("".join(f"p:wait_{name} {name}\n" for name in WAITS))
    (TRACING / "events/kprobes/enable").write_text("1")
    result: dict[str, Any] = {"seconds": {}}
    for name in ("few", "many", "functions"):
        result[name], result["seconds"][name] = stop(Path(plan[name]))
    (TRACING / "events/kprobes/enable").write_text("0")
    events.write_text("")
    result["killed"] = {name: kill(Path(path)) for name, path in plan["killed"].items()}
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
