# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: disarming at the same time as exit(), conditions, arming, stopping and unloading.

disarm_races.py module.ko trigger rounds seed result.json
result  {"disarms": how many, "ends": [final states], "left": hooked functions, "alive": storms that still run}
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from runtime.abi.structs import Budgets, State
from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError

TRACED = Path("/sys/kernel/tracing/enabled_functions")
TIGHT = (Budgets(hit_ns=1), Budgets(hits_per_second=1), Budgets(one_cpu_ppm=1), Budgets(cpu_ppm=1))
EXIT = 9  # the offset that makes the script call exit()


def disturb(device: Device, source: Random, file: int) -> None:
    """One of the things that may happen to a script that is about to be disarmed."""
    match source.randrange(7):
        case 0 | 1:
            device.arm(source.choice((*TIGHT, Budgets())))
        case 2:
            device.disarm()
        case 3:
            os.lseek(file, source.randrange(2), os.SEEK_DATA)
        case 4 if source.randrange(4) == 0:
            os.lseek(file, EXIT, os.SEEK_DATA)
        case 5:
            device.sync()
        case _:
            time.sleep(source.random() / 100)
    while device.read_events():
        pass


def session(device: Device, source: Random, file: int) -> int:
    """From a start to a stop, or to the state in which the module is to be unloaded."""
    device.start(target=os.getpid(), budgets=source.choice(TIGHT))
    for _ in range(source.randrange(6)):
        try:
            disturb(device, source, file)
        except DeviceError:  # the script has ended itself
            assert device.header().state in (State.EXITING, State.RUNNING, State.DISARMED)
    return device.header().disarms


def hooked() -> set[str]:
    """The functions that ftrace calls somebody for."""
    return {line.split()[0] for line in TRACED.read_text().splitlines()}


def main() -> int:
    module, trigger, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    source = Random(int(sys.argv[4]))
    if not TRACED.exists():
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)
    before = hooked()  # systemd may have hooks of its own
    storms = [subprocess.Popen([trigger, "getppid", "4000000000"]) for _ in range(2)]
    file = os.open("/etc/passwd", os.O_RDONLY)
    disarms, ends = 0, set()
    try:
        for _ in range(rounds):
            module_loader.load(module)
            with Device.open(module.stem) as device:
                for _ in range(source.randrange(1, 4)):
                    disarms += session(device, source, file)
                    if source.randrange(3):
                        device.stop()
                        assert device.header().state is State.STOPPED
                    else:
                        break
                ends.add(device.header().state.name)
            module_loader.unload(module.stem)
        alive = sum(storm.poll() is None for storm in storms)
    finally:
        for storm in storms:
            storm.kill()
            storm.wait()
    left = sorted(hooked() - before)
    Path(sys.argv[5]).write_text(
        json.dumps({"disarms": disarms, "ends": sorted(ends), "left": left, "alive": alive})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
