# SPDX-License-Identifier: GPL-2.0-or-later
"""A loaded module's device, and memory images of the same layout.

    with Device.open("swatch_1234") as device:
        device.start()
        device.header().state                  -> State.RUNNING
        device.manifest()                      -> Manifest(...)
        select.select([device], [], [])        # readable when records wait, or the state changed
        device.read_events()                   -> [Event(...), ...]
        device.consumed()                      # until then the next reader finds them again

    Image(data).lanes[0]                       -> memoryview of lane 0

Layout and requests: include/stapwatch/abi.h.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final

from runtime.abi import structs
from runtime.abi.manifest import Manifest, Storage, Table
from runtime.abi.structs import Budgets, Header, Sizes, State
from runtime.events.decode import Event, decode
from runtime.reader import hook_costs
from runtime.reader.doubles import Doubles
from runtime.reader.merge import total

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it since Python 3.11

_READ_SIZE: Final = 1 << 18
_POLL_S: Final = 0.01
_ZONE_ROOM: Final = 16  # bytes of a time zone's name, with its NUL


class DeviceError(OSError):
    """An operation on a module's device failed; the text names the module and the operation."""


class Image:
    """The mapping of a module: header, manifest, shared region and lanes, read-only.

    Views live as long as the image: drop them before `close`, which raises BufferError otherwise.
    """

    def __init__(self, data: bytes | bytearray | memoryview | mmap.mmap) -> None:
        """Take a mapping. Raises ValueError if it is no image, or shorter than its header says."""
        self._view = memoryview(data).toreadonly().cast("B")
        try:
            self._layout = self.header()
        except ValueError:
            self._view.release()
            raise
        end = _length(self._layout)
        size = self._view.nbytes
        if size < end:
            self._view.release()
            raise ValueError(f"the image has {size} bytes, its header describes {end}")

    def header(self) -> Header:
        """The header as of now: `state`, `failed` and the times change."""
        if self._view.nbytes < structs.HEADER.size:
            raise ValueError("not a stapwatch module: too short for a header")
        return Header.unpack(self._view)

    @property
    def sizes(self) -> Sizes:
        """Bytes of this module's structures, which may be another release's."""
        return self._layout.sizes

    @property
    def state(self) -> State:
        """The header's state as of now, in a tenth of the time."""
        number: int = structs.STATE.unpack_from(self._view, structs.STATE_OFFSET)[0]
        return structs.STATES[number]

    @cached_property
    def _manifest(self) -> Manifest:
        start = self._layout.manifest_offset
        text = bytes(self._view[start : start + self._layout.manifest_size])
        return Manifest.from_json(text.rstrip(b"\0"))

    def manifest(self) -> Manifest:
        """The module's description. Raises ValueError if it is damaged."""
        return self._manifest

    @cached_property
    def shared(self) -> memoryview:
        """The shared region, bytes."""
        start = self._layout.shared_offset
        return self._view[start : start + self._layout.shared_size]

    @cached_property
    def lanes(self) -> tuple[memoryview, ...]:
        """The lanes, bytes, one for each possible CPU."""
        start, stride = self._layout.lanes_offset, self._layout.lane_stride
        return tuple(
            self._view[start + n * stride : start + (n + 1) * stride]
            for n in range(self._layout.nr_lanes)
        )

    def sums(self, offset: int, count: int) -> bytes:
        """The sums over all lanes of `count` words from `offset`, wrapped to s64."""
        return total([lane[offset : offset + 8 * count] for lane in self.lanes])

    def doubles(
        self, offset: int, rows: int, row_words: int, first: int, count: int
    ) -> Doubles | None:
        """The sums of rows, with doubles for counts: `count` words from `first` on. Only modules do it."""
        return None

    def close(self) -> None:
        """Release the mapping; harmless if repeated."""
        for lane in self.__dict__.pop("lanes", ()):
            lane.release()
        shared = self.__dict__.pop("shared", None)
        if shared is not None:
            shared.release()
        self._view.release()

    def __enter__(self) -> "Self":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Device(Image):
    """A loaded module's device, mapped read-only and open for events. Works with select and asyncio."""

    _has_sums = _has_doubles = False
    read_size = 0  # bytes of the records that the last `read_events` returned

    def __init__(self, fd: int, name: str) -> None:
        """Adopt an open descriptor; it is closed if mapping fails. Raises DeviceError and ValueError."""
        self.name = name
        self._fd = fd
        self._has_sums = self._has_doubles = True  # until the module refuses the request
        with ExitStack() as undo:
            undo.callback(os.close, fd)
            try:
                with mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ) as first:
                    length = _length(Header.unpack(first[: structs.HEADER.size]))
                self._map = mmap.mmap(fd, length, mmap.MAP_SHARED, mmap.PROT_READ)
                undo.callback(self._map.close)
                super().__init__(self._map)
            except OSError as error:
                raise DeviceError(
                    error.errno, f"cannot map module {name}: {os.strerror(error.errno or 0)}"
                ) from error
            except ValueError as error:
                raise ValueError(f"module {name}: {error}") from error
            undo.pop_all()

    @classmethod
    def open(
        cls, name: str, timeout_s: float = 5.0, folder: Path = Path(structs.DEVICE_FOLDER)
    ) -> "Device":
        """Open a loaded module's device, waiting for its node. Raises DeviceError."""
        path = folder / name
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError as error:
                if time.monotonic() >= deadline:
                    raise DeviceError(
                        errno.ENOENT,
                        f"module {name} has no device {path} after {timeout_s:g} s: "
                        "is it loaded, and is /dev a devtmpfs?",
                    ) from error
                time.sleep(_POLL_S)
            except OSError as error:
                raise DeviceError(
                    error.errno, f"cannot open {path}: {os.strerror(error.errno or 0)}"
                ) from error
            else:
                return cls(fd, name)

    def fileno(self) -> int:
        """The descriptor, for poll; -1 once it is closed."""
        return self._fd

    def start(
        self,
        max_errors: int = structs.UNLIMITED_ERRORS,
        target: int = 0,
        budgets: Budgets | None = None,
        instead_of: "Device | None" = None,
    ) -> None:
        """Run begin probes and attach the others; `target` is the value of target(). Without `budgets` there
        are no limits. The time zone is that of this process, as of now. When the probes of this module run,
        those of `instead_of` cease to."""
        here = time.localtime()
        zone = here.tm_zone.encode()[: _ZONE_ROOM - 1]
        limits = (budgets or Budgets()).pack()
        hooks = hook_costs.costs(lambda costs: fcntl.ioctl(self._fd, structs.IOC_COSTS, costs))
        size = self.sizes.start
        both = instead_of is not None and size == instead_of.sizes.start == structs.START.size
        other = 1 + instead_of.fileno() if instead_of is not None and both else 0
        zone_west = -here.tm_gmtoff
        request = structs.START.pack(max_errors, target, zone_west, zone, limits, hooks, other)
        number, fitted = structs.start_request(size), structs.fitted(request, size)
        try:
            self._request("start", lambda: fcntl.ioctl(self._fd, number, fitted))
        except DeviceError as error:
            reported = self._start_errors()
            if reported:
                raise DeviceError(
                    error.errno, f"{error.strerror}: {'; '.join(reported)}"
                ) from error
            raise
        if instead_of is not None:
            instead_of.close_gates()  # of an older release, or a begin probe has ended this script

    def _start_errors(self) -> list[str]:
        """The module's own messages about a failed start: the probe that could not be attached."""
        try:
            found = self.read_events()
        except (OSError, ValueError):
            return []
        return [str(e.args[0]) for e in found if e.kind == structs.EventKind.ERROR]

    def stop(self) -> None:
        """Detach the probes and run end (or error) probes; tables keep their values."""
        self._request("stop", lambda: fcntl.ioctl(self._fd, structs.IOC_STOP))

    def arm(self, budgets: Budgets) -> None:
        """Attach the probes of a disarmed module again. In a running one, only replace the budgets."""
        self._request("arm", lambda: fcntl.ioctl(self._fd, structs.IOC_ARM, budgets.pack()))

    def disarm(self) -> None:
        """Detach the probes of a running module until `arm`; tables keep their values."""
        self._request("disarm", lambda: fcntl.ioctl(self._fd, structs.IOC_DISARM))

    def close_gates(self) -> None:
        """Let no probe run any more, as exit() does; `stop` follows. Older modules do it in `stop`. Nothing
        happens if it is done, or unless the module has been started."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, structs.IOC_EXIT)

    def sync(self) -> None:
        """Update the values that the kernel stores elsewhere (missed hits, clock offset).

        DeviceError if they are not, because the module is being started or stopped.
        """
        self._request("sync", lambda: fcntl.ioctl(self._fd, structs.IOC_SYNC))

    def press(self, byte: int) -> None:
        """Run the probes of a key; nothing happens unless the module is running."""
        self._request("send a key to", lambda: fcntl.ioctl(self._fd, structs.IOC_KEY, byte))

    def sums(self, offset: int, count: int) -> bytes:
        """Image.sums, computed by the module, which is 25 times faster. Older modules cannot do it."""
        if self._has_sums and count:
            buffer = bytearray(structs.SUMS.size + 8 * count)
            structs.SUMS.pack_into(buffer, 0, offset, count)
            self._has_sums = self._reads(structs.IOC_SUMS, buffer)
            if self._has_sums:
                return bytes(memoryview(buffer)[structs.SUMS.size :])
        return super().sums(offset, count)

    def doubles(
        self, offset: int, rows: int, row_words: int, first: int, count: int
    ) -> Doubles | None:
        """Image.doubles; None of an older module."""
        if not self._has_doubles:
            return None
        buffer = bytearray(structs.DOUBLES.size + 8 * rows * row_words)
        structs.DOUBLES.pack_into(buffer, 0, offset, rows, row_words, first, count, 0, 0)
        self._has_doubles = self._reads(structs.IOC_DOUBLES, buffer)
        if not self._has_doubles:
            return None
        *_, begin, end = structs.DOUBLES.unpack_from(buffer)
        return Doubles(bytes(memoryview(buffer)[structs.DOUBLES.size :]), begin, end)

    def _reads(self, request: int, buffer: bytearray) -> bool:
        """Let the module fill in a request for sums. False: it is older than that."""
        try:
            fcntl.ioctl(self._fd, request, buffer)
        except OSError as error:
            if error.errno == errno.ENOTTY:
                return False
            raise DeviceError(
                error.errno, f"cannot read module {self.name}: {os.strerror(error.errno or 0)}"
            ) from error
        return True

    def read_events(self, room: int = _READ_SIZE) -> list[Event]:
        """The pending records, oldest first, as many as fit into `room` bytes, but at least one; [] if
        there are none."""
        # a buffer for each call: one that stays would take most of what a script costs the agent
        buffer = bytearray(room)
        try:
            size = os.readv(self._fd, [buffer])
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno == errno.EINVAL and room < _READ_SIZE:  # the first record is longer
                return self.read_events()
            raise DeviceError(
                error.errno,
                f"cannot read events of module {self.name}: {os.strerror(error.errno or 0)}",
            ) from error
        self.read_size = size
        return decode(memoryview(buffer)[:size], self.manifest(), self.sizes.event)

    def consumed(self, before: int = structs.NO_TIME) -> None:
        """Give back the records that were read and whose `time_ns` is less than `before`; 0 gives back none.

        From the first call on, this device is the module's only reader. What it has read and not given back
        when it is closed, or its process is killed, is read again by the next one. Of older modules, what was
        read is gone.
        """
        try:
            fcntl.ioctl(self._fd, structs.IOC_CONSUMED, structs.TIME.pack(before))
        except OSError as error:
            if error.errno != errno.ENOTTY:
                raise DeviceError(
                    error.errno,
                    f"cannot read events of module {self.name}: {os.strerror(error.errno or 0)}",
                ) from error

    def expire(self, table: Table, elements: Sequence[tuple[int, int, bytes]]) -> int:
        """Remove elements that are as they were read: (slot, its sequence, its row). Returns how many, which
        may be fewer. It waits for handlers that run: some milliseconds for each EXPIRE_MOST elements. Older
        modules remove nothing."""
        removed = 0
        for at in range(0, len(elements), structs.EXPIRE_MOST):
            some = elements[at : at + structs.EXPIRE_MOST]
            head = structs.EXPIRE.pack(_described(table), len(some), 0)
            data = [struct.pack("<II", slot + 1, seen) + row for slot, seen, row in some]
            request = bytearray(head + b"".join(data))
            try:
                fcntl.ioctl(self._fd, structs.IOC_EXPIRE, request)
            except OSError as error:
                if error.errno == errno.ENOTTY:
                    return 0
                why = os.strerror(error.errno or 0)
                text = f"cannot remove elements of '{table.name}' in module {self.name}: {why}"
                raise DeviceError(error.errno, text) from error
            removed += structs.EXPIRE.unpack_from(request)[-1]
        return removed

    def carry(self, table: Table, key: bytes, row: bytes) -> bool:
        """Give one of this module's tables an element that another module has counted: add it to the row, if
        rows are in lanes, and else write the row, which is refused once the module is started. False if the
        table is full."""
        request = bytearray(structs.CARRY.pack(_described(table)) + key + row)
        try:
            self._request(
                f"carry '{table.name}' over to",
                lambda: fcntl.ioctl(self._fd, structs.IOC_CARRY, request),
            )
        except DeviceError as error:
            if error.errno == errno.ENOSPC:
                return False
            raise
        return True

    def close(self) -> None:
        """Unmap and close, so that the module can be unloaded."""
        super().close()
        self._map.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _request(self, verb: str, request: Callable[[], object]) -> None:
        try:
            request()
        except OSError as error:
            raise DeviceError(
                error.errno,
                f"cannot {verb} module {self.name}: {os.strerror(error.errno or 0)}",
            ) from error


def _described(table: Table) -> bytes:
    """A packed TABLE."""
    slots, array = table.slots, (0, 0, 0, 0, 0, 0)
    if slots is not None:
        entries = (slots.offset - slots.head - structs.ARRAY_HEAD.size) // 4
        key_size = slots.stride - slots.key_offset
        array = (slots.head, table.lock or 0, entries, slots.capacity, slots.stride, key_size)
    return structs.TABLE.pack(table.rows, *array, table.row_size, table.storage is Storage.SHARED)


def _length(header: Header) -> int:
    return max(
        header.manifest_offset + header.manifest_size,
        header.shared_offset + header.shared_size,
        header.lanes_offset + header.nr_lanes * header.lane_stride,
    )
