# SPDX-License-Identifier: GPL-2.0-or-later
"""Load modules that must not load, start one that must not start; print the kernel's messages."""

import json
import subprocess
from pathlib import Path

from runtime.abi.structs import EventKind
from tests.runtime.kernel.guest.module import Module, errno_of, insmod, of_kind

result: dict[str, object] = {}
before = subprocess.getoutput("dmesg").splitlines()
done = insmod("sw_stranger")
after = subprocess.getoutput("dmesg").splitlines()
result["stranger"] = [done.returncode != 0, done.stderr]
result["said"] = [line for line in after[len(before) :] if "refused" in line]
result["device"] = Path("/dev/stapwatch/sw_stranger").exists()

with Module("sw_broken", 2) as module:
    result["start"] = errno_of(module.start)
    result["state"] = module.header.state.name
    result["failed"] = module.header.failed
    result["status"] = [module.status(i) for i in range(2)]
    told = of_kind(module.read_all(), EventKind.ERROR, EventKind.WARNING)
    result["told"] = [[r.kind.name, r.probe, r.text] for r in told]
    result["end_of_file"] = module.read() == []
print(json.dumps(result))
