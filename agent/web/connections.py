# SPDX-License-Identifier: GPL-2.0-or-later
"""The open connections of some listeners, and which of them has to go when there are too many.

    pool = Pool(128)
    pool.make_room()              -> True; it may have ended the connection that has waited for longest
    pool.add(Connection(sock))

So clients that hold connections, send slowly or do not read cannot lock others out. A request that is being
answered is never ended for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum, auto
from time import monotonic


class Phase(Enum):
    """What a connection does. In all but the last phase it waits for its client."""

    IDLE = auto()  # nothing of a request has come
    RECEIVING = auto()  # in its TLS handshake, or in a request's header
    SENDING = auto()  # the client takes the response
    ANSWERING = auto()


class Connection:
    """`peer`: whose it is. `since`: when it entered its phase, or last made progress in it."""

    def __init__(
        self, sock: socket.socket, peer: object = None, clock: Callable[[], float] = monotonic
    ) -> None:
        self.sock = sock
        self.peer = peer
        self.task: asyncio.Task[None] | None = None
        self._clock = clock
        self.phase = Phase.IDLE
        self.served = False  # it has had a request
        self.since = clock()

    @property
    def is_idle(self) -> bool:
        return self.phase is Phase.IDLE

    def enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, self._clock()

    def end(self) -> None:
        """End it now, whatever waits to be written."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        if self.task is not None:
            self.task.cancel()


class Pool:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._members: set[Connection] = set()

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._members)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return [member.task for member in self._members if member.task is not None]

    def add(self, connection: Connection) -> None:
        self._members.add(connection)

    def discard(self, connection: Connection) -> None:
        self._members.discard(connection)

    def make_room(self) -> bool:
        """Make sure that one more fits in. False if all are being answered."""
        return len(self._members) < self._limit or self.end_one()

    def end_one(self) -> bool:
        """End the connection that has waited longest for its client, if one waits: one of the peer that
        has the most connections, so that a peer that opens many ends its own.

        The phase does not count: if idle connections went before those that stall in their handshake,
        clients that have just connected would end each other, and those that stall would stay.
        """
        waiting = [m for m in self._members if m.phase is not Phase.ANSWERING]
        if not waiting:
            return False
        counts = Counter(member.peer for member in waiting)
        victim = min(waiting, key=lambda member: (-counts[member.peer], member.since))
        self._members.discard(victim)
        victim.end()
        return True


def finish(connection: Connection, writer: asyncio.StreamWriter | None, patience: float) -> None:
    """Close a connection. What was written to a plain one still goes out.

    `patience`: how long a client has to answer the end of TLS, in seconds.
    """
    if writer is None:
        connection.sock.close()
        return
    writer.close()
    if sys.version_info < (3, 11) and writer.get_extra_info("sslcontext") is not None:
        # asyncio would wait for the client's answer without end
        asyncio.get_running_loop().call_later(patience, writer.transport.abort)
