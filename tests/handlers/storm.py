# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: a module is loaded and unloaded while the probed programs run, start and end.

storm.py module.ko program rounds result.json
result  {"rounds": [hits of each probe, in each round], "skipped": how many, "alive": processes that still run}
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read

DEADLINE = 30.0
FOREVER = "1000000000"


def round_of(module: Path) -> tuple[list[int], int]:
    """Load the module, wait until every probe was hit, and unload it. Returns the hits and the skips."""
    module_loader.load(module)
    try:
        with Device.open(module.stem) as device:
            device.start(1000, 0)
            deadline = time.monotonic() + DEADLINE
            while time.monotonic() < deadline and not all(p.hits for p in read(device).probes):
                while device.read_events():
                    pass
            device.stop()
            found = read(device)
    finally:
        module_loader.unload(module.stem)
    return [p.hits for p in found.probes], sum(p.skipped_reentrant for p in found.probes)


def main() -> int:
    module, program, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    starts = f"while :; do {program} call 20 threads 2 mark 2 || exit 1; done"
    running = [
        subprocess.Popen([program, "call", FOREVER]),
        subprocess.Popen([program, "call", FOREVER]),
        subprocess.Popen(["sh", "-c", starts]),
    ]
    try:
        found = [round_of(module) for _ in range(rounds)]
        alive = sum(process.poll() is None for process in running)
    finally:
        for process in running:
            process.kill()
            process.wait()
    Path(sys.argv[4]).write_text(
        json.dumps(
            {
                "rounds": [hits for hits, _ in found],
                "skipped": sum(skips for _, skips in found),
                "alive": alive,
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
