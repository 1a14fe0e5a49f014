# SPDX-License-Identifier: GPL-2.0-or-later
"""Listening sockets of all kinds, and the control socket with its lock.

await open_sockets(Address("localhost", 9436))          -> [socket of 127.0.0.1, socket of ::1]
ControlSocket(Path("/run/stapwatch/control.sock")).open()  # or ListenError: another agent has it
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.config.settings import Address, ListenAddress, UnixAddress, VsockAddress

BACKLOG = 128
# Every user of this machine may ask a loopback address, and so a socket in a folder that is open to them.
_OPEN_TO_ALL, _OWNER_ONLY = 0o666, 0o600
_CID_ANY, _CID_LOCAL = 0xFFFFFFFF, 1


class ListenError(Exception):
    """The server cannot listen on an address; the text says which and why."""


async def open_sockets(address: ListenAddress) -> list[socket.socket]:
    """Listen on an address; a name may have several. Raises ListenError, and then none is open."""
    with _failing(address):
        match address:
            case UnixAddress():
                return [bind_unix(address.path, _OPEN_TO_ALL)]
            case VsockAddress():
                return [_bind_vsock(address)]
            case Address():
                return await _bind_tcp(address)


def bind_unix(path: Path, mode: int) -> socket.socket:
    """Listen on a path, in place of a socket that nobody listens on any more. Raises OSError."""
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(before)
    return _listening(sock)


def _bind_vsock(address: VsockAddress) -> socket.socket:
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        sock.bind((_CID_ANY if address.cid is None else address.cid, address.port))
    except BaseException:
        sock.close()
        raise
    return _listening(sock)


async def _bind_tcp(address: Address) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    opened: list[socket.socket] = []
    try:
        for family, kind, protocol, _, place in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            opened.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(place)
            _listening(sock)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def _listening(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    sock.listen(BACKLOG)
    return sock


@contextmanager
def _failing(address: ListenAddress | Path) -> Iterator[None]:
    try:
        yield
    except socket.gaierror as error:
        raise ListenError(f"cannot listen on {address}: {error.strerror}") from error
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        hint = ""
        if error.errno == errno.EADDRINUSE and isinstance(address, Address):
            hint = f"; see who has it: ss -ltnp 'sport = :{address.port}'"
        text = f"cannot listen on {address}: {why.lower()}{hint}"
        raise ListenError(text) from error


def is_in_use(error: ListenError) -> bool:
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE


def address_of(sock: socket.socket) -> ListenAddress:
    """The address of a listening socket, with its real port."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return UnixAddress(Path(os.fsdecode(name)))
    if sock.family == socket.AF_VSOCK:
        return VsockAddress(None if name[0] == _CID_ANY else name[0], name[1])
    return Address(name[0], name[1])


def is_near(sock: socket.socket) -> bool:
    """Whether a connection's client is on this machine."""
    if sock.family == socket.AF_UNIX:
        return True
    try:
        here, there = sock.getsockname(), sock.getpeername()
    except OSError:
        return False
    if sock.family == socket.AF_VSOCK:
        return bool(there[0] == _CID_LOCAL)
    return _is_loopback(here[0]) and _is_loopback(there[0])


def host_of(sock: socket.socket) -> str:
    """The host of a TCP connection's client; "" for other kinds."""
    try:
        name = sock.getpeername()
    except OSError:
        return ""
    return str(name[0]) if sock.family in (socket.AF_INET, socket.AF_INET6) else ""


def peer_of(sock: socket.socket) -> object:
    """What stands for a connection's client, whatever its port; a network of IPv6, as it is given to one."""
    if sock.family == socket.AF_UNIX:
        return None
    try:
        host = sock.getpeername()[0]
    except OSError:
        return None
    if sock.family != socket.AF_INET6:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    return str(address.ipv4_mapped) if address.ipv4_mapped is not None else address.packed[:8]


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


# -- Unix sockets -----------------------------------------------------------------------------------


def _remove_stale(path: Path) -> None:
    """Remove a socket that a dead process has left. Raises OSError if it lives, or is another file."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # it lives, and its queue is full
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


class ControlSocket:
    """The control socket and its lock. Whoever has the lock is the agent; the kernel frees a dead one's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path.with_name(f"{path.name}.lock")
        self._lock = -1
        self._inode: tuple[int, int] | None = None

    def open(self) -> socket.socket:
        """Raises ListenError."""
        with _failing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            try:
                sock = bind_unix(self.path, _OWNER_ONLY)
                found = self.path.lstat()
                self._inode = found.st_dev, found.st_ino
            except BaseException:
                self.close()
                raise
        return sock

    def close(self) -> None:
        """Remove the socket, if it is still ours, and give the lock back."""
        with contextlib.suppress(OSError):
            found = self.path.lstat()
            if (found.st_dev, found.st_ino) == self._inode:
                self.path.unlink()
        self._inode = None
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                self._lock_path.unlink()
            os.close(self._lock)
            self._lock = -1

    def _take_lock(self) -> None:
        while True:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._lock_path, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(descriptor, 20).decode(errors="replace").strip()
                os.close(descriptor)
                raise ListenError(
                    f"cannot listen on {self.path}: another agent has it (process {owner or 'unknown'}); "
                    "stop that one, or give this one a work_folder of its own"
                ) from None
            if self._is_current(descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
                self._lock = descriptor
                return
            os.close(descriptor)  # its last owner removed it meanwhile

    def _is_current(self, descriptor: int) -> bool:
        try:
            now = self._lock_path.lstat()
        except FileNotFoundError:
            return False
        own = os.fstat(descriptor)
        return (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino)
