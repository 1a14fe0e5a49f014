# SPDX-License-Identifier: GPL-2.0-or-later
"""Load what must not load, start what must not start; tell how it was refused."""

import json
import os
import subprocess

from module import Module, errno_of, insmod, text_of

result = {}
done = insmod("sw_stranger")
result["stranger"] = [done.returncode != 0, done.stderr]
result["said"] = [line for line in subprocess.getoutput("dmesg").splitlines() if "refused" in line]
result["device"] = os.path.exists("/dev/stapwatch/sw_stranger")

with Module("sw_broken", 2) as module:
    result["start"] = errno_of(module.start)
    result["state"] = module.header.state.name
    result["failed"] = module.header.failed
    result["status"] = [module.status(i) for i in range(2)]
    result["told"] = [[e[0], e[3], text_of(e[5])] for e in module.read_all() if e[0] in (1, 3)]
    result["end_of_file"] = module.read()
print(json.dumps(result))
