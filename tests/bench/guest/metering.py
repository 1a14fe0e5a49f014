# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: what the meters say about hits whose cost is known from a clock that counts instructions.

    metering.py plan.json loop.so
    plan    [{"name", "module", "path", "work": "reads" | "calls" | ..., "count": how often}]
    writes a line of JSON for each: {"name", "hits", "real": ns of a hit, "metered": ns of a hit}

The real cost is the time that the work takes with the probe attached, less the time without.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import SnapshotReader

WARM_UP = 2000
WINDOWS = 3

Work = Callable[[], int]


def works(library: str) -> dict[str, Callable[[int], int]]:
    """Each does some work so often, and returns its nanoseconds."""
    loop = ctypes.CDLL(library)
    found: dict[str, Callable[[int], int]] = {}
    for name in ("reads", "calls", "stepped_calls", "spins"):
        function = getattr(loop, f"timed_{name}")
        function.restype = ctypes.c_uint64
        found[name] = partial(_timed, function)
    return found


def _timed(function: Callable[..., int], count: int) -> int:
    return function(time.CLOCK_MONOTONIC, ctypes.c_uint64(count))


def measure(case: dict[str, Any], work: Callable[[int], int]) -> dict[str, Any]:
    work(WARM_UP)
    base = min(work(case["count"]) for _ in range(WINDOWS))
    module_loader.load(Path(case["path"]))
    try:
        with Device.open(case["module"]) as device:
            reader = SnapshotReader(device)
            device.start()
            work(WARM_UP)
            found = []
            for _ in range(WINDOWS):
                before = numbers(reader)
                took = work(case["count"])
                hits, cpu_ns = (a - b for a, b in zip(numbers(reader), before, strict=True))
                found.append((took - base, hits, cpu_ns))
            device.stop()
    finally:
        module_loader.unload(case["module"])
    # other processes can only add to the time of a window; the meters' own time comes in samples
    extra, hits, _ = min(found)
    metered = sum(each[2] for each in found) / sum(each[1] for each in found)
    return {"hits": hits, "real": extra / hits, "metered": metered}


def numbers(reader: SnapshotReader) -> tuple[int, int]:
    """Hits of the first probe, and the time of all."""
    probes = reader.read().probes
    return probes[0].hits, sum(probe.cpu_ns for probe in probes)


def main() -> int:
    known = works(sys.argv[2])
    for case in json.loads(Path(sys.argv[1]).read_text()):
        result = {"name": case["name"], **measure(case, known[case["work"]])}
        print(json.dumps(result), flush=True)
    costs = Path("/run/stapwatch-loader/hook-costs.json").read_text()
    print(f"costs of hooks: {costs}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
