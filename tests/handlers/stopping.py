# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: how often a stop waits for the kernel, and what a SIGKILL does to a start.

stopping.py plan.json result.json
plan    {"stopped": {name: path}, "started": path, "killed": {name: path}}
result  {"waits": {name: {function: calls while stopping}}, "seconds": {name: of the stop},
         "trampolines": those that are left, "started": seconds of the start,
         "killed": {name: {"state", "failed", "armed": probes and functions}}}
"""

from __future__ import annotations

import json
import os
import re
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
WAITS = (
    "synchronize_rcu",
    "synchronize_srcu",
    "synchronize_rcu_tasks",
    "synchronize_rcu_tasks_rude",
    "synchronize_rcu_expedited",
)
SYMBOLS = Path("/proc/kallsyms")
DEADLINE = 120.0
MOST_KILLS = 10


def waits() -> dict[str, int]:
    """This process's calls of each of WAITS since the trace was cleared, by kprobe events of the kernel's own."""
    found = re.findall(r": wait_(\w+): ", (TRACING / "trace").read_text())
    calls = {name: found.count(name) for name in WAITS}
    calls["synchronize_rcu"] -= calls.pop("synchronize_rcu_expedited")  # one calls the other
    return calls


def stop(path: Path) -> tuple[dict[str, int], float]:
    module_loader.load(path)
    try:
        with Device.open(path.stem) as device:
            device.start(1000, os.getpid())
            (TRACING / "trace").write_text("")
            began = time.monotonic()
            device.stop()
            seconds = time.monotonic() - began
            return waits(), seconds
    finally:
        module_loader.unload(path.stem)


def trampolines() -> int:
    """Those that ftrace has made for hooks."""
    return SYMBOLS.read_text().count("[__builtin__ftrace]")


def start(path: Path) -> float:
    """Seconds that it takes."""
    module_loader.load(path)
    try:
        with Device.open(path.stem) as device:
            began = time.monotonic()
            device.start(1000, os.getpid())
            seconds = time.monotonic() - began
            device.stop()
            return seconds
    finally:
        module_loader.unload(path.stem)


def kill(path: Path) -> dict[str, Any]:
    """A process is killed while it starts the module's probes; another one has the device open. A process that had
    started them before this one could kill it is no answer."""
    for _ in range(MOST_KILLS):
        result = kill_once(path)
        if result["state"] != State.RUNNING:
            break
    return result


def kill_once(path: Path) -> dict[str, Any]:
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
    known = {line.split()[2] for line in SYMBOLS.read_text().splitlines()}
    events.write_text("".join(f"p:wait_{name} {name}\n" for name in WAITS if name in known))
    (TRACING / "events/kprobes/filter").write_text(f"common_pid == {os.getpid()}")
    (TRACING / "events/kprobes/enable").write_text("1")
    result: dict[str, Any] = {"waits": {}, "seconds": {}}
    before = trampolines()
    for name, path in plan["stopped"].items():
        result["waits"][name], result["seconds"][name] = stop(Path(path))
    result["trampolines"] = trampolines() - before
    result["started"] = start(Path(plan["started"]))
    (TRACING / "events/kprobes/enable").write_text("0")
    events.write_text("")
    result["killed"] = {name: kill(Path(path)) for name, path in plan["killed"].items()}
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
