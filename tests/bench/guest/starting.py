# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: the agent's start with its cache warm, its memory, and the arming of many functions.

    starting.py request.json module-path module-name scripts
    -> {"start": s, "rss": bytes, "cached": s, "armed": functions, "arming": s}

Times are of the guest's clock: executed instructions at one a nanosecond, where it counts them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from agent.compiling import COMMAND
from runtime import loader
from runtime.device import Device
from runtime.snapshot import read

PAGE = "http://127.0.0.1:9436/metrics"
STEADY = 30  # seconds and scrapes until memory is what it stays


def main() -> None:
    request, path, name, scripts = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    loader.load(path)
    with Device.open(name) as device:
        begun = time.monotonic()
        device.start()
        arming = time.monotonic() - begun
        armed = sum(probe.armed for probe in read(device).probes)
        device.stop()
    loader.unload(name)
    begun = time.monotonic()
    done = subprocess.run(
        COMMAND, input=Path(request).read_bytes(), capture_output=True, check=True
    )
    cached = time.monotonic() - begun
    assert json.loads(done.stdout)["cached"], "the guest's cache is cold"
    begun = time.monotonic()
    subprocess.run(["systemctl", "start", "stapwatch"], check=True)
    start = time.monotonic() - begun
    status = json.loads(urllib.request.urlopen(PAGE.replace("/metrics", "/status")).read())
    running = [script for script in status["scripts"] if script["state"] == "running"]
    assert len(running) == scripts, status
    for _ in range(STEADY):
        urllib.request.urlopen(PAGE).read()
        time.sleep(1)
    show = ["systemctl", "show", "-P", "MainPID", "stapwatch"]
    pid = subprocess.run(show, check=True, capture_output=True, text=True).stdout.strip()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    rss = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    told = {"start": start, "rss": rss << 10, "cached": cached, "armed": armed, "arming": arming}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
