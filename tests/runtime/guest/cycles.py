# SPDX-License-Identifier: GPL-2.0-or-later
"""Load, fire and unload many times while other processes hit the probes; tell what is left over."""

import json
import os
import subprocess
import sys
import threading

from module import Module

CYCLES = int(sys.argv[1])
script = "import os\nfd = os.open('/dev/zero', os.O_RDONLY)\nwhile True: os.read(fd, 64)\n"
# readers that never rest, so that every removal finds handlers in flight
loads = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]


def vmalloc_used():
    with open("/proc/vmallocinfo") as file:
        return sum("sw_region" in line or "create_ring" in line for line in file)


def wait_readable(module):
    while module.header.state.name != "STOPPED":
        if not module.read():
            os.sched_yield()


hits = 0
exact = True
memory = set()
try:
    for cycle in range(CYCLES):
        name, probes = [("sw_reads", 9), ("sw_faults", 4), ("sw_timers", 5)][cycle % 3]
        with Module(name, probes) as module:
            module.start(target=loads[0].pid)
            reader = threading.Thread(target=wait_readable, args=(module,))
            reader.start()
            if name == "sw_reads":
                while module.counts(1)[0] < 200:
                    os.sched_yield()
            module.stop()
            reader.join()
            hits += module.counts(0)[0]
            words = module.words()
            # the same calls pass the two hooks, but for those under way at the edges
            exact = exact and (name != "sw_reads" or abs(words[0] - words[1]) < 50)
            if name == "sw_reads":
                memory.add(module.header.memory)
finally:
    for load in loads:
        load.kill()
        load.wait()
print(
    json.dumps(
        {
            "hits": hits,
            "exact": exact,
            "memory": len(memory),
            "vmalloc": vmalloc_used(),
            "modules": [line for line in open("/proc/modules") if line.startswith("sw_")],
            "devices": os.listdir("/dev/stapwatch") if os.path.exists("/dev/stapwatch") else [],
            "probes": open("/sys/kernel/debug/kprobes/list").read().strip()
            if os.path.exists("/sys/kernel/debug/kprobes/list")
            else "",
        }
    )
)
