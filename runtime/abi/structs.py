# SPDX-License-Identifier: GPL-2.0-or-later
"""The structures that a module shares with its readers: the mirror of include/stapwatch/abi.h.

Each `struct.Struct` has the fields of its C structure, in order; a test compiles the header and compares
sizes and offsets. Modules of other releases may have shorter or longer ones: `Sizes`.
"""

import struct
from enum import IntEnum
from typing import Any

from runtime.support.record import record

ABI = 2
MAGIC = b"stapwtch"
DEVICE_FOLDER = "/dev/stapwatch"

# the offset is negative before 1970 plus the uptime; at its end a packed SIZES
HEADER = struct.Struct("<8sIIQQQQQQQQQIIqIIQQQQ32s")
SIZES = struct.Struct("<6I8x")
PROBE_COUNTS = struct.Struct("<QQQQQ")
PROBE_STATUS = struct.Struct("<QIi")
LANE_COUNTS = struct.Struct("<QQQ")
ARRAY_HEAD = struct.Struct("<IIIIII")
SLOT = struct.Struct("<IIII")
EVENT = struct.Struct("<IHHIIQ")
BUDGETS = struct.Struct("<QQQQ")
COSTS = struct.Struct("<6I")  # by Cost
START = struct.Struct("<Qqq16s32s24sQ")  # with a packed BUDGETS and a packed COSTS
SUMS = struct.Struct("<QQ")
DOUBLES = struct.Struct("<QIIIIII")
TABLE = struct.Struct("<QQQIIIIII")
CARRY = struct.Struct("<48s")  # a packed TABLE; the key and the row follow
EXPIRE = struct.Struct("<48sII")  # with a packed TABLE; the elements follow
EXPIRE_MOST = 64  # elements in a request
TIME = struct.Struct("<Q")

NO_PROBE = 0xFFFFFFFF
NO_SITE = 0xFFFFFFFF  # an error without a position in the script: a probe could not be attached
MILLION = 1_000_000  # a share of CPU time is given in millionths
WAITING = -49  # -EUNATCH: a probe's module of the kernel, or its init code, is not there
UNLIMITED_ERRORS = 0xFFFFFFFFFFFFFFFF
NO_TIME = 0xFFFFFFFFFFFFFFFF  # later than all records


def _ioc(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("w") << 8 | number


def start_request(size: int) -> int:
    """SW_IOC_START of a module whose sw_start has so many bytes."""
    return _ioc(1, 1, size)


IOC_START = start_request(START.size)
IOC_STOP = _ioc(0, 2, 0)
IOC_SYNC = _ioc(0, 3, 0)
IOC_SUMS = _ioc(3, 4, SUMS.size)
IOC_KEY = _ioc(0, 5, 0)
IOC_ARM = _ioc(1, 6, BUDGETS.size)
IOC_DISARM = _ioc(0, 7, 0)
IOC_COSTS = _ioc(3, 8, COSTS.size)
IOC_CONSUMED = _ioc(1, 9, TIME.size)
IOC_EXIT = _ioc(0, 10, 0)
IOC_CARRY = _ioc(1, 11, CARRY.size)
IOC_EXPIRE = _ioc(3, 12, EXPIRE.size)
IOC_DOUBLES = _ioc(3, 13, DOUBLES.size)


class State(IntEnum):
    LOADED = 0
    STARTING = 1
    RUNNING = 2
    EXITING = 3
    STOPPED = 4
    DISARMED = 5


class Breach(IntEnum):
    """Why a script was disarmed."""

    NONE = 0
    CPU = 1
    ONE_CPU = 2
    HIT_TIME = 3
    HIT_RATE = 4
    REQUEST = 5


class Cost(IntEnum):
    """The ways in which the kernel calls handlers, each with its own cost."""

    FTRACE = 0
    KPROBE = 1
    KRETPROBE = 2
    TIMER = 3


class EventKind(IntEnum):
    PRINT = 0
    ERROR = 1
    STATE = 2
    WARNING = 3
    COMMAND = 4
    SWITCH = 5


STATES = tuple(State)  # by number
STATE = struct.Struct("<I")
STATE_OFFSET = struct.calcsize("<8sIIQQQQQQQQQ")  # in the header


@record
class Budgets:
    """What a script may take before the module disarms itself; 0: no limit."""

    cpu_ppm: int = 0
    one_cpu_ppm: int = 0
    hit_ns: int = 0
    hits_per_second: int = 0

    def pack(self) -> bytes:
        return BUDGETS.pack(self.cpu_ppm, self.one_cpu_ppm, self.hit_ns, self.hits_per_second)


@record
class Sizes:
    """Bytes of the structures of one module."""

    header: int
    probe_counts: int
    probe_status: int
    lane_counts: int
    event: int
    start: int

    @classmethod
    def unpack(cls, data: bytes) -> "Sizes":
        found: tuple[int, ...] = SIZES.unpack(data)
        return cls(*found) if any(found) else FIRST_SIZES


# of the first release with ABI 2, whose header does not say them
FIRST_SIZES = Sizes(
    header=144, probe_counts=40, probe_status=16, lane_counts=24, event=24, start=96
)


def fitted(data: bytes | memoryview, size: int) -> bytes:
    """A structure in the size of another release: cut off, or with zeros at its end."""
    return bytes(data[:size]).ljust(size, b"\0")


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
    breach: Breach
    breach_probe: int
    breach_value: int
    breach_limit: int
    disarmed_ns: int
    disarms: int
    sizes: Sizes

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> "Header":
        """Read the header at the start of a mapping. Raises ValueError for other data and for another ABI."""
        fields: tuple[Any, ...] = HEADER.unpack_from(data)
        magic, abi = fields[0], fields[1]
        if magic != MAGIC:
            raise ValueError("not a stapwatch module: wrong magic")
        if abi != ABI:
            raise ValueError(f"the module has ABI {abi}, this release reads ABI {ABI}")
        state, failed, breach = State(fields[12]), bool(fields[13]), Breach(fields[15])
        sizes = Sizes.unpack(fields[21])
        values = (*fields[2:12], state, failed, fields[14], breach, *fields[16:21], sizes)
        return cls(*values)
