# SPDX-License-Identifier: GPL-2.0-or-later
"""A small HTTP/1.1 server on asyncio: GET and HEAD, keep-alive, and limits for everything.

    Endpoint(answer).listen((Address("127.0.0.1", 9436),))
    "GET /metrics HTTP/1.1" -> await answer(Request("GET", "/metrics", ...)) -> Response(200, b"...")

The standard library's threaded server needs a thread for each idle connection. Here an idle peer costs one
task until its timeout.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from agent.config.settings import Address
from agent.log_sinks import log
from runtime.support.record import field, record

TEXT = "text/plain; charset=utf-8"
_PIECE = 1 << 18  # bytes written at a time


@record
class Request:
    method: str
    path: str
    query: str
    headers: Mapping[str, str]  # names in lower case


@record
class Response:
    status: int
    body: bytes | Sequence[bytes]  # whole or in parts
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> Sequence[bytes]:
        return (self.body,) if isinstance(self.body, bytes) else self.body


@record
class Limits:
    """Limits for a peer, in seconds, bytes and counts."""

    idle: float = 120.0  # between two requests of a connection; Prometheus keeps it open
    header: float = 10.0  # from a request's first byte to the end of its header
    write: float = 30.0  # for the peer to take the response
    header_bytes: int = 16384
    connections: int = 128


class ListenError(Exception):
    """The server cannot listen on an address; the text says which and why."""


class _Refused(Exception):
    def __init__(self, status: HTTPStatus, why: str, **headers: str) -> None:
        super().__init__(why)
        self.response = Response(status, f"{why}\n".encode(), TEXT, headers)


Answer = Callable[[Request], Awaitable[Response]]


_LIMITS = Limits()


class Endpoint:
    """Listeners and their connections. `answer` makes the response to each request."""

    def __init__(self, answer: Answer, limits: Limits = _LIMITS) -> None:
        self._answer = answer
        self._limits = limits
        self._servers: dict[Address, asyncio.Server] = {}
        self._unix: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def bound(self) -> tuple[Address, ...]:
        """The addresses that are served, with port 0 resolved."""
        names = (listener.getsockname() for s in self._servers.values() for listener in s.sockets)
        return tuple(Address(name[0], name[1]) for name in names)

    async def listen(self, addresses: tuple[Address, ...]) -> None:
        """Serve exactly these addresses. After a ListenError nothing has changed."""
        opened: dict[Address, asyncio.Server] = {}
        try:
            for address in dict.fromkeys(addresses):
                if address not in self._servers:
                    opened[address] = await self._open(address)
        except ListenError:
            for server in opened.values():
                server.close()
            raise
        for address in self._servers.keys() - set(addresses):
            self._servers.pop(address).close()
        self._servers |= opened

    async def listen_unix(self, path: Path) -> None:
        """Serve root only, on a Unix socket (`stapwatch status`)."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            before = os.umask(0o177)
            try:
                self._unix = await asyncio.start_unix_server(
                    self._connected, path, limit=self._limits.header_bytes
                )
            finally:
                os.umask(before)
        except OSError as error:
            raise ListenError(f"cannot listen on {path}: {error.strerror or error}") from error

    async def close(self) -> None:
        """Stop listening and end all connections."""
        servers = [*self._servers.values(), *([self._unix] if self._unix else [])]
        self._servers, self._unix = {}, None
        for server in servers:
            server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _open(self, address: Address) -> asyncio.Server:
        try:
            return await asyncio.start_server(
                self._connected,
                address.host,
                address.port,
                limit=self._limits.header_bytes,
                backlog=128,
            )
        except socket.gaierror as error:
            raise ListenError(f"cannot listen on {address}: {error.strerror}") from error
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else str(error)
            hint = (
                f"; see who has it: ss -ltnp 'sport = :{address.port}'" if "in use" in why else ""
            )
            raise ListenError(f"cannot listen on {address}: {why.lower()}{hint}") from error

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) > self._limits.connections:
                busy = Response(HTTPStatus.SERVICE_UNAVAILABLE, b"too many connections\n")
                await self._write(writer, busy, head=False, keep=False)
            else:
                while await self._serve_one(reader, writer):
                    pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the peer closed the connection or was too slow
        except asyncio.CancelledError:
            pass  # the server closes; asyncio would log a cancelled callback as an error
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                writer.transport.abort() if writer.transport.is_closing() is False else None

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request. Returns whether the connection stays open."""
        async with asyncio.timeout(self._limits.idle):
            first = await reader.read(1)
        if not first:
            return False
        try:
            try:
                async with asyncio.timeout(self._limits.header):
                    rest = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                raise _Refused(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the request's header is too large"
                ) from None
            except TimeoutError:
                raise _Refused(HTTPStatus.REQUEST_TIMEOUT, "the request took too long") from None
            request, keep = parse(first + rest)
        except _Refused as refused:
            await self._write(writer, refused.response, head=False, keep=False)
            return False
        try:
            response = await self._answer(request)
        except Exception:
            log().exception("a request failed", path=request.path)
            response = Response(HTTPStatus.INTERNAL_SERVER_ERROR, b"internal error; see the log\n")
        await self._write(writer, response, head=request.method == "HEAD", keep=keep)
        return keep

    async def _write(
        self, writer: asyncio.StreamWriter, response: Response, *, head: bool, keep: bool
    ) -> None:
        lines = [
            f"HTTP/1.1 {int(response.status)} {HTTPStatus(response.status).phrase}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {sum(map(len, response.parts))}",
            "X-Content-Type-Options: nosniff",
            f"Connection: {'keep-alive' if keep else 'close'}",
            *(f"{name.replace('_', '-')}: {value}" for name, value in response.headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1", "replace"))
        try:
            async with asyncio.timeout(self._limits.write):
                for part in () if head else response.parts:
                    # asyncio copies what the peer does not read at once, so write small pieces.
                    for at in range(0, len(part), _PIECE):
                        writer.write(part[at : at + _PIECE])
                        await writer.drain()
                await writer.drain()
        except TimeoutError:
            writer.transport.abort()
            raise


def parse(data: bytes) -> tuple[Request, bool]:
    """The request of a header, and whether the connection stays open. Raises _Refused."""
    head, *lines = data[:-4].decode("latin-1").split("\r\n")
    words = head.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise _Refused(HTTPStatus.BAD_REQUEST, "not an HTTP request")
    method, target, version = words
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        raise _Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "only HTTP/1.1 and 1.0 are spoken")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise _Refused(HTTPStatus.BAD_REQUEST, "a header line is malformed")
        key = name.lower()
        headers[key] = f"{headers[key]},{value.strip()}" if key in headers else value.strip()
    if method not in ("GET", "HEAD"):
        raise _Refused(
            HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are served", Allow="GET, HEAD"
        )
    # This server reads no bodies, so a body would be parsed as the next request.
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise _Refused(HTTPStatus.BAD_REQUEST, "a request with a body is not served")
    try:
        url = urlsplit(target)
    except ValueError:
        raise _Refused(HTTPStatus.BAD_REQUEST, "the request's target is malformed") from None
    wanted = headers.get("connection", "").lower()
    keep = "close" not in wanted and (version == "HTTP/1.1" or "keep-alive" in wanted)
    return Request(method, url.path or "/", url.query, headers), keep
