# SPDX-License-Identifier: GPL-2.0-or-later
"""In the guest: load a hand-written test module and talk to its device, with nothing but abi.py.

    with Module("sw_reads") as module:
        module.start(target=os.getpid())
        module.words(0)                      # sums over the lanes, as modules/script.h lays them out
"""

import errno
import fcntl
import mmap
import os
import select
import struct
import subprocess
import time

import abi

NR_WORDS = 16
FOLDER = os.path.dirname(os.path.abspath(__file__))


def insmod(name, *parameters):
    return subprocess.run(
        ["insmod", f"{FOLDER}/{name}.ko", *parameters], capture_output=True, text=True
    )


def rmmod(name):
    return subprocess.run(["rmmod", name], capture_output=True, text=True)


def read_sizes(sizes):
    """Make one read() of /dev/zero for each size."""
    fd = os.open("/dev/zero", os.O_RDONLY)
    for size in sizes:
        os.read(fd, size)
    os.close(fd)


class Module:
    def __init__(self, name, nr_probes):
        self.name, self.nr_probes = name, nr_probes
        self.path = f"{abi.DEVICE_FOLDER}/{name}"

    def __enter__(self):
        done = insmod(self.name)
        assert done.returncode == 0, done.stderr + subprocess.getoutput("dmesg | tail -5")
        self.fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        with mmap.mmap(self.fd, 4096, prot=mmap.PROT_READ) as page:
            header = abi.Header.unpack(page)
        self.size = header.lanes_offset + header.nr_lanes * header.lane_stride
        self.map = mmap.mmap(self.fd, self.size, prot=mmap.PROT_READ)
        return self

    def __exit__(self, *_):
        self.map.close()
        os.close(self.fd)
        done = rmmod(self.name)
        assert done.returncode == 0, done.stderr
        assert not os.path.exists(self.path)

    @property
    def header(self):
        return abi.Header.unpack(self.map)

    @property
    def manifest(self):
        h = self.header
        return self.map[h.manifest_offset : h.manifest_offset + h.manifest_size].decode()

    def start(self, target=0, max_errors=abi.UNLIMITED_ERRORS):
        fcntl.ioctl(self.fd, abi.IOC_START, abi.START.pack(max_errors, target))

    def stop(self):
        fcntl.ioctl(self.fd, abi.IOC_STOP)

    def sync(self):
        fcntl.ioctl(self.fd, abi.IOC_SYNC)

    def _lanes(self):
        h = self.header
        return [h.lanes_offset + lane * h.lane_stride for lane in range(h.nr_lanes)]

    def counts(self, probe):
        """Return [hits, skipped_reentrant, skipped_lock, errors], summed."""
        at = abi.PROBE_COUNTS.size * probe
        rows = [abi.PROBE_COUNTS.unpack_from(self.map, lane + at) for lane in self._lanes()]
        return [sum(column) for column in zip(*rows)]

    def lane_counts(self):
        at = abi.PROBE_COUNTS.size * self.nr_probes
        rows = [abi.LANE_COUNTS.unpack_from(self.map, lane + at) for lane in self._lanes()]
        return [sum(column) for column in zip(*rows)]

    def words(self):
        at = abi.PROBE_COUNTS.size * self.nr_probes + abi.LANE_COUNTS.size
        form = struct.Struct(f"<{NR_WORDS}Q")
        rows = [form.unpack_from(self.map, lane + at) for lane in self._lanes()]
        return [sum(column) for column in zip(*rows)]

    def shared(self):
        at = self.header.shared_offset + abi.PROBE_STATUS.size * self.nr_probes
        return list(struct.unpack_from(f"<{NR_WORDS}Q", self.map, at))

    def status(self, probe):
        """Return [missed, armed, error]."""
        at = self.header.shared_offset + abi.PROBE_STATUS.size * probe
        return list(abi.PROBE_STATUS.unpack_from(self.map, at))

    def read(self, room=65536):
        """One read(): [kind, cpu, site, probe, time, rest], ...; None where nothing waits."""
        try:
            data = os.read(self.fd, room)
        except BlockingIOError:
            return None
        return list(records(data))

    def read_all(self):
        """Every record that waits now."""
        got = []
        while batch := self.read():
            got += batch
        return got

    def read_until_stopped(self, seconds):
        """Wait with poll() for records; stop the module when it asks for it; until its end of file."""
        got, deadline = [], time.monotonic() + seconds
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


def records(data):
    at = 0
    while at < len(data):
        size, kind, cpu, site, probe, when = abi.EVENT.unpack_from(data, at)
        yield [kind, cpu, site, probe, when, data[at + abi.EVENT.size : at + size]]
        at += size
    assert at == len(data)


def long_of(rest):
    return struct.unpack_from("<q", rest)[0]


def text_of(rest):
    length = long_of(rest)
    return rest[8 : 8 + length].decode(errors="replace")


def errno_of(call, *arguments):
    """The errno's name that a call fails with, or "ok"."""
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"
