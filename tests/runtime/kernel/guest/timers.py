# SPDX-License-Identifier: GPL-2.0-or-later
"""Run all kinds of timers until the script ends itself; print how often each fired."""

import json

from runtime.abi.structs import EventKind
from tests.runtime.kernel.guest.module import Module, of_kind, states

with Module("sw_timers", 5) as module:
    module.start()
    found = module.read_until_stopped(60)
    result = {
        "ticks": module.shared()[0],
        "words": module.words(),
        "counts": [module.counts(i) for i in range(5)],
        "states": states(found),
        "prints": [[r.site, r.long] for r in of_kind(found, EventKind.PRINT)],
        "failed": module.header.failed,
    }
print(json.dumps(result))
