# SPDX-License-Identifier: GPL-2.0-or-later
"""Count N reads of this process by every kind of hook; print the module's counts."""

import ctypes
import errno
import itertools
import json
import mmap
import os
import sys
from functools import partial

from runtime.abi.structs import EventKind
from tests.runtime.kernel.guest.module import Module, errno_of, of_kind, rmmod, states

N = int(sys.argv[1])
CALL = 3  # the print of on_syscall
result: dict[str, object] = {}


def protect(memory: mmap.mmap) -> str:
    """The name of the errno of an attempt to make a read-only mapping writable."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_char * 80)()  # a Py_buffer, whose first field is the address
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(memory), buffer, 0)
    address = ctypes.c_void_p.from_buffer(buffer).value
    failed = libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(4096), 3)
    ctypes.pythonapi.PyBuffer_Release(buffer)
    return errno.errorcode[ctypes.get_errno()] if failed else "ok"


with Module("sw_reads", 9) as module:
    result["mode"] = oct(module.path.stat().st_mode)
    result["manifest"] = module.manifest
    result["loaded"] = module.header.state.name
    result["busy"] = rmmod("sw_reads").returncode != 0
    writable = os.open(module.path, os.O_RDWR)
    shared = partial(mmap.mmap, writable, module.size, mmap.MAP_SHARED)
    result["mmap_write"] = errno_of(partial(shared, mmap.PROT_READ | mmap.PROT_WRITE))
    result["mmap_exec"] = errno_of(partial(shared, mmap.PROT_READ | mmap.PROT_EXEC))
    with shared(mmap.PROT_READ) as memory:
        result["mprotect"] = protect(memory)
    os.close(writable)

    zero = os.open("/dev/zero", os.O_RDONLY)
    os.read(zero, 1)
    result["hits_before"] = module.counts(1)
    module.start(target=os.getpid())
    result["started"] = module.header.state.name
    result["again"] = errno_of(module.start)
    for i in range(N):
        os.read(zero, 1 + i % 7)
    module.stop()
    os.read(zero, 1)
    result["stopped"] = module.header.state.name

    result["words"] = module.words()
    result["counts"] = [module.counts(i) for i in range(9)]
    result["status"] = [module.status(i) for i in range(9)]
    result["events_lost"] = module.lane_counts()[1]
    found = module.read_all()
    result["end_of_file"] = module.read() == []
    result["sorted"] = all(a.time <= b.time for a, b in itertools.pairwise(found))
    result["states"] = states(found)
    told = of_kind(found, EventKind.ERROR, EventKind.WARNING)
    result["warnings"] = [[record.kind.name, record.probe, record.text] for record in told]
    prints = of_kind(found, EventKind.PRINT)
    result["prints"] = [[r.site, r.probe, r.long] for r in prints if r.site != CALL]
    calls = [record for record in prints if record.site == CALL]
    result["calls"] = len(calls)
    result["names"] = sorted({r._replace(arguments=r.arguments[8:]).text for r in calls})
    result["pid"] = os.getpid()
print(json.dumps(result))
