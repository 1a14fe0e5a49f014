# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes that have called the loader.

callers = Callers(selector)
callers.add(connection)
callers.alive              -> True
callers.ended(file_object) -> True if that is a caller that has ended; it is forgotten then
"""

from __future__ import annotations

import os
import selectors
import socket
import struct

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)


class Callers:
    """Each process once; the selector tells when one of them has ended."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        # by pidfd, which still means its process when the PID is used again
        self._pids: dict[int, int] = {}

    @property
    def alive(self) -> bool:
        return bool(self._pids)

    def add(self, connection: socket.socket) -> None:
        pid = _UCRED.unpack(
            connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        )[0]
        if pid in self._pids.values():
            return
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # it has ended
            return
        self._pids[pidfd] = pid
        self._selector.register(pidfd, selectors.EVENT_READ)

    def ended(self, pidfd: object) -> bool:
        if not isinstance(pidfd, int) or pidfd not in self._pids:
            return False
        self._selector.unregister(pidfd)
        del self._pids[pidfd]
        os.close(pidfd)
        return True

    def close(self) -> None:
        for pidfd in list(self._pids):
            self.ended(pidfd)
