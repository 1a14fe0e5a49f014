# SPDX-License-Identifier: GPL-2.0-or-later
"""Listening sockets that systemd has opened for the agent (stapwatch.socket; sd_listen_fds(3)).

    sockets = InheritedSockets.taken()
    sockets.matching(Address("127.0.0.1", 9436))   -> a copy of the socket, or None
    sockets.unused()                               -> ["[::]:9437"]

systemd keeps them open while the agent restarts, so connections made meanwhile wait, and none is refused.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence

from agent.config.settings import Address
from agent.web.listeners import ListenError

_FIRST = 3  # SD_LISTEN_FDS_START
_ANY = {"0.0.0.0", "::"}


class InheritedSockets:
    """`sockets` stay open as long as the process: an address may leave the configuration and come back."""

    def __init__(self, sockets: Sequence[socket.socket] = ()) -> None:
        self._sockets = tuple(sockets)
        self._used: set[int] = set()

    @classmethod
    def taken(cls) -> InheritedSockets:
        """Those that this process was started with. Its children get none."""
        sockets = []
        for fd in _descriptors(os.environ):
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, False)
                found = socket.socket(fileno=fd)
                if found.family in (socket.AF_INET, socket.AF_INET6) and _listens(found):
                    found.setblocking(False)
                    sockets.append(found)
                else:
                    found.detach()  # of another kind, which is not ours
        for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
            os.environ.pop(name, None)
        return cls(sockets)

    def __bool__(self) -> bool:
        return bool(self._sockets)

    def matching(self, address: Address) -> socket.socket | None:
        """A copy of the socket that listens on this address."""
        wanted = _resolved(address)
        for number, sock in enumerate(self._sockets):
            if wanted & _served(sock):
                self._used.add(number)
                return sock.dup()
        return None

    def refuse(self, address: Address) -> None:
        """Raises ListenError if systemd has the port of an address that cannot be opened."""
        names = [sock.getsockname() for sock in self._sockets]
        held = [str(Address(name[0], name[1])) for name in names if name[1] == address.port]
        if held:
            raise ListenError(
                f"cannot listen on {address}: stapwatch.socket has {held[0]}; change its ListenStream=, too: "
                "systemctl edit stapwatch.socket; systemctl restart stapwatch.socket"
            )

    def unused(self) -> list[str]:
        """The addresses of those that no configured address has matched: clients would wait there in vain."""
        names = (s.getsockname() for n, s in enumerate(self._sockets) if n not in self._used)
        return [str(Address(name[0], name[1])) for name in names]


def _descriptors(environment: Mapping[str, str]) -> range:
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count.isdecimal():
        return range(0)
    return range(_FIRST, _FIRST + int(count))


def _listens(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _served(sock: socket.socket) -> set[tuple[str, int]]:
    """The addresses that a socket serves; one for all of IPv6 usually takes IPv4 as well."""
    host, port = sock.getsockname()[:2]
    found = {(host, port)}
    if host == "::" and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        found.add(("0.0.0.0", port))
    return found


def _resolved(address: Address) -> set[tuple[str, int]]:
    """Address and port as the kernel names them."""
    try:
        found = socket.getaddrinfo(
            address.host or None,
            address.port,
            type=socket.SOCK_STREAM,
            flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV,
        )
    except OSError:
        return {(address.host, address.port)}
    return {(str(row[4][0]), int(row[4][1])) for row in found}
