# SPDX-License-Identifier: GPL-2.0-or-later
"""The endpoint against real sockets: good and bad requests, silent clients, too many clients."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import Address
from agent.daemon.http_server import Endpoint, Limits, ListenError, Request, Response
from tests.agent.conftest import run

ANY = Address("127.0.0.1", 0)


async def answer(request: Request) -> Response:
    if request.path == "/big":
        return Response(200, b"x" * 10_000_000)
    if request.path == "/broken":
        raise RuntimeError("no")
    if request.path == "/missing":
        return Response(404, b"not found\n")
    return Response(200, f"{request.path}?{request.query}".encode(), headers={"Vary": "Accept"})


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[tuple[Endpoint, int]]:
    endpoint = Endpoint(answer, Limits(**limits))
    await endpoint.listen((ANY,))
    try:
        yield endpoint, endpoint.bound[0].port
    finally:
        await endpoint.close()


async def exchange(port: int, data: bytes) -> bytes:
    """The bytes that the peer sends until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        return await reader.read()
    finally:
        writer.close()


def with_server(work: Any, **limits: Any) -> None:
    async def all_of_it() -> None:
        async with serving(**limits) as (endpoint, port):
            found: Coroutine[Any, Any, None] = work(endpoint, port)
            await found

    run(all_of_it())


CLOSE = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n" + CLOSE, b"200 OK", b"/a?b=c"),
        (b"GET http://x:1/a HTTP/1.1\r\n" + CLOSE, b"200 OK", b"/a?"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200 OK", b"/?"),
        (b"HEAD /a HTTP/1.1\r\n" + CLOSE, b"200 OK", b""),
        (b"GET /missing HTTP/1.1\r\n" + CLOSE, b"404 Not Found", b"not found\n"),
        (
            b"GET /broken HTTP/1.1\r\n" + CLOSE,
            b"500 Internal Server Error",
            b"internal error; see the log\n",
        ),
        (b"POST / HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", b"only GET and HEAD are served\n"),
        (b"GET / HTTP/2.0\r\n\r\n", b"505 HTTP Version Not Supported", None),
        (b"\x16\x03\x01hello\r\n\r\n", b"400 Bad Request", b"not an HTTP request\n"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400 Bad Request", None),
        (b"GET / HTTP/1.1\r\nA : b\r\n\r\n", b"400 Bad Request", None),
        (b"GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"400 Bad Request", None),
        (
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400 Bad Request",
            None,
        ),
        (b"GET http://[ HTTP/1.1\r\n\r\n", b"400 Bad Request", None),
        (
            b"GET / HTTP/1.1\r\nA: " + b"x" * 20000 + b"\r\n\r\n",
            b"431 Request Header Fields Too Large",
            None,
        ),
    ],
)
def test_requests(request_: bytes, status: bytes, body: bytes | None, lines: object) -> None:
    async def work(_: Endpoint, port: int) -> None:
        head, got = (await exchange(port, request_)).split(b"\r\n\r\n", 1)
        head += b"\r\n"
        assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
        assert b"\r\nConnection: close" in head
        if status.startswith(b"405"):
            assert b"\r\nAllow: GET, HEAD\r\n" in head
        if body is not None:
            assert got == body
        if not request_.startswith(b"HEAD"):
            assert f"\r\nContent-Length: {len(got)}\r\n".encode() in head

    with_server(work)


def test_head_tells_the_length() -> None:
    async def work(_: Endpoint, port: int) -> None:
        got = await exchange(port, b"HEAD /big HTTP/1.1\r\n" + CLOSE)
        assert b"\r\nContent-Length: 10000000\r\n" in got and got.endswith(b"\r\n\r\n")

    with_server(work)


def test_a_connection_serves_many_requests() -> None:
    async def work(_: Endpoint, port: int) -> None:
        got = await exchange(
            port, b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n" + CLOSE
        )
        assert [part[:3] for part in got.split(b"\r\n\r\n")[1:]] == [b"/1?", b"/2?", b"/3?"]
        assert got.count(b"Connection: keep-alive") == 2

    with_server(work)


def test_a_large_answer_arrives_whole() -> None:
    async def work(_: Endpoint, port: int) -> None:
        got = await exchange(port, b"GET /big HTTP/1.1\r\n" + CLOSE)
        assert got.count(b"x") >= 10_000_000

    with_server(work)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nA: b"])
def test_silent_peers_are_dropped(sent: bytes) -> None:
    """The test is that it ends; `run` bounds the wait."""

    async def work(_: Endpoint, port: int) -> None:
        got = await exchange(port, sent)
        assert got.startswith(b"HTTP/1.1 408 ") if sent else got == b""

    with_server(work, idle=0.05, header=0.05)


def test_a_peer_that_does_not_read_is_dropped() -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        peer = socket.create_connection(("127.0.0.1", port))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(b"GET /big HTTP/1.1\r\n\r\n")
        while not endpoint._connections:
            await asyncio.sleep(0.001)
        while endpoint._connections:
            await asyncio.sleep(0.001)
        peer.close()

    with_server(work, write=0.05)


def test_connections_are_capped() -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        while len(endpoint._connections) < 3:
            await asyncio.sleep(0.001)
        assert (await exchange(port, b"")).startswith(b"HTTP/1.1 503 ")
        held[0][1].close()
        while len(endpoint._connections) > 2:
            await asyncio.sleep(0.001)
        assert b"200 OK" in await exchange(port, b"GET / HTTP/1.1\r\n" + CLOSE)
        for _, writer in held:
            writer.close()

    with_server(work, connections=3)


def test_listeners_change_without_losing_any() -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            busy = Address("127.0.0.1", taken.getsockname()[1])
            with pytest.raises(
                ListenError, match=rf"cannot listen on {busy}: address already in use; see"
            ):
                await endpoint.listen((Address("127.0.0.1", 0), busy))
        assert b"200 OK" in await exchange(port, b"GET / HTTP/1.1\r\n" + CLOSE)
        with pytest.raises(ListenError, match=r"cannot listen on 203\.0\.113\.1:1: cannot assign"):
            await endpoint.listen((Address("203.0.113.1", 1),))
        second = Address("127.0.0.2", 0)
        await endpoint.listen((ANY, second))
        assert {address.host for address in endpoint.bound} == {"127.0.0.1", "127.0.0.2"}
        assert port in {address.port for address in endpoint.bound}
        await endpoint.listen((second,))
        with pytest.raises(ConnectionRefusedError):
            await exchange(port, b"")

    with_server(work)


def test_a_name_that_is_none() -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        with pytest.raises(ListenError, match=r"cannot listen on no\.such\.invalid:1"):
            await endpoint.listen((Address("no.such.invalid", 1),))

    with_server(work)


def test_the_control_socket_is_roots_alone(tmp_path: Path) -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        path = tmp_path / "run" / "control.sock"
        for _ in range(2):  # the second finds a stale one
            other = Endpoint(answer)
            await other.listen_unix(path)
            assert path.stat().st_mode & 0o777 == 0o600
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET /x HTTP/1.0\r\n\r\n")
            assert (await reader.read()).endswith(b"/x?")
            writer.close()
            await other.close()
        with pytest.raises(ListenError, match="cannot listen on /proc/x"):
            await endpoint.listen_unix(Path("/proc/x/control.sock"))

    with_server(work)


def test_closing_ends_idle_connections() -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not endpoint._connections:
            await asyncio.sleep(0.001)
        await endpoint.close()
        assert await reader.read() == b""
        writer.close()

    with_server(work)
