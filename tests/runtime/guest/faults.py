# SPDX-License-Identifier: GPL-2.0-or-later
"""Make handlers follow bad pointers; tell the errors they ended with."""

import ctypes
import json
import os

from module import Module, text_of

libc = ctypes.CDLL(None, use_errno=True)
zero = os.open("/dev/zero", os.O_RDONLY)
text = b'a "b"\n\x01' + b"2\xff" + b"x" * 80
buffer = ctypes.create_string_buffer(text)
address = ctypes.addressof(buffer)


def read(size, fd=zero):
    return libc.read(fd, ctypes.c_void_p(address), ctypes.c_size_t(size))


empty = os.open("/dev/null", os.O_RDONLY)  # leaves the buffer as it is
result = {}
with Module("sw_faults", 4) as module:
    module.start(target=os.getpid(), max_errors=100)
    for size in (1, 2, 3, 4, 5, 6, 7):
        read(size, empty)
    events = module.read_all()
    result["address"] = f"0x{address:x}"
    result["errors"] = [[e[2], text_of(e[5])] for e in events if e[0] == 1]
    result["quoted"] = [text_of(e[5]) for e in events if e[0] == 0]
    result["good"] = module.words()[0]
    result["lanes"] = module.header.nr_lanes
    result["counts"] = [module.counts(i) for i in range(2)]
    result["cut"] = module.lane_counts()[2]
    module.stop()
    result["phases"] = [e[2] for e in module.read_all() if e[0] == 0]
    # a budget of two errors, and the third ends it
    module.start(target=os.getpid(), max_errors=2)
    for _ in range(5):
        read(2, empty)
    result["state"] = module.header.state.name
    result["failed"] = module.header.failed
    events = module.read_until_stopped(30)
    result["budget_errors"] = sum(e[0] == 1 for e in events)
    result["error_phases"] = [e[2] for e in events if e[0] == 0]
    # exit() of a handler keeps all others out
    module.start(target=os.getpid(), max_errors=2)
    read(8, empty)
    before = module.counts(0)
    read(7, empty)
    result["after_exit"] = module.counts(0) == before
    result["exit_states"] = [e[2] for e in module.read_until_stopped(30) if e[0] == 2]
print(json.dumps(result))
