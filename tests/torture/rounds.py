# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: one round. Scripts are loaded and started, storms and disturbances work for some seconds, and when
the last unit of work is done everything is stopped, read and unloaded.

    rounds.py plan.json result.json
    plan    {"seed", "seconds", "workloads": [{"name", "path", "storm": [argv], "jobs"}],
             "disturbances": [name], "churn": path,
             "fuzzed": [path]}
    result  {"workloads": {name: {"units", "probes": [[hits, reentrant, lock, errors, missed]], "counted": {"n0": ...},
             "lost"}}, "faults": [text], "left": [module], "memory": {"VmallocUsed": KiB, ...}}
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read
from tests.torture import disturb

KMEMLEAK = Path("/sys/kernel/debug/kmemleak")  # of a kernel that checks itself
LEAK_AGE = 6.0  # seconds until it reports what nothing points to
PATIENCE = 300.0  # for the last units of work, and for a disturbance to end
MEMORY = ("MemAvailable", "Percpu", "SUnreclaim", "VmallocUsed")


class Storm:
    """Some processes that do a workload's unit of work, again and again."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.argv = plan["storm"]
        self.jobs = plan["jobs"] if self.argv else 0
        self.running: list[subprocess.Popen[bytes]] = []
        self.units = 0

    def turn(self, more: bool) -> None:
        """Collects the processes that are done; starts others unless the round is over."""
        for process in list(self.running):
            status = process.poll()
            if status is None:
                continue
            self.running.remove(process)
            self.units += 1
            if status:
                raise RuntimeError(f"{' '.join(self.argv)} ended with status {status}")
        while more and len(self.running) < self.jobs:
            self.running.append(subprocess.Popen(self.argv, stdout=subprocess.DEVNULL))

    def end(self) -> None:
        for process in self.running:
            process.kill()
            process.wait()


class Disturbance:
    """A process that runs a function of disturb.py until a byte in shared memory says that it is over. Its traceback
    comes through a pipe."""

    def __init__(self, name: str, scene: disturb.Scene) -> None:
        self.name = name
        self.output, pipe = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            status = 1
            try:
                disturb.DISTURBANCES[name](scene)
                status = 0
            except BaseException:
                os.write(pipe, traceback.format_exc().encode()[:4096])
            os._exit(status)
        os.close(pipe)

    def wait(self) -> str | None:
        """What went wrong, if anything did."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            done, status = os.waitpid(self.child, os.WNOHANG)
            if done:
                text = os.read(self.output, 4096).decode()
                os.close(self.output)
                return f"{self.name} ended with {status}: {text}" if status else None
            time.sleep(0.01)
        return f"{self.name} does not end"


def run(plan: dict[str, Any]) -> dict[str, Any]:
    faults: list[str] = []
    found: dict[str, Any] = {}
    before = loaded()
    with contextlib.ExitStack() as stack:
        devices = []
        for workload in plan["workloads"]:
            path = Path(workload["path"])
            module_loader.load(path)
            stack.callback(module_loader.unload, path.stem)
            device = stack.enter_context(Device.open(path.stem))
            device.start()
            devices.append(device)
        storms = [Storm(workload) for workload in plan["workloads"]]
        faults += weather(plan, devices, storms)
        for workload, device, storm in zip(plan["workloads"], devices, storms, strict=True):
            device.stop()
            while device.read_events():
                pass
            device.sync()
            found[workload["name"]] = {"units": storm.units, **report(device)}
    return {
        "workloads": found,
        "faults": faults,
        "left": sorted(loaded() - before),
        "memory": memory(),
    }


def weather(plan: dict[str, Any], devices: list[Device], storms: list[Storm]) -> list[str]:
    """Storms and disturbances, until the last of them has ended; what went wrong."""
    flag = mmap.mmap(-1, mmap.PAGESIZE)
    names = [device.name for device in devices]
    going = []
    for n, name in enumerate(plan["disturbances"]):
        chance = random.Random(plan["seed"] * 100 + n)
        scene = disturb.Scene(
            lambda: flag[0] != 0, names, Path(plan["churn"]), [*map(Path, plan["fuzzed"])], chance
        )
        going.append(Disturbance(name, scene))
    end = time.monotonic() + plan["seconds"]
    faults = []
    try:
        while (more := time.monotonic() < end) or any(storm.running for storm in storms):
            if time.monotonic() > end + PATIENCE:
                raise TimeoutError("the storms do not end")
            for storm in storms:
                storm.turn(more)
            for device in devices:
                device.read_events()
            time.sleep(0.005)
    except Exception:
        faults.append(traceback.format_exc())
    for storm in storms:
        storm.end()  # those that are left after a fault
    flag[0] = 1
    return faults + [text for each in going if (text := each.wait())]


def report(device: Device) -> dict[str, Any]:
    snapshot = read(device)
    scalars = {t.table.name: t.values[0] for t in snapshot.tables if list(t.keys) == [()]}
    return {
        "probes": [
            [p.hits, p.skipped_reentrant, p.skipped_lock, p.errors, p.missed]
            for p in snapshot.probes
        ],
        "counted": {name: value for name, value in scalars.items() if isinstance(value, int)},
        "lost": snapshot.lanes.events_lost,
    }


def loaded() -> set[str]:
    return {module.name for module in module_loader.loaded()}


def memory() -> dict[str, int]:
    """What the kernel holds, in KiB, when caches are dropped."""
    Path("/proc/sys/vm/drop_caches").write_text("3")
    time.sleep(0.5)  # what RCU frees late
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {name[:-1]: int(value) for name, value, *_ in lines if name[:-1] in MEMORY}


def leaks() -> list[str]:
    if not KMEMLEAK.exists():
        return []
    for _ in range(2):  # a single one finds what was only moved
        time.sleep(LEAK_AGE)
        KMEMLEAK.write_text("scan")
    found = KMEMLEAK.read_text()
    return [found[:2000]] if found else []


def main() -> int:
    if KMEMLEAK.exists():
        KMEMLEAK.write_text("clear")
    result = run(json.loads(Path(sys.argv[1]).read_text()))
    result["faults"] += leaks()
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
