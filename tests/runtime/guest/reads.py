# SPDX-License-Identifier: GPL-2.0-or-later
"""Count N reads of this process by every kind of hook; tell what the module saw."""

import ctypes
import errno
import json
import mmap
import os
import sys

from module import Module, errno_of, long_of, rmmod, text_of


def protect(memory):
    """The errno's name of making a read-only mapping writable."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_char * 80)()  # a Py_buffer, whose first field is the address
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(memory), buffer, 0)
    address = ctypes.c_void_p.from_buffer(buffer).value
    failed = libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), 3)
    ctypes.pythonapi.PyBuffer_Release(buffer)
    return errno.errorcode[ctypes.get_errno()] if failed else "ok"


N = int(sys.argv[1])
result = {}

with Module("sw_reads", 9) as module:
    result["mode"] = oct(os.stat(module.path).st_mode)
    result["manifest"] = module.manifest
    result["loaded"] = module.header.state.name
    writable = os.open(module.path, os.O_RDWR)
    for name, protection in (("write", mmap.PROT_WRITE), ("exec", mmap.PROT_EXEC)):
        result[f"mmap_{name}"] = errno_of(
            mmap.mmap, writable, module.size, mmap.MAP_SHARED, mmap.PROT_READ | protection
        )
    with mmap.mmap(writable, module.size, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
        result["mprotect"] = protect(memory)
    os.close(writable)
    result["busy"] = rmmod("sw_reads").returncode != 0
    before = open("/dev/zero", "rb", buffering=0)
    before.read(1)
    result["hits_before"] = module.counts(1)
    module.start(target=os.getpid())
    result["started"] = module.header.state.name
    result["again"] = errno_of(module.start)
    zero = before.fileno()
    for i in range(N):
        os.read(zero, 1 + i % 7)
    module.stop()
    result["stopped"] = module.header.state.name
    os.read(zero, 1)
    result["words"] = module.words()
    result["counts"] = [module.counts(i) for i in range(9)]
    result["status"] = [module.status(i) for i in range(9)]
    result["events_lost"] = module.lane_counts()[1]
    events = module.read_all()
    result["end_of_file"] = module.read()
    result["times_sorted"] = all(a[4] <= b[4] for a, b in zip(events, events[1:]))
    result["states"] = [e[2] for e in events if e[0] == 2]
    result["warnings"] = [[e[3], text_of(e[5])] for e in events if e[0] in (1, 3)]
    result["prints"] = [[e[2], e[3], long_of(e[5])] for e in events if e[0] == 0 and e[2] != 3]
    calls = [e for e in events if e[0] == 0 and e[2] == 3]
    result["calls"] = len(calls)
    result["names"] = sorted({text_of(e[5][8:]) for e in calls})
    result["memory"] = module.header.memory
    result["pid"] = os.getpid()
print(json.dumps(result))
