# SPDX-License-Identifier: GPL-2.0-or-later
"""A small HTTP/1.1 server on asyncio: GET and HEAD, keep-alive, TLS, and limits for everything.

The control socket takes POST as well. Its mode lets only root and the agent's own user connect, and no
browser.

    Endpoint(answer).listen((Address("127.0.0.1", 9436),))
    "GET /metrics HTTP/1.1" -> await answer(Request("GET", "/metrics", ...)) -> Response(200, b"...")

The standard library's threaded server needs a thread for each idle connection. Here an idle peer costs one
task until its timeout. Connections are accepted here and not by asyncio's server, so that those that never
end their TLS handshake count as well, and the oldest idle one makes room for a new one.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.settings import Address, ListenAddress
from agent.log_messages import Message
from agent.log_sinks import log
from agent.timeout import timeout
from agent.web import http_message, listeners
from agent.web.connections import Connection, Phase, Pool, finish
from agent.web.http_message import Answer, Origin, Refused, Request, Response, pieces
from agent.web.inherited_sockets import InheritedSockets
from agent.web.listeners import ControlSocket, ListenError
from runtime.support.record import record

if TYPE_CHECKING:
    from agent.web.tls import TlsServer

__all__ = ["Endpoint", "Limits", "ListenError", "Request", "Response", "pieces"]
_ACCEPTED = 32  # connections of one listener between two rounds of the event loop
_NEW = 1.0  # seconds for the first request of a connection, if the server is about to end
_PAUSE = 0.5  # seconds without accepting when the process can open no more files
_NO_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@record
class Limits:
    """Limits for a peer, in seconds, bytes and counts."""

    idle: float = 120.0  # between two requests of a connection; Prometheus keeps it open
    handshake: float = 10.0  # for TLS
    header: float = 10.0  # from a request's first byte to the end of its header
    write: float = 30.0  # for the peer to take the response
    header_bytes: int = 16384
    connections: int = 128


_LIMITS = Limits()
_CONTROL_LIMITS = Limits(connections=32)

Tls = Callable[[], Awaitable["TlsServer | None"]]


async def _plain() -> TlsServer | None:
    return None


class Endpoint:
    """Listeners and their connections. `answer` makes the response to each request; `tls` is asked at each
    connection and request, and a connection with an older one is closed after its response."""

    def __init__(
        self,
        answer: Answer,
        limits: Limits = _LIMITS,
        tls: Tls = _plain,
        inherited: InheritedSockets | None = None,
    ) -> None:
        self._answer = answer
        self._inherited = inherited or InheritedSockets()
        self._accepting = True
        self._closing = False
        self._tls = tls
        self._listeners: dict[ListenAddress, list[_Listener]] = {}
        self._control: tuple[ControlSocket, _Listener] | None = None
        self._limits = limits
        self._pool = Pool(limits.connections)
        self._control_pool = Pool(_CONTROL_LIMITS.connections)

    @property
    def bound(self) -> tuple[ListenAddress, ...]:
        """The addresses that are served, with port 0 resolved."""
        opened = [one for group in self._listeners.values() for one in group]
        return tuple(listeners.address_of(one.sock) for one in opened)

    async def listen(self, addresses: tuple[ListenAddress, ...], accept: bool = True) -> None:
        """Serve exactly these addresses. After a ListenError nothing has changed.

        Without `accept`, connections wait until `accept` is called.
        An address that is in the way of a new one, as 127.0.0.1:9436 of 0.0.0.0:9436, is closed before the
        new one is opened, and opened again if that fails. All others are closed last.
        """
        self._accepting = accept
        wanted = list(dict.fromkeys(addresses))
        opened: dict[ListenAddress, list[socket.socket]] = {}
        closed: list[ListenAddress] = []
        try:
            for address in wanted:
                if address not in self._listeners:
                    opened[address] = await self._open_beside(address, wanted, closed)
        except ListenError as error:
            for sock in (one for group in opened.values() for one in group):
                _close(sock)
            await self._open_again(closed, error)
            raise
        for address in self._listeners.keys() - set(wanted):
            self._close_address(address)
        for address, sockets in opened.items():
            self._serve(address, sockets)

    async def _open_beside(
        self,
        address: ListenAddress,
        wanted: Sequence[ListenAddress],
        closed: list[ListenAddress],
    ) -> list[socket.socket]:
        """Open an address; if it is in use, close what has its port and is not wanted any more."""
        try:
            return await self._open_sockets(address)
        except ListenError as error:
            port = getattr(address, "port", None)
            unwanted = self._listeners.keys() - set(wanted)
            in_the_way = [a for a in unwanted if port and getattr(a, "port", None) == port]
            if not in_the_way or not listeners.is_in_use(error):
                raise
        for old in in_the_way:
            self._close_address(old)
            closed.append(old)
        return await self._open_sockets(address)

    async def _open_sockets(self, address: ListenAddress) -> list[socket.socket]:
        inherited = self._inherited.matching(address) if isinstance(address, Address) else None
        if inherited:
            return [inherited]
        try:
            return await listeners.open_sockets(address)
        except ListenError as error:
            if isinstance(address, Address) and listeners.is_in_use(error):
                self._inherited.refuse(address)
            raise

    async def _open_again(self, addresses: list[ListenAddress], cause: ListenError) -> None:
        for address in addresses:
            try:
                self._serve(address, await self._open_sockets(address))
            except ListenError as error:
                raise ListenError(f"{cause}; and not on the one before it: {error}") from error

    def _serve(self, address: ListenAddress, sockets: list[socket.socket]) -> None:
        group = [_Listener(sock, self._accepted) for sock in sockets]
        self._listeners[address] = group
        for listener in group if self._accepting else ():
            listener.start()

    def _close_address(self, address: ListenAddress) -> None:
        for listener in self._listeners.pop(address):
            listener.close()

    async def accept(self) -> None:
        """Serve the addresses that are bound."""
        self._accepting = True
        for group in self._listeners.values():
            for listener in group:
                listener.start()

    @property
    def inherits(self) -> bool:
        """True if systemd holds one of the ports."""
        return bool(self._inherited)

    @property
    def unused(self) -> list[str]:
        """Inherited sockets that no address uses."""
        return self._inherited.unused()

    async def listen_unix(self, path: Path) -> None:
        """Serve root only, on the control socket (`stapwatch status`, `stapwatch arm`)."""
        if self._control is not None and self._control[0].path == path:
            return
        control = ControlSocket(path)
        sock = control.open()
        self._close_control()
        listener = _Listener(sock, partial(self._accepted, is_control=True))
        listener.start()
        self._control = control, listener

    async def finish(self, seconds: float) -> None:
        """Stop listening, and let the requests that have begun come to their end, for so long at most."""
        self._closing = True
        self._close_addresses()
        await asyncio.sleep(0)  # tasks of new connections begin
        for connection in [c for c in self._pool if c.is_idle and c.served]:
            connection.end()
        if new := [
            c.task for c in self._pool if c.is_idle and c.task
        ]:  # their request may be on its way
            await asyncio.wait(new, timeout=_NEW)
        for connection in [c for c in self._pool if c.is_idle]:
            connection.end()
        if tasks := [*self._pool.tasks, *self._control_pool.tasks]:
            await asyncio.wait(tasks, timeout=seconds)

    async def close(self) -> None:
        """Stop listening and end all connections."""
        self._close_addresses()
        tasks = [*self._pool.tasks, *self._control_pool.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._close_control()

    def _close_addresses(self) -> None:
        for address in list(self._listeners):
            self._close_address(address)

    def _close_control(self) -> None:
        if self._control is not None:
            control, listener = self._control
            self._control = None
            listener.close()
            control.close()

    # -- connections ------------------------------------------------------------------------------

    def _accepted(self, sock: socket.socket | None, is_control: bool = False) -> None:
        """A new connection, or None if the process cannot open another file."""
        pool = self._control_pool if is_control else self._pool
        if sock is None:
            pool.end_one()
            return
        if not pool.make_room():
            busy = Response(HTTPStatus.SERVICE_UNAVAILABLE, b"too many requests at once\n")
            with contextlib.suppress(OSError), sock:
                sock.send(http_message.head(busy, keep=False) + b"".join(busy.parts))
            return
        connection = Connection(sock, listeners.peer_of(sock))
        pool.add(connection)
        connection.task = asyncio.create_task(self._connected(connection, pool, is_control))

    async def _connected(self, connection: Connection, pool: Pool, is_control: bool) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            server = None if is_control else await self._tls()
            reader, writer = await self._open(connection, server)
            origin = self._origin(connection.sock, writer, server, is_control)
            if origin is None:
                return
            while await self._serve_one(connection, reader, writer, origin, server):
                if self._closing:
                    break
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            # the peer closed the connection, was too slow, or does not speak TLS as it must
            log().debug(f"a connection ended: {type(error).__name__}: {error}")
        except asyncio.CancelledError:
            pass  # the server closes, or another connection needs the room
        except Exception:
            log().exception("a connection failed", message_id=Message.REQUEST_FAILED)
        finally:
            pool.discard(connection)
            finish(connection, writer, self._limits.handshake / 10)

    async def _open(
        self, connection: Connection, server: TlsServer | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Streams of a connection, after its TLS handshake."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=self._limits.header_bytes, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        if server is None:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection.sock)
        else:
            connection.enter(Phase.RECEIVING)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection.sock,
                ssl=server.context,
                ssl_handshake_timeout=self._limits.handshake,
                **self._farewell(),
            )
            connection.enter(Phase.IDLE)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def _farewell(self) -> dict[str, float]:
        """How long a client has to answer the end of TLS; `finish` sees to it in Python 3.10."""
        if sys.version_info >= (3, 11):
            return {"ssl_shutdown_timeout": self._limits.handshake / 10}
        return {}

    def _origin(
        self,
        sock: socket.socket,
        writer: asyncio.StreamWriter,
        server: TlsServer | None,
        is_control: bool,
    ) -> Origin | None:
        """Where a connection comes from; None if its certificate is not let in."""
        if is_control:
            return Origin(control=True, near=True)
        near, peer = listeners.is_near(sock), listeners.host_of(sock)
        if server is None:
            return Origin(near=near, peer=peer)
        certificate = writer.get_extra_info("peercert") or {}
        if why := server.refusal(certificate):
            text = f"a client with a certificate was refused: {why}"
            log().warning(text, message_id=Message.CLIENT_REFUSED)
            return None
        return Origin(near=near, peer=peer, tls=True, verified=bool(certificate))

    async def _serve_one(
        self,
        connection: Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        origin: Origin,
        server: TlsServer | None,
    ) -> bool:
        """Serve one request. Returns whether the connection stays open."""
        connection.enter(Phase.IDLE)
        async with timeout(self._limits.idle):
            first = await reader.read(1)
        if not first:
            return False
        connection.enter(Phase.RECEIVING)
        connection.served = True
        data = first
        try:
            data = await self._header(first, reader)
            request, keep = http_message.parse(data, origin)
        except Refused as refused:
            has_body = not data.startswith(b"HEAD ")
            await self._write(connection, writer, refused.response, body=has_body, keep=False)
            return False
        connection.enter(Phase.ANSWERING)
        try:
            response = await self._answer(request)
        except Exception:
            text = "a request failed"
            log().exception(text, message_id=Message.REQUEST_FAILED, path=request.path)
            response = Response(HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error; see the log\n")
        if not origin.control and await self._tls() is not server:
            keep = False  # the certificates or what clients must show have changed
        keep = keep and not self._closing
        has_body = request.method != "HEAD"
        await self._write(connection, writer, response, body=has_body, keep=keep)
        return keep

    async def _header(self, first: bytes, reader: asyncio.StreamReader) -> bytes:
        """A request's header to its empty line. Raises Refused."""
        if not first.isalpha():  # TLS, say, whose client would wait for more as long as we do
            raise Refused(HTTPStatus.BAD_REQUEST, "not an HTTP request")
        try:
            async with timeout(self._limits.header):
                return first + await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise Refused(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's header is too large"
            ) from None
        except TimeoutError:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "the request took too long") from None

    async def _write(
        self,
        connection: Connection,
        writer: asyncio.StreamWriter,
        response: Response,
        *,
        body: bool,
        keep: bool,
    ) -> None:
        connection.enter(Phase.SENDING)
        writer.write(http_message.head(response, keep=keep))
        try:
            async with timeout(self._limits.write):
                for piece in pieces(response.parts if body else ()):
                    writer.write(piece)
                    await writer.drain()
                    connection.enter(Phase.SENDING)
                await writer.drain()
        except TimeoutError:
            writer.transport.abort()
            raise


class _Listener:
    """Accepts connections of one socket. `accepted` gets each, or None if no file can be opened."""

    def __init__(
        self, sock: socket.socket, accepted: Callable[[socket.socket | None], None]
    ) -> None:
        self.sock = sock
        self._accepted = accepted
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop.add_reader(self.sock.fileno(), self._accept)

    def close(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self.sock.fileno())
        _close(self.sock)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED):
            try:
                sock, _peer = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _NO_FILES:
                    text = f"no connection can be accepted: {error.strerror}"
                    log().error(text, message_id=Message.NO_CONNECTIONS)
                    self._accepted(None)
                self._loop.remove_reader(self.sock.fileno())
                self._pause = self._loop.call_later(_PAUSE, self._resume)
                return
            sock.setblocking(False)
            self._accepted(sock)

    def _resume(self) -> None:
        self._pause = None
        self.start()


def _close(sock: socket.socket) -> None:
    """Close a listening socket, which leaves no file behind."""
    address = listeners.address_of(sock)
    sock.close()
    path = getattr(address, "path", None)
    if path is not None:
        with contextlib.suppress(OSError):
            path.unlink()
