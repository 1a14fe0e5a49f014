# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest, whose clock counts instructions: what one hit of each script costs.

    charges.py loop.so plan.json result.json
    plan    [{"name", "module", "path"}]      each probes vfs_read() in the target, which is this process
    result  {name: {"instructions", "errors"}}

The cost is that of a read() of one byte with the script, less that without.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.abi.structs import UNLIMITED_ERRORS, EventKind
from runtime.events import decode as events
from runtime.reader import module_loader
from runtime.reader.device import Device

HITS = 4


def reader(library: str) -> Callable[[], int]:
    """Reads one byte of /dev/zero; returns ns."""
    function = ctypes.CDLL(library).timed_reads
    function.restype = ctypes.c_uint64
    function.argtypes = (ctypes.c_int, ctypes.c_uint64)
    return lambda: int(function(time.CLOCK_MONOTONIC, 1))


def measure(case: dict[str, Any], read: Callable[[], int]) -> dict[str, Any]:
    module_loader.load(Path(case["path"]))
    try:
        with Device.open(case["module"]) as device:
            manifest = device.manifest()
            device.start(UNLIMITED_ERRORS, os.getpid())
            took, found = [], device.read_events()
            for _ in range(HITS):
                took.append(read())  # the first one may meet a page that is not there yet
                found += device.read_events()
            device.stop()
    finally:
        module_loader.unload(case["module"])
    errors = [events.text(e, manifest) for e in found if e.kind == EventKind.ERROR]
    return {"instructions": min(took), "errors": sorted(set(errors))}


def main() -> None:
    read = reader(sys.argv[1])
    base = min(read() for _ in range(10))
    results = {}
    for case in json.loads(Path(sys.argv[2]).read_text()):
        found = measure(case, read)
        results[case["name"]] = {**found, "instructions": found["instructions"] - base}
    Path(sys.argv[3]).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
