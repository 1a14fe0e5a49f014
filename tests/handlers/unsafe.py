# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: starts modules one inside the other, and reports what of them was attached.

unsafe.py module.ko ... result.json
result  [{"failed": why it did not start, or "", "armed": [flags], "hits": [counts], "said": [texts]}, ...]
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from runtime.abi.structs import EventKind
from runtime.events import decode as events
from runtime.reader import module_loader
from runtime.reader.device import Device, DeviceError
from runtime.reader.snapshot import read


def start(module: Path, stack: ExitStack) -> tuple[Device, str]:
    module_loader.load(module)
    stack.callback(module_loader.unload, module.stem)
    device = stack.enter_context(Device.open(module.stem))
    try:
        device.start(1000, os.getpid())
    except DeviceError as error:
        return device, str(error)
    stack.callback(device.stop)
    return device, ""


def report(device: Device, failed: str) -> dict[str, Any]:
    said = []
    while more := device.read_events():
        said += more
    manifest = device.manifest()
    snapshot = read(device)
    return {
        "failed": failed,
        "armed": [p.armed for p in snapshot.probes],
        "hits": [p.hits for p in snapshot.probes],
        "said": [
            events.text(e, manifest) for e in said if e.kind in (EventKind.ERROR, EventKind.WARNING)
        ],
    }


def main() -> int:
    with ExitStack() as stack:
        started = [start(Path(name), stack) for name in sys.argv[1:-1]]
        for _ in range(100):
            Path("/etc/passwd").read_bytes()
        found = [report(*one) for one in started]
    Path(sys.argv[-1]).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
