# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: processes in cgroups of all kinds, as a script sees them and as /proc does.

    cgroups.py plan.json result.json
    plan    {"module", "path", "folders": [path below /sys/fs/cgroup]}
    result  {folder: [{"id", "path", "mnt", "net"}, the script's line]}

A process joins the folder's cgroup, the second one with namespaces of its own, notes what /proc has of it, takes
the name that the script looks for, and reads one byte.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

from runtime.abi.structs import UNLIMITED_ERRORS, EventKind
from runtime.events import decode as events
from runtime.reader import module_loader
from runtime.reader.device import Device

ROOT = Path("/sys/fs/cgroup")
NAME = "grouped"
NEW_MOUNTS, NEW_NET = 0x00020000, 0x40000000  # CLONE_NEWNS, CLONE_NEWNET


def child(folder: Path, unshare: bool, result: int) -> None:
    (folder / "cgroup.procs").write_text(str(os.getpid()))
    if unshare and ctypes.CDLL(None).unshare(NEW_MOUNTS | NEW_NET):
        raise OSError("unshare")
    groups = Path("/proc/self/cgroup").read_text().splitlines()
    seen = {
        "id": folder.stat().st_ino,
        "path": next(line[3:] for line in groups if line.startswith("0::")),
        **{kind: Path(f"/proc/self/ns/{kind}").readlink().name for kind in ("mnt", "net")},
    }
    os.write(result, json.dumps(seen).encode())
    zeros = os.open("/dev/zero", os.O_RDONLY)
    Path("/proc/self/comm").write_text(NAME)
    os.read(zeros, 1)


def in_cgroup(folder: Path, unshare: bool) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            child(folder, unshare, writes)
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writes)
    assert os.waitpid(process, 0)[1] == 0, folder
    with os.fdopen(reads, "rb") as pipe:
        found: dict[str, Any] = json.loads(pipe.read())
    return found


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text())
    module_loader.load(Path(plan["path"]))
    results = {}
    try:
        with Device.open(plan["module"]) as device:
            manifest = device.manifest()
            device.start(UNLIMITED_ERRORS, 0)
            for number, folder in enumerate(plan["folders"]):
                seen = in_cgroup(ROOT / folder.lstrip("/"), number == 1)
                found = device.read_events()
                lines = [events.text(e, manifest) for e in found if e.kind == EventKind.PRINT]
                wrong = [events.text(e, manifest) for e in found if e.kind == EventKind.ERROR]
                results[folder] = [seen, "".join(lines + wrong)]
            device.stop()
    finally:
        module_loader.unload(plan["module"])
    Path(sys.argv[2]).write_text(json.dumps(results))


if __name__ == "__main__":
    main()
