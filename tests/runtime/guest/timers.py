# SPDX-License-Identifier: GPL-2.0-or-later
"""Run all kinds of timers until the script ends itself; tell how often each fired."""

import json

from module import Module, long_of

with Module("sw_timers", 5) as module:
    module.start()
    events = module.read_until_stopped(60)
    times = module.shared()[1:11]
    result = {
        "ticks": module.shared()[0],
        "gaps": [b - a for a, b in zip(times, times[1:])],
        "words": module.words(),
        "counts": [module.counts(i) for i in range(5)],
        "status": [module.status(i) for i in range(5)],
        "states": [e[2] for e in events if e[0] == 2],
        "prints": [[e[2], long_of(e[5])] for e in events if e[0] == 0],
        "lanes": module.header.nr_lanes,
        "failed": module.header.failed,
    }
print(json.dumps(result))
