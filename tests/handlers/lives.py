# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: modules are loaded and unloaded while their probes are hit, fail to start, and see a CPU go offline.

lives.py modules.json result.json
modules  {"lives": {name: path}, "failures": {name: path}, "change": path}
result   {"lives": {name: {"hits": [[of each probe] each life], "memory": [bytes each life]}},
          "failures": {name: [message of each start]},
          "change": {"hits": [of each probe on CPU 1, after each change], "left": ...}}
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError
from runtime.reader.snapshot import read

LIVES, FAILURES = 15, 3
HITS = 20  # of each probe in a life
DEADLINE = 60.0
CPU1 = Path("/sys/devices/system/cpu/cpu1/online")
PANIC = Path("/proc/sys/kernel/panic")
# packets, writes to watched variables, page faults and context switches, without a pause
LOAD = """
import mmap, os, socket, time
at, to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
at.bind(("127.0.0.1", 0))
files = [os.open(f"/proc/sys/kernel/{name}", os.O_WRONLY) for name in ("panic", "panic_on_warn", "panic_on_oops")]
while True:
    to.sendto(b"packet", at.getsockname())
    at.recv(100)
    for file in files: os.pwrite(file, b"0", 0)
    with mmap.mmap(-1, 1 << 14) as pages: pages[0] = pages[4096] = 1
    time.sleep(0)
"""


def wait(device: Device, condition: Callable[[], bool], do: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{[p.hits for p in read(device).probes]}")
        do()
        device.read_events()


@contextlib.contextmanager
def loaded(path: Path) -> Any:
    module_loader.load(path)
    try:
        with Device.open(path.stem) as device:
            yield device
    finally:
        module_loader.unload(path.stem)


def live(path: Path) -> tuple[list[int], int]:
    with loaded(path) as device:
        device.start(1000, os.getpid())
        wait(device, lambda: min(p.hits for p in read(device).probes) >= HITS, lambda: None)
        device.stop()
        return [p.hits for p in read(device).probes], device.header().memory


def fail(path: Path) -> str:
    with loaded(path) as device:
        try:
            device.start(1000, os.getpid())
        except DeviceError as error:
            return str(error)
        return "started"


def on_cpu1(device: Device) -> list[Any]:
    table = {
        tuple(k): v for t in read(device).tables for k, v in zip(t.keys, t.values, strict=True)
    }
    return [table.get((name, 1), 0) for name in ("perf", "profile", "watch")]


def change(path: Path) -> list[list[Any]]:
    """The counts of CPU 1: at first, while it is offline, online again, and offline again."""
    found = []
    with loaded(path) as device:
        device.start(1000, os.getpid())
        for _ in range(2):
            before = on_cpu1(device)
            os.sched_setaffinity(0, {1})
            wait(
                device,
                lambda: all(a > b + 5 for a, b in zip(on_cpu1(device), before, strict=True)),  # noqa: B023
                lambda: PANIC.write_text("0"),
            )
            os.sched_setaffinity(0, {0})
            found.append(on_cpu1(device))
            CPU1.write_text("0")
            gone = on_cpu1(device)
            for _ in range(5):
                PANIC.write_text("0")
                time.sleep(0.01)  # some ticks of the other CPU
            found.append([a - b for a, b in zip(on_cpu1(device), gone, strict=True)])
            if len(found) < 4:
                CPU1.write_text("1")
        device.stop()  # while it is offline
    CPU1.write_text("1")
    return found


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    changed = change(Path(plan["change"]))
    loads = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(2)]
    try:
        lives = {name: [live(Path(p)) for _ in range(LIVES)] for name, p in plan["lives"].items()}
        failures = {
            name: [fail(Path(p)) for _ in range(FAILURES)] for name, p in plan["failures"].items()
        }
        again = {name: [live(Path(p))] for name, p in plan["lives"].items()}
        alive = [load.poll() is None for load in loads]
    finally:
        for load in loads:
            load.kill()
            load.wait()
    result = {
        "lives": {
            n: {"hits": [h for h, _ in x], "memory": [m for _, m in x]} for n, x in lives.items()
        },
        "failures": failures,
        "again": {n: x[0][0] for n, x in again.items()},
        "alive": alive,
        "change": changed,
    }
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
