# SPDX-License-Identifier: GPL-2.0-or-later
"""The structures that a module shares with its readers: the mirror of include/stapwatch/abi.h.

Each `struct.Struct` has the fields of its C structure, in order; a test compiles the header and compares
sizes and offsets.
"""

import struct
from enum import IntEnum
from typing import Any

from runtime.support.record import record

ABI = 1
MAGIC = b"stapwtch"
DEVICE_FOLDER = "/dev/stapwatch"

HEADER = struct.Struct("<8sIIQQQQQQQQQIIq")  # the offset is negative before 1970 plus the uptime
PROBE_COUNTS = struct.Struct("<QQQQ")
PROBE_STATUS = struct.Struct("<QIi")
LANE_COUNTS = struct.Struct("<QQQ")
ARRAY_HEAD = struct.Struct("<IIIIII")
SLOT = struct.Struct("<IIII")
EVENT = struct.Struct("<IHHIIQ")
START = struct.Struct("<Qqq16s24x")
SUMS = struct.Struct("<QQ")

NO_PROBE = 0xFFFFFFFF
NO_SITE = 0xFFFFFFFF  # an error without a position in the script: a probe could not be attached
UNLIMITED_ERRORS = 0xFFFFFFFFFFFFFFFF


def _ioc(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("w") << 8 | number


IOC_START = _ioc(1, 1, START.size)
IOC_STOP = _ioc(0, 2, 0)
IOC_SYNC = _ioc(0, 3, 0)
IOC_SUMS = _ioc(3, 4, SUMS.size)
IOC_KEY = _ioc(0, 5, 0)


class State(IntEnum):
    LOADED = 0
    STARTING = 1
    RUNNING = 2
    EXITING = 3
    STOPPED = 4


class EventKind(IntEnum):
    PRINT = 0
    ERROR = 1
    STATE = 2
    WARNING = 3
    COMMAND = 4
    SWITCH = 5


@record
class Header:
    """The first page of a module's mapping. Offsets and sizes in bytes, times in ns since 1970."""

    nr_lanes: int
    manifest_offset: int
    manifest_size: int
    shared_offset: int
    shared_size: int
    lanes_offset: int
    lane_stride: int
    memory: int
    loaded_ns: int
    started_ns: int
    state: State
    failed: bool
    time_offset: int

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> "Header":
        """Read a header. Raises ValueError for other data and for another ABI."""
        fields: tuple[Any, ...] = HEADER.unpack_from(data)
        magic, abi = fields[0], fields[1]
        if magic != MAGIC:
            raise ValueError("not a stapwatch module: wrong magic")
        if abi != ABI:
            raise ValueError(f"the module has ABI {abi}, this reader ABI {ABI}")
        values = (*fields[2:12], State(fields[12]), bool(fields[13]), fields[14])
        return cls(*values)
