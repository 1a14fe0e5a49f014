# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: load a hand-written test module and talk to its device, with only structs.py.

with Module("sw_reads", 9) as module:
    module.start(target=os.getpid())
    module.words()                       # sums over the lanes, as modules/script.h lays them out
"""

import errno
import fcntl
import mmap
import os
import select
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from runtime.abi import structs
from runtime.abi.structs import Budgets, EventKind, Header, State

NR_WORDS = 16


class Record(NamedTuple):
    kind: EventKind
    site: int
    probe: int
    time: int
    arguments: bytes

    @property
    def long(self) -> int:
        return int(struct.unpack_from("<q", self.arguments)[0])

    @property
    def text(self) -> str:
        return self.arguments[8 : 8 + self.long].decode(errors="replace")


def insmod(name: str) -> subprocess.CompletedProcess[str]:
    """Load NAME.ko of the working directory."""
    return subprocess.run(["insmod", f"{name}.ko"], capture_output=True, text=True)


def rmmod(name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["rmmod", name], capture_output=True, text=True)


def errno_of(call: Callable[[], object]) -> str:
    """The name of the errno that a call fails with, or "ok"."""
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "ok"


class Module:
    """A module with `nr_probes` probes, loaded inside a with statement."""

    def __init__(self, name: str, nr_probes: int) -> None:
        self.name, self.nr_probes = name, nr_probes
        self.path = Path(structs.DEVICE_FOLDER) / name

    def __enter__(self) -> "Module":
        done = insmod(self.name)
        assert done.returncode == 0, done.stderr + subprocess.getoutput("dmesg | tail -5")
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        with mmap.mmap(self.fd, mmap.PAGESIZE, prot=mmap.PROT_READ) as page:
            header = Header.unpack(page[:])
        self.size = header.lanes_offset + header.nr_lanes * header.lane_stride
        self.map = mmap.mmap(self.fd, self.size, prot=mmap.PROT_READ)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.map.close()
        os.close(self.fd)
        done = rmmod(self.name)
        assert done.returncode == 0, done.stderr
        assert not self.path.exists()

    # -- control --------------------------------------------------------------------------------

    def start(self, target: int = 0, max_errors: int = structs.UNLIMITED_ERRORS) -> None:
        request = structs.START.pack(max_errors, target, 0, b"", Budgets().pack(), b"", 0)
        fcntl.ioctl(self.fd, structs.IOC_START, request)

    def arm(self) -> None:
        fcntl.ioctl(self.fd, structs.IOC_ARM, Budgets().pack())

    def disarm(self) -> None:
        fcntl.ioctl(self.fd, structs.IOC_DISARM)

    def stop(self) -> None:
        fcntl.ioctl(self.fd, structs.IOC_STOP)

    # -- tables ---------------------------------------------------------------------------------

    @property
    def header(self) -> Header:
        return Header.unpack(self.map[: structs.HEADER.size])

    @property
    def manifest(self) -> str:
        h = self.header
        return self.map[h.manifest_offset : h.manifest_offset + h.manifest_size].decode()

    def _sums(self, form: struct.Struct, offset: int) -> list[int]:
        """Each field of a struct at `offset` of the lanes, summed."""
        h = self.header
        places = [h.lanes_offset + lane * h.lane_stride + offset for lane in range(h.nr_lanes)]
        rows = [form.unpack_from(self.map, place) for place in places]
        return [sum(column) for column in zip(*rows, strict=True)]

    def counts(self, probe: int) -> list[int]:
        """Return [hits, skipped_reentrant, skipped_lock, errors]."""
        return self._sums(structs.PROBE_COUNTS, structs.PROBE_COUNTS.size * probe)[:4]

    def lane_counts(self) -> list[int]:
        """Return [events, events_lost, strings_cut]."""
        return self._sums(structs.LANE_COUNTS, structs.PROBE_COUNTS.size * self.nr_probes)

    def words(self) -> list[int]:
        start = structs.PROBE_COUNTS.size * self.nr_probes + structs.LANE_COUNTS.size
        return self._sums(struct.Struct(f"<{NR_WORDS}Q"), start)

    def shared(self) -> list[int]:
        at = self.header.shared_offset + structs.PROBE_STATUS.size * self.nr_probes
        return list(struct.unpack_from(f"<{NR_WORDS}Q", self.map, at))

    def status(self, probe: int) -> list[int]:
        """Return [missed, armed, error]."""
        at = self.header.shared_offset + structs.PROBE_STATUS.size * probe
        return list(structs.PROBE_STATUS.unpack_from(self.map, at))

    # -- events ---------------------------------------------------------------------------------

    def read(self, room: int = 65536) -> list[Record] | None:
        """One read(); None if no record waits, an empty list at the end of file."""
        try:
            data = os.read(self.fd, room)
        except BlockingIOError:
            return None
        return list(records(data))

    def read_all(self) -> list[Record]:
        """All pending records."""
        got: list[Record] = []
        while batch := self.read():
            got += batch
        return got

    def read_until_stopped(self, seconds: float) -> list[Record]:
        """Wait for records with poll() until the end of file; stop the module when it asks for it."""
        got: list[Record] = []
        deadline = time.monotonic() + seconds
        poller = select.poll()
        poller.register(self.fd, select.POLLIN | select.POLLPRI)
        while True:
            left = deadline - time.monotonic()
            assert left > 0, f"no end of file within {seconds} s; {self.header}, {got}"
            for _, mask in poller.poll(1000 * left):
                if mask & select.POLLPRI:
                    self.stop()
            batch = self.read()
            if batch == []:
                return got
            got += batch or []


def records(data: bytes) -> Iterator[Record]:
    at = 0
    while at < len(data):
        size, kind, _, site, probe, when = structs.EVENT.unpack_from(data, at)
        yield Record(EventKind(kind), site, probe, when, data[at + structs.EVENT.size : at + size])
        at += size
    assert at == len(data)


def of_kind(found: list[Record], *kinds: EventKind) -> list[Record]:
    return [record for record in found if record.kind in kinds]


def states(found: list[Record]) -> list[str]:
    return [State(record.site).name for record in of_kind(found, EventKind.STATE)]
