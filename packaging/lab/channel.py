# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's end of the command channel: frames over the socket behind a virtio-serial port.

    channel = Channel(sock); channel.call(PING) -> {"release": "6.1.0-56-amd64", "python": [3, 11]}
    command = channel.start({"argv": ["true"]}); command.wait() -> {"status": 0, ...}

Frame: kind (1 byte), command number (4), payload length (4), payload; big endian. The other end is
recipe/guest_agent.py.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

HEADER = struct.Struct("!BII")
PING, CLOCK, RUN, STDIN, KILL, RESIZE = 1, 2, 3, 4, 5, 6
PONG, OUT, ERR, ACK, EXIT = 17, 18, 19, 20, 21
WINDOW = 1 << 20  # input bytes that may be under way to one command
CHUNK = 1 << 15


class ChannelClosed(Exception):
    """The other end is closed: the guest has ended."""


class NoAnswer(Exception):
    """The guest did not answer in time."""


class Remote:
    """One command in the guest: its output frames arrive in a queue, its input has a window."""

    def __init__(self, channel: Channel, ident: int) -> None:
        self.channel, self.ident = channel, ident
        self.frames: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self.credit = threading.Condition()
        self.unacknowledged = 0
        self.closed = False

    def write(self, data: bytes) -> None:
        """Send input; waits while the command has WINDOW bytes unread."""
        view = memoryview(data)
        while view:
            with self.credit:
                self.credit.wait_for(lambda: self.closed or self.unacknowledged < WINDOW)
                if self.closed:
                    return  # it ended without reading all; unlike a broken pipe this is not an error
                self.unacknowledged += len(view[:CHUNK])
            self.channel.send(STDIN, self.ident, bytes(view[:CHUNK]))
            view = view[CHUNK:]

    def end_input(self) -> None:
        self.channel.send(STDIN, self.ident)

    def kill(self, number: int) -> None:
        """Send a signal to the command's process group."""
        self.channel.send(KILL, self.ident, b"%d" % number)

    def resize(self, rows: int, columns: int) -> None:
        self.channel.send(RESIZE, self.ident, json.dumps([rows, columns]).encode())

    def output(self, deadline: float | None) -> Iterator[tuple[int, bytes]]:
        """Yield (kind, payload) up to and with EXIT. Raises NoAnswer after `deadline` (monotonic
        seconds) and ChannelClosed when the guest goes away."""
        while True:
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                kind, payload = self.frames.get(timeout=wait)
            except queue.Empty:
                raise NoAnswer from None
            if kind == 0:
                raise ChannelClosed
            yield kind, payload
            if kind in (EXIT, PONG):
                return

    def deliver(self, kind: int, payload: bytes) -> None:
        if kind == ACK:
            with self.credit:
                self.unacknowledged -= int(payload)
                self.credit.notify_all()
            return
        if kind in (EXIT, 0):
            with self.credit:
                self.closed = True
                self.credit.notify_all()
        self.frames.put((kind, payload))


class Channel:
    """Frames to and from the guest. A thread reads; any thread may send."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.numbers = itertools.count(1)
        self.remotes: dict[int, Remote] = {}
        self.lock = threading.Lock()
        self.sending = threading.Lock()
        self.gone = False
        self.reader = threading.Thread(target=self._read, name="lab-channel", daemon=True)
        self.reader.start()

    def send(self, kind: int, ident: int, payload: bytes = b"") -> None:
        try:
            with self.sending:
                self.sock.sendall(HEADER.pack(kind, ident, len(payload)) + payload)
        except OSError:
            raise ChannelClosed from None

    def open(self) -> Remote:
        with self.lock:
            remote = Remote(self, next(self.numbers))
            if self.gone:
                remote.deliver(0, b"")
            else:
                self.remotes[remote.ident] = remote
        return remote

    def start(self, request: dict[str, Any]) -> Remote:
        remote = self.open()
        self.send(RUN, remote.ident, json.dumps(request).encode())
        return remote

    def call(self, kind: int, payload: bytes, timeout: float) -> dict[str, Any]:
        """Send a request that is answered by one PONG."""
        remote = self.open()
        self.send(kind, remote.ident, payload)
        for _, payload in remote.output(time.monotonic() + timeout):
            answer: dict[str, Any] = json.loads(payload)
        return answer

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.reader.join(timeout=5)
        self.sock.close()

    def _read(self) -> None:
        received = bytearray()
        while True:
            try:
                data = self.sock.recv(1 << 18)
            except OSError:
                data = b""
            if not data:
                break
            received += data
            position = 0
            while len(received) - position >= HEADER.size:
                kind, ident, length = HEADER.unpack_from(received, position)
                end = position + HEADER.size + length
                if len(received) < end:
                    break
                self._dispatch(kind, ident, bytes(received[position + HEADER.size : end]))
                position = end
            del received[:position]
        with self.lock:
            self.gone = True
            waiting = list(self.remotes.values())
            self.remotes.clear()
        for remote in waiting:
            remote.deliver(0, b"")

    def _dispatch(self, kind: int, ident: int, payload: bytes) -> None:
        with self.lock:
            remote = self.remotes.get(ident)
            if kind in (EXIT, PONG):
                self.remotes.pop(ident, None)
        if remote is not None:
            remote.deliver(kind, payload)
