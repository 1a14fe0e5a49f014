# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: files in /proc whose handlers do not run.

procfs.py module.ko result.json
result  {"before": text or errno's name, ..., "counts": {point: [hits, reentrant, lock, missed]}}
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from runtime.reader import module_loader
from runtime.reader.device import Device
from runtime.reader.snapshot import read

DEADLINE = 60.0
HOLD = "import os\nwhile True: os.getpgid(0)\n"


def attempt(path: Path, text: str | None = None) -> str:
    """What the file has, or "written", or the errno's name."""
    try:
        if text is None:
            return path.read_text()
        file = os.open(path, os.O_WRONLY)  # Python's own files write again when they are closed
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)
        return "written"
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def contend(files: Path) -> tuple[int, int]:
    """Reads that failed with EBUSY while another process holds the lock most of the time, and all reads."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD])
    busy = tries = 0
    deadline = time.monotonic() + DEADLINE
    try:
        while not busy and time.monotonic() < deadline:
            found = attempt(files / "shared")
            busy += found == "EBUSY"
            tries += 1
            assert found in ("EBUSY", "shared\n"), found
    finally:
        holder.kill()
        holder.wait()
    return busy, tries


def retry(path: Path) -> list[str]:
    """Reads of one open file, the first while handlers are disabled."""
    found = []
    file = os.open(path, os.O_RDONLY)
    for _ in range(2):
        try:
            found.append(os.read(file, 100).decode())
        except OSError as error:
            found.append(errno.errorcode[error.errno or 0])
    os.close(file)
    return found


def main() -> int:
    module = Path(sys.argv[1])
    files = Path(f"/proc/stapwatch-{module.stem}")
    module_loader.load(module)
    try:
        with Device.open(module.stem) as device:
            device.start(1000, os.getpid())
            result: dict[str, Any] = {"before": attempt(files / "text")}
            result["busy"], result["tries"] = contend(files)
            result["condition"] = [
                attempt(files / "element"),
                attempt(files / "open", "1\n"),
                attempt(files / "element"),
            ]
            result["stop"] = attempt(files / "stop", "now\n")  # exit(): the files stay until STOP
            result["read"] = attempt(files / "text")
            result["write"] = attempt(files / "stop", "again\n")
            result["retry"] = retry(files / "text")
            device.sync()
            probes = {p.probe.point: p for p in read(device).probes}
            device.stop()
            result["gone"] = files.exists()
    finally:
        module_loader.unload(module.stem)
    result["counts"] = {
        point: [p.hits, p.skipped_reentrant, p.skipped_lock, p.missed]
        for point, p in probes.items()
    }
    Path(sys.argv[2]).write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
