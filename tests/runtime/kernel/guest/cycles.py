# SPDX-License-Identifier: GPL-2.0-or-later
"""Load, fire and unload many times while other processes hit the probes; print the leftovers."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from runtime.abi.structs import State
from tests.runtime.kernel.guest.module import Module

CYCLES = int(sys.argv[1])
MODULES = (("sw_reads", 9), ("sw_faults", 4), ("sw_timers", 5))
HITS = 200  # hits before a cycle of sw_reads goes on
EDGES = 50  # calls that may be between two hooks of one function when these are detached
KPROBES = Path("/sys/kernel/debug/kprobes/list")
script = "import os\nfd = os.open('/dev/zero', os.O_RDONLY)\nwhile True: os.read(fd, 64)\n"


def drain(module: Module) -> None:
    while module.header.state != State.STOPPED:
        if not module.read():
            os.sched_yield()


def allocations(module: str) -> int:
    """Areas of kernel memory that code of a module has allocated; "": of modules that are gone, whose
    addresses have no names any more."""
    lines = [line.split(maxsplit=3) for line in Path("/proc/vmallocinfo").read_text().splitlines()]
    if module:
        return sum(f"[{module}]" in fields[-1] for fields in lines)
    return sum(len(fields) > 2 and fields[2].startswith("0x") for fields in lines)


def cycle(name: str, nr_probes: int, target: int) -> tuple[int, int]:
    """Load, run and unload a module once. Returns the hits of its second probe, and its memory."""
    with Module(name, nr_probes) as module:
        used.append(allocations(name))
        module.start(target)
        reader = threading.Thread(target=drain, args=(module,))
        reader.start()
        if name == "sw_reads":
            while module.counts(1)[0] < HITS:
                os.sched_yield()
        module.stop()
        reader.join()
        by_ftrace, by_kprobe = module.words()[:2]
        assert name != "sw_reads" or abs(by_ftrace - by_kprobe) < EDGES, (by_ftrace, by_kprobe)
        return module.counts(1)[0], module.header.memory


used: list[int] = []  # allocations of each module while it is loaded
# readers that never pause, so that handlers are running at every removal
loads = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
try:
    lives = [cycle(*MODULES[i % 3], loads[0].pid) for i in range(CYCLES)]
    alive = [load.poll() is None for load in loads]
finally:
    for load in loads:
        load.kill()
        load.wait()
devices = Path("/dev/stapwatch")
loaded = [line for line in Path("/proc/modules").read_text().splitlines() if line[:3] == "sw_"]
result = {
    "hits": sum(hits for hits, _ in lives),
    "memory": [len({memory for _, memory in lives[kind::3]}) for kind in range(3)],
    "alive": alive,
    "used": min(used),
    "allocations": allocations(""),
    "modules": loaded,
    "devices": [path.name for path in devices.iterdir()] if devices.exists() else [],
    "probes": KPROBES.read_text(),
    "functions": Path("/sys/kernel/tracing/enabled_functions").read_text(),
}
print(json.dumps(result))
