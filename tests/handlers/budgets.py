# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: scripts over their budgets.

budgets.py plan.json trigger result.json
plan    {name: {"path", "budgets": [cpu_ppm, one_cpu_ppm, hit_ns, hits_per_second], "storm": [argv of the trigger]}}
result  {name: {"state", "breach", "probe", "value", "limit", "hits": at the end of the storm, "n", "after": hits of
                100 calls while disarmed, "hooked", "again": hits of 100 calls when armed again, "states",
                "ended": output of the end probe, "cpu_ns", "seconds": from the storm's begin to the disarming}}
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from runtime.abi.structs import Budgets, EventKind, State
from runtime.events import decode as events
from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read

TRACED = Path("/sys/kernel/tracing/enabled_functions")
FUNCTION = "sys_getppid"  # the end of its name
DEADLINE = 60.0


def hooked() -> bool:
    return any(
        line.split()[0].endswith(FUNCTION) for line in TRACED.read_text().splitlines() if line
    )


def hits(device: Device) -> int:
    return read(device).probes[0].hits


def call(trigger: str, device: Device, count: int = 100) -> int:
    """The hits of so many calls."""
    before = hits(device)
    subprocess.run([trigger, "getppid", str(count)], check=True)
    return hits(device) - before


def measure(device: Device, case: dict[str, Any], trigger: str) -> dict[str, Any]:
    device.start(budgets=Budgets(*case["budgets"]))
    began = time.time_ns()
    storms = [subprocess.Popen([trigger, *case["storm"]]) for _ in range(case.get("storms", 1))]
    for storm in storms:
        storm.wait()
    header = device.header()
    found: dict[str, Any] = {
        "state": header.state.name,
        "breach": header.breach.name,
        "probe": header.breach_probe,
        "value": header.breach_value,
        "limit": header.breach_limit,
        "disarms": header.disarms,
        "seconds": (header.disarmed_ns - began) / 1e9,
        "hits": hits(device),
        "cpu_ns": sum(probe.cpu_ns for probe in read(device).probes),
        "n": next(t.values[0] for t in read(device).tables if t.table.name == "n"),
    }
    if header.state is State.DISARMED:
        deadline = time.monotonic() + DEADLINE
        while hooked() and time.monotonic() < deadline:
            time.sleep(0.001)
        found |= {"hooked": hooked(), "after": call(trigger, device)}
        device.arm(Budgets())
        found["again"] = call(trigger, device)
        found["hooked_again"] = hooked()
        device.disarm()
    device.stop()
    said = []
    while more := device.read_events():
        said += more
    found["states"] = [State(e.site).name for e in said if e.kind is EventKind.STATE]
    texts = (events.text(e, device.manifest()) for e in said if e.kind is EventKind.PRINT)
    found["ended"] = "".join(texts)
    return found


def main() -> int:
    if not TRACED.exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)
    result = {}
    for name, case in json.loads(Path(sys.argv[1]).read_text()).items():
        path = Path(case["path"])
        module_loader.load(path)
        try:
            with Device.open(path.stem) as device:
                result[name] = measure(device, case, sys.argv[2])
        finally:
            module_loader.unload(path.stem)
    Path(sys.argv[3]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
