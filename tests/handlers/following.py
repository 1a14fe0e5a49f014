# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: modules of the kernel that come and go while scripts probe them.

following.py plan.json result.json
plan    {"loads": path, "init": path, "failing": path, "variable": path, "other": path, "churn": path,
         "build": another build of the module; "": without "other"}
result  {name of a scenario: what it returns}
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runtime.abi.structs import EventKind
from runtime.events import decode as events
from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read

COUNTED = Path("/sys/class/net/dummy0/statistics/tx_packets")
PACKETS = 50
CHURN = 10.0  # seconds
BIND_TO_DEVICE = 25  # SO_BINDTODEVICE


def sh(command: str, check: bool = True) -> int:
    return subprocess.run(command, shell=True, check=check, capture_output=not check).returncode


def come(load: str = "modprobe dummy numdummies=1") -> None:
    """The module is loaded, and its device sends without asking anybody."""
    sh(load)
    sh("ip link set dummy0 arp off up; ip addr add 10.9.9.1/24 dev dummy0")


def go() -> None:
    sh("modprobe -r dummy")


def send(count: int = PACKETS) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, BIND_TO_DEVICE, b"dummy0")
        for _ in range(count):
            sender.sendto(b"x", ("10.9.9.2", 9))


@contextlib.contextmanager
def started(path: str) -> Iterator[tuple[Device, list[str]]]:
    """A script that runs, and the texts that it said, when it is over."""
    module = Path(path)
    said: list[str] = []
    module_loader.load(module)
    try:
        with Device.open(module.stem) as device:
            device.start(1000, os.getpid())
            yield device, said
            device.stop()
            manifest = device.manifest()
            while more := device.read_events():
                kinds = (EventKind.ERROR, EventKind.WARNING)
                said += [events.text(e, manifest) for e in more if e.kind in kinds]
    finally:
        module_loader.unload(module.stem)


def status(device: Device) -> list[Any]:
    """Of each probe: hits and misses, whether it is hooked, and what waits of it."""
    device.sync()
    return [[p.hits + p.missed, p.armed, len(p.waiting)] for p in read(device).probes]


def loads(path: str) -> dict[str, Any]:
    """Three lives of the module."""
    found: dict[str, Any] = {"away": [], "here": [], "sent": 0, "seconds": []}
    with started(path) as (device, said):
        found["away"].append(status(device))
        for _ in range(3):
            come()
            send()
            found["here"].append(status(device))
            found["sent"] += int(COUNTED.read_text())
            begun = time.monotonic()
            go()
            found["seconds"].append(time.monotonic() - begun)
            found["away"].append(status(device))
    return {**found, "said": said}


def init(path: str) -> dict[str, Any]:
    """Init code that has gone when the script starts, and comes back."""
    come()
    with started(path) as (device, said):
        found = {"first": status(device)}
        go()
        come()
        found["second"] = status(device)
        go()
    return {**found, "said": said}


def failing(path: str) -> dict[str, Any]:
    """A module whose init function fails."""
    with started(path) as (device, said):
        failed = sh("modprobe null_blk queue_mode=1", check=False) != 0
        found = {"failed": failed, "after": status(device)}
    return {**found, "said": said}


def variable(path: str) -> dict[str, Any]:
    """A variable of the module, which its loading writes."""
    found = {}
    with started(path) as (device, said):
        for name in ("first", "second"):
            come()
            found[name] = status(device)
            go()
        found["after"] = status(device)
    return {**found, "said": said}


def other(path: str, build: str) -> dict[str, Any]:
    """Another build of the module is not probed by those who know the types of this one."""
    with started(path) as (device, said):
        come(f"insmod {build} numdummies=1")
        send()
        found = {"other": status(device)}
        errors = [p.error for p in read(device).probes]
        go()
        come()
        send()
        found["same"] = status(device)
        go()
    return {**found, "errors": errors, "said": said}


def forever(turn: Callable[[], None]) -> int:
    """A process that does the same again and again until it is ended; its id."""
    child = os.fork()
    if child:
        return child
    over = False

    def end(*unused: object) -> None:
        nonlocal over
        over = True

    status = 1
    try:
        signal.signal(signal.SIGTERM, end)
        while not over:
            turn()
        status = 0
    finally:
        os._exit(status)


def churn(path: str) -> dict[str, Any]:
    """The module and the script that probes it come and go by themselves, under traffic."""

    def life_of_module() -> None:
        come()
        # a script that starts meanwhile keeps it for the moment in which its functions are hooked
        while sh("modprobe -r dummy", check=False):
            time.sleep(0.001)

    def life_of_script() -> None:
        with started(path):
            time.sleep(0.05)

    def traffic() -> None:
        with contextlib.suppress(OSError):  # the device is away
            send()

    children = [forever(turn) for turn in (life_of_module, life_of_script, traffic)]
    time.sleep(CHURN)
    for child in children:
        os.kill(child, signal.SIGTERM)
    ended = [os.waitpid(child, 0)[1] for child in children]
    return {
        "ended": ended,
        "left": [m.name for m in module_loader.loaded() if m.name.startswith("sw_")],
    }


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    sh("sysctl -q net.ipv6.conf.default.disable_ipv6=1")
    sh("modprobe -r dummy null_blk", check=False)
    result = {
        "loads": loads(plan["loads"]),
        "init": init(plan["init"]),
        "failing": failing(plan["failing"]),
        "variable": variable(plan["variable"]),
        "other": other(plan["other"], plan["build"]) if plan["build"] else {},
        "churn": churn(plan["churn"]),
    }
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
