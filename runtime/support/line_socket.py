# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines, bytes and open files over a Unix socket.

    peer = LineSocket(sock)
    peer.send(b'{"do": "open", "module": "sw_vfs_1a2b3c4d"}\n')
    peer.line()                    -> b'{"ok": true}\n'; b"" when the other side has closed
    peer.taken()                   -> [7], the descriptors that came with it

A descriptor is there when its line is, and may be there one line earlier.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

MOST_DESCRIPTORS = 16  # with one message
_PIECE = 1 << 16
LINE_LIMIT = 16 << 20  # bytes


class LineSocket:
    """One connection, for one thread at a time."""

    def __init__(self, sock: socket.socket) -> None:
        """Own a connected stream socket."""
        self.sock = sock
        self._data = bytearray()
        self._descriptors: list[int] = []

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send all of it; the descriptors stay open here. OSError if the other side is gone."""
        sent = socket.send_fds(self.sock, [data], list(descriptors)) if descriptors else 0
        self.sock.sendall(memoryview(data)[sent:])

    def line(self) -> bytes:
        """The next line with its newline; what is left at the end. OSError if it is too long."""
        at = 0
        while (end := self._data.find(b"\n", at)) < 0:
            at = len(self._data)
            if at > LINE_LIMIT:
                raise OSError(f"a line of more than {LINE_LIMIT:,} bytes")
            if not self._receive():
                return self._take(at)
        return self._take(end + 1)

    def exactly(self, size: int) -> bytes:
        """So many bytes, or fewer at the end."""
        while len(self._data) < size and self._receive():
            pass
        return self._take(min(size, len(self._data)))

    def taken(self, most: int | None = None) -> list[int]:
        """The oldest descriptors that were received, or all; they are the caller's."""
        taken = self._descriptors[:most]
        del self._descriptors[: len(taken)]
        return taken

    def close(self) -> None:
        for descriptor in self.taken():
            os.close(descriptor)
        with contextlib.suppress(OSError):
            # also for a thread that waits for the other side's end, and so keeps the socket open
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def _receive(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self.sock, _PIECE, MOST_DESCRIPTORS)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        self._descriptors += descriptors
        self._data += data
        return bool(data)

    def _take(self, size: int) -> bytes:
        data = bytes(self._data[:size])
        del self._data[:size]
        return data
