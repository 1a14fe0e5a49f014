# SPDX-License-Identifier: GPL-2.0-or-later
"""Make handlers follow bad pointers; print the errors they ended with."""

import ctypes
import json
import os
import threading
from pathlib import Path

from runtime.abi.structs import EventKind
from tests.runtime.kernel.guest.module import Module, Record, of_kind, records, states

BUDGET = 2
PRINTS = 1000  # 96 bytes each, into a ring of 65536
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(b'a "b"\n\x01' + b"2\xff" + b"x" * 80)
empty = os.open("/dev/null", os.O_RDONLY)  # does not change the buffer


def read(size: int) -> None:
    """A read() whose size selects what the handler does (modules/faults.c)."""
    libc.read(empty, buffer, ctypes.c_size_t(size))


def thread_state(thread: int) -> str:
    """The kernel's letter for what a thread of this process does; S: sleeps."""
    return Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[0]


result: dict[str, object] = {}
with Module("sw_faults", 4) as module:
    module.start(target=os.getpid(), max_errors=100)
    for size in (1, 2, 3, 4, 5, 6, 7):
        read(size)
    found = module.read_all()
    result["address"] = f"0x{ctypes.addressof(buffer):x}"
    result["errors"] = [[r.site, r.text] for r in of_kind(found, EventKind.ERROR)]
    result["quoted"] = [r.text for r in of_kind(found, EventKind.PRINT)]
    result["good"] = module.words()[0]
    result["lanes"] = module.header.nr_lanes
    result["counts"] = [module.counts(i) for i in range(2)]
    result["cut"] = module.lane_counts()[2]
    module.stop()
    result["phases"] = [r.site for r in of_kind(module.read_all(), EventKind.PRINT)]

    module.start(target=os.getpid(), max_errors=BUDGET)
    for _ in range(BUDGET + 3):
        read(2)
    result["state"] = module.header.state.name
    result["failed"] = module.header.failed
    found = module.read_until_stopped(30)
    result["budget_errors"] = len(of_kind(found, EventKind.ERROR))
    result["error_phases"] = [r.site for r in of_kind(found, EventKind.PRINT)]

    module.start(target=os.getpid(), max_errors=BUDGET)
    read(8)  # exit()
    before = module.counts(0)
    read(7)
    result["after_exit"] = module.counts(0) == before
    result["exit_states"] = states(module.read_until_stopped(30))

    # a ring without a reader: records that do not fit are lost and counted
    module.start(target=os.getpid())
    module.read_all()
    _, lost_before, _ = module.lane_counts()
    for _ in range(PRINTS):
        read(6)
    _, lost, _ = module.lane_counts()
    result["kept"] = len(of_kind(module.read_all(), EventKind.PRINT))
    result["lost"] = lost - lost_before

    # the next record wakes a sleeping reader
    waiting = os.open(module.path, os.O_RDONLY)
    woken: list[list[Record]] = []
    reader = threading.Thread(target=lambda: woken.append(list(records(os.read(waiting, 65536)))))
    reader.start()
    while thread_state(reader.native_id or 0) != "S":
        os.sched_yield()
    read(6)
    reader.join(30)
    result["woken"] = [[r.kind.name, r.site] for r in woken[0]] if woken else None
    module.stop()
    os.close(waiting)
print(json.dumps(result))
