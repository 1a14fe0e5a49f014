# SPDX-License-Identifier: GPL-2.0-or-later
"""A loaded module's device, and memory images of the same layout.

    with Device.open("swatch_1234") as device:
        device.start()
        device.header().state                  -> State.RUNNING
        device.manifest()                      -> Manifest(...)
        select.select([device], [], [])        # readable when records wait, or the state changed
        device.read_events()                   -> [Event(...), ...]

    Image(data).lanes[0]                       -> memoryview of lane 0

Layout and requests: include/stapwatch/abi.h.
"""

import errno
import fcntl
import mmap
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from runtime.abi import structs
from runtime.abi.manifest import Manifest
from runtime.abi.structs import Header
from runtime.events.decode import Event, decode
from runtime.reader.merge import total

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

    def close(self) -> None:
        """Release the mapping; harmless if repeated."""
        for lane in self.__dict__.pop("lanes", ()):
            lane.release()
        shared = self.__dict__.pop("shared", None)
        if shared is not None:
            shared.release()
        self._view.release()

    def __enter__(self) -> Self:
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

    _has_sums = False

    def __init__(self, fd: int, name: str) -> None:
        """Adopt an open descriptor; it is closed if mapping fails. Raises DeviceError and ValueError."""
        self.name = name
        self._fd = fd
        self._buffer = bytearray(_READ_SIZE)
        self._has_sums = True  # until the module refuses the request
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

    def start(self, max_errors: int = structs.UNLIMITED_ERRORS, target: int = 0) -> None:
        """Run begin probes and attach the others; `target` is the value of target(). The time zone is that of
        this process, as of now."""
        here = time.localtime()
        zone = here.tm_zone.encode()[: _ZONE_ROOM - 1]
        request = structs.START.pack(max_errors, target, -here.tm_gmtoff, zone)
        try:
            self._request("start", lambda: fcntl.ioctl(self._fd, structs.IOC_START, request))
        except DeviceError as error:
            reported = self._start_errors()
            if reported:
                raise DeviceError(
                    error.errno, f"{error.strerror}: {'; '.join(reported)}"
                ) from error
            raise

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

    def sync(self) -> None:
        """Update the values that the kernel stores elsewhere (missed hits, clock offset)."""
        self._request("sync", lambda: fcntl.ioctl(self._fd, structs.IOC_SYNC))

    def press(self, byte: int) -> None:
        """Run the probes of a key; nothing happens unless the module is running."""
        self._request("send a key to", lambda: fcntl.ioctl(self._fd, structs.IOC_KEY, byte))

    def sums(self, offset: int, count: int) -> bytes:
        """Image.sums, computed by the module, which is 25 times faster. Older modules cannot do it."""
        if self._has_sums and count:
            buffer = bytearray(structs.SUMS.size + 8 * count)
            structs.SUMS.pack_into(buffer, 0, offset, count)
            try:
                fcntl.ioctl(self._fd, structs.IOC_SUMS, buffer)
            except OSError as error:
                if error.errno != errno.ENOTTY:
                    raise DeviceError(
                        error.errno,
                        f"cannot read module {self.name}: {os.strerror(error.errno or 0)}",
                    ) from error
                self._has_sums = False
            else:
                return bytes(memoryview(buffer)[structs.SUMS.size :])
        return super().sums(offset, count)

    def read_events(self, room: int = _READ_SIZE) -> list[Event]:
        """The pending records, oldest first, as many as fit into `room` bytes, but at least one; [] if
        there are none."""
        try:
            size = os.readv(self._fd, [memoryview(self._buffer)[:room]])
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno == errno.EINVAL and room < _READ_SIZE:  # the first record is longer
                return self.read_events()
            raise DeviceError(
                error.errno,
                f"cannot read events of module {self.name}: {os.strerror(error.errno or 0)}",
            ) from error
        return decode(memoryview(self._buffer)[:size], self.manifest())

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


def _length(header: Header) -> int:
    return max(
        header.manifest_offset + header.manifest_size,
        header.shared_offset + header.shared_size,
        header.lanes_offset + header.nr_lanes * header.lane_stride,
    )
