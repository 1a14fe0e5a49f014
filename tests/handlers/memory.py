# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: modules that need more memory than there is.

memory.py plan.json result.json
plan    {"huge": path, "pair": [path, path], "small": path}
result  {"refused": text, "status": exit status, "kernel": [lines], "together": [exit statuses],
         "alone": [exit status], "small": memory, "left": [modules], "leaked": bytes, "alive": [True, ...]}
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from runtime.reader import module_loader, module_memory
from runtime.reader.device import Device
from runtime.reader.module_loader import LoadError

BYSTANDERS = 3
# what the OOM killer would take: 32 MiB, all of it used, and some of it again and again
BYSTANDER = """
import mmap, time
with mmap.mmap(-1, 32 << 20) as pages:
    for at in range(0, len(pages), 4096): pages[at] = 1
    print("ready", flush=True)
    while True:
        time.sleep(0.05)
        pages[0:4096] = bytes(4096)
        bytearray(1 << 20)
"""


def refused(path: Path) -> str:
    try:
        module_loader.load(path)
    except LoadError as error:
        return str(error)
    module_loader.unload(path.stem)
    return ""


def insmod(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(["insmod", path], stderr=subprocess.PIPE, text=True)


def together(paths: list[Path]) -> list[int]:
    """Loaded at once, without the loader's own comparison: each fits, but not both."""
    loads = [insmod(path) for path in paths]
    found = [load.wait() for load in loads]
    for path, status in zip(paths, found, strict=True):
        if status == 0:
            module_loader.unload(path.stem)
    return found


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    bystanders = [
        subprocess.Popen([sys.executable, "-c", BYSTANDER], stdout=subprocess.PIPE)
        for _ in range(BYSTANDERS)
    ]
    for process in bystanders:
        assert process.stdout is not None
        process.stdout.readline()
    huge, small = Path(plan["huge"]), Path(plan["small"])
    try:
        result: dict[str, Any] = {"refused": refused(huge)}
        with module_loader.KernelLog() as log:
            result["status"] = insmod(huge).wait()
            result["kernel"] = [line for line in log.lines() if huge.stem in line]
        pair = [Path(path) for path in plan["pair"]]
        result["together"] = together(pair)
        before = module_memory.available_memory()
        result["together"] += together(pair)
        result["alone"] = together(pair[:1])
        module_loader.load(small)
        with Device.open(small.stem) as device:
            result["small"] = device.header().memory
        module_loader.unload(small.stem)
        result["left"] = [m.name for m in module_loader.loaded() if m.name.startswith("sw_")]
        result["leaked"] = before - module_memory.available_memory()
        result["alive"] = [process.poll() is None for process in bystanders]
    finally:
        for process in bystanders:
            process.kill()
            process.wait()
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
