# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: what goes on beside a round's storms. Each function is a process of its own that works in turns
until the round is over, and leaves everything as it was.

    DISTURBANCES["hotplug"](scene)
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.reader import module_loader
from runtime.reader.device import Device

CPUS = Path("/sys/devices/system/cpu")


@dataclass
class Scene:
    """`over()`: whether the round has ended; `modules`: the scripts that run; `churn`: a module to load; `fuzzed`:
    modules of generated programs."""

    over: Callable[[], bool]
    modules: list[str]
    churn: Path
    fuzzed: list[Path]
    random: random.Random


def churn(scene: Scene) -> None:
    """A module is loaded, started, stopped and unloaded; some lives end without a stop."""
    while not scene.over():
        module_loader.load(scene.churn)
        try:
            with Device.open(scene.churn.stem) as device:
                device.start()
                time.sleep(scene.random.random() * 0.1)
                if scene.random.random() < 0.5:
                    device.stop()
        finally:
            module_loader.unload(scene.churn.stem)


def fuzz(scene: Scene) -> None:
    """Generated programs, one after the other, which may fail as often as they like."""
    while not scene.over():
        path = scene.random.choice(scene.fuzzed)
        module_loader.load(path)
        try:
            with Device.open(path.stem) as device:
                device.start()
                end = time.monotonic() + scene.random.random()
                while time.monotonic() < end:
                    device.read_events()
                    device.sync()
                device.stop()
        finally:
            module_loader.unload(path.stem)


def readers(scene: Scene) -> None:
    """Processes that read a script's records and counts are killed."""
    while not scene.over():
        name = scene.random.choice(scene.modules)
        child = os.fork()
        if child == 0:
            try:
                with Device.open(name) as device:
                    while True:
                        device.read_events()
                        device.sync()
            finally:
                os._exit(1)
        time.sleep(scene.random.random() * 0.2)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def hotplug(scene: Scene) -> None:
    """CPUs go and come back; the first one stays."""
    switches = sorted(CPUS.glob("cpu[1-9]*/online"))
    try:
        while not scene.over():
            switch = scene.random.choice(switches)
            switch.write_text("0" if switch.read_text().strip() == "1" else "1")
            time.sleep(scene.random.random() * 0.2)
    finally:
        for switch in switches:
            if switch.read_text().strip() == "0":
                switch.write_text("1")


def modules(scene: Scene) -> None:
    """A module that nobody probes comes, sends, and goes."""
    while not scene.over():
        for command in ("modprobe ifb numifbs=1", "ip link set ifb0 up", "modprobe -r ifb"):
            subprocess.run(command.split(), check=True)


def memory(scene: Scene) -> None:
    """Most of what is free is taken, touched and given back."""
    while not scene.over():
        found = Path("/proc/meminfo").read_text().split()
        free = int(found[found.index("MemAvailable:") + 1]) << 10
        with mmap.mmap(-1, free * 7 // 10) as pages:
            for at in range(0, len(pages), mmap.PAGESIZE):
                pages[at] = 1
                if scene.over():
                    break


DISTURBANCES: dict[str, Callable[[Scene], None]] = {
    each.__name__: each for each in (churn, fuzz, readers, hotplug, modules, memory)
}
