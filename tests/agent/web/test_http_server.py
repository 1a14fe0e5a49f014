# SPDX-License-Identifier: GPL-2.0-or-later
"""The endpoint against real sockets: good and bad requests, silent clients, too many clients."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.config.settings import Address, UnixAddress, VsockAddress
from agent.web.connections import Phase
from agent.web.http_server import Endpoint, Limits, ListenError, Request, Response, pieces
from agent.web.inherited_sockets import InheritedSockets
from tests.agent.conftest import Lines, run, until

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
ANY = Address("127.0.0.1", 0)
GET = b"GET / HTTP/1.0\r\n\r\n"


async def answer(request: Request) -> Response:
    if request.path == "/big":
        return Response(200, b"x" * 10_000_000)
    if request.path == "/broken":
        raise RuntimeError("no")
    if request.path == "/missing":
        return Response(404, b"not found\n")
    return Response(200, f"{request.path}?{request.query}".encode(), headers={"Vary": "Accept"})


def port_of(endpoint: Endpoint) -> int:
    [address] = endpoint.bound
    assert isinstance(address, Address)
    return address.port


@asynccontextmanager
async def serving(**limits: Any) -> AsyncIterator[tuple[Endpoint, int]]:
    endpoint = Endpoint(answer, Limits(**limits))
    await endpoint.listen((ANY,))
    try:
        yield endpoint, port_of(endpoint)
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
        (b"GET http://x HTTP/1.1\r\n" + CLOSE, b"200 OK", b"/?"),
        (b"GET //metrics HTTP/1.1\r\n" + CLOSE, b"200 OK", b"//metrics?"),
        (b"GET /%6detrics?%20 HTTP/1.1\r\n" + CLOSE, b"200 OK", b"/metrics?%20"),
        (b"GET ftp://x/a HTTP/1.1\r\n\r\n", b"400 Bad Request", None),
        (b"GET metrics HTTP/1.1\r\n\r\n", b"400 Bad Request", None),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", b"405 Method Not Allowed", None),
        (b"HEAD /a HTTP/1.1\r\nA : b\r\n\r\n", b"400 Bad Request", b""),
        (b"HEAD /missing HTTP/1.1\r\n" + CLOSE, b"404 Not Found", b""),
        (b"GET / HTTP/1.1\r\nA: b\0\r\n\r\n", b"400 Bad Request", None),
        (b"GET / HTTP/1.1\r\nA: 1\r\n B: 2\r\n\r\n", b"400 Bad Request", None),
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
        (b"\x16\x03\x01", b"400 Bad Request", b"not an HTTP request\n"),  # at once, and not 408
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


def test_only_the_unix_socket_takes_commands(tmp_path: Path) -> None:
    """Its mode lets no other user connect."""

    async def work(endpoint: Endpoint, port: int) -> None:
        socket = tmp_path / "run/control.sock"
        await endpoint.listen_unix(socket)
        assert socket.stat().st_mode & 0o777 == 0o600
        asked: dict[bool, bytes] = {}
        for is_local in (False, True):
            connect = (
                asyncio.open_unix_connection(socket)
                if is_local
                else asyncio.open_connection("127.0.0.1", port)
            )
            reader, writer = await connect
            writer.write(b"POST /arm?script=a HTTP/1.1\r\nContent-Length: 0\r\n" + CLOSE)
            asked[is_local] = await reader.read()
            writer.close()
        assert asked[False].startswith(b"HTTP/1.1 405 ")
        assert asked[True].startswith(b"HTTP/1.1 200 ")

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
        while not endpoint._pool:
            await asyncio.sleep(0.001)
        while endpoint._pool:
            await asyncio.sleep(0.001)
        peer.close()

    with_server(work, write=0.05)


async def holding(endpoint: Endpoint, port: int, *sent: bytes) -> list[Peer]:
    """Connections in this order, each of which has sent something and stays."""
    found = []
    for data in sent:
        before = set(endpoint._pool)
        peer = await asyncio.open_connection("127.0.0.1", port)
        peer[1].write(data)
        found.append(peer)
        wanted = Phase.RECEIVING if data else Phase.IDLE
        await until(
            lambda old=before, at=wanted: [m.phase for m in set(endpoint._pool) - old] == [at]
        )
    return found


def test_the_connection_that_waits_longest_makes_room() -> None:
    """Nobody can lock others out by holding connections, by sending slowly, or by not reading."""

    async def work(endpoint: Endpoint, port: int) -> None:
        peers = await holding(endpoint, port, b"GET / HTTP/1.1\r\nA: ", b"")
        with socket.create_connection(("127.0.0.1", port)) as deaf:
            deaf.sendall(b"GET /big HTTP/1.1\r\n\r\n")
            await until(lambda: Phase.SENDING in {m.phase for m in endpoint._pool})
            members = sorted(endpoint._pool, key=lambda m: m.since)
            phases = [Phase.RECEIVING, Phase.IDLE, Phase.SENDING]
            assert [m.phase for m in members] == phases
            for member in members:
                peers += await holding(endpoint, port, b"")
                assert member not in endpoint._pool, member.phase
                assert len(endpoint._pool) == 3
        assert await peers[0][0].read() == await peers[1][0].read() == b""
        assert not peers[-1][0].at_eof()
        assert b"200 OK" in await exchange(port, b"GET /1 HTTP/1.1\r\n" + CLOSE)

    with_server(work, connections=3)


def test_a_peer_with_many_connections_ends_its_own() -> None:
    """However many it opens, and however long another has been idle."""

    async def work() -> None:
        endpoint = Endpoint(answer, Limits(connections=8))
        await endpoint.listen((Address("0.0.0.0", 0),))
        [address] = endpoint.bound
        assert isinstance(address, Address)
        with socket.socket() as other:
            other.bind(("127.0.0.2", 0))
            other.connect(("127.0.0.1", address.port))
            await until(lambda: len(endpoint._pool) == 1)
            [kept] = endpoint._pool
            peers = []
            for _ in range(50):
                peers.append(await asyncio.open_connection("127.0.0.1", address.port))
            await until(lambda: len(endpoint._pool) == 8)
            assert kept in endpoint._pool
            for _, writer in peers:
                writer.close()
        await endpoint.close()

    run(work())


def test_requests_that_are_being_answered_are_not_ended_for_others() -> None:
    async def work() -> None:
        release = asyncio.Event()

        async def slowly(request: Request) -> Response:
            await release.wait()
            return Response(200, b"at last")

        endpoint = Endpoint(slowly, Limits(connections=2))
        await endpoint.listen((ANY,))
        [address] = endpoint.bound
        assert isinstance(address, Address)
        asked = [
            asyncio.create_task(exchange(address.port, b"GET / HTTP/1.1\r\n" + CLOSE))
            for _ in range(2)
        ]
        await until(lambda: [m.phase for m in endpoint._pool] == [Phase.ANSWERING] * 2)
        assert (await exchange(address.port, b"")).startswith(b"HTTP/1.1 503 ")
        release.set()
        assert all(b"at last" in answer for answer in await asyncio.gather(*asked))
        await endpoint.close()

    run(work())


def test_the_control_socket_has_connections_of_its_own(tmp_path: Path) -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        path = tmp_path / "control.sock"
        await endpoint.listen_unix(path)
        kept = await holding(endpoint, port, b"", b"")
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"/x?")
        writer.close()
        assert len(endpoint._pool) == len(kept)

    with_server(work, connections=2)


def test_no_more_files_can_be_opened(lines: Lines) -> None:
    """A connection that cannot be accepted ends an idle one, and is accepted then."""

    async def work(endpoint: Endpoint, port: int) -> None:
        kept = await holding(endpoint, port, b"", b"")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as peer:
            peer.setblocking(False)
            with Path("/dev/null").open() as probe:
                resource.setrlimit(resource.RLIMIT_NOFILE, (probe.fileno(), hard))
            try:
                await asyncio.get_running_loop().sock_connect(peer, ("127.0.0.1", port))
                await until(lambda: len(endpoint._pool) == 1)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            await until(lambda: len(endpoint._pool) == len(kept))
        assert "no connection can be accepted: Too many open files" in lines.texts

    with_server(work)


def test_a_unix_socket_serves_everybody(tmp_path: Path) -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        path = tmp_path / "metrics.sock"
        await endpoint.listen((ANY, UnixAddress(path)))
        assert path.stat().st_mode & 0o777 == 0o666
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"POST /arm HTTP/1.0\r\n\r\n")
        assert b" 405 " in await reader.read(), "it takes no commands"
        writer.close()
        in_use = rf"cannot listen on unix:{path}: address already in use"
        with pytest.raises(ListenError, match=in_use):
            await Endpoint(answer).listen((UnixAddress(path),))
        assert endpoint.bound[1:] == (UnixAddress(path),)
        await endpoint.listen((ANY,))
        assert not path.exists()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        await endpoint.listen((ANY, UnixAddress(path)))
        await endpoint.listen((ANY,))
        path.write_text("mine")
        with pytest.raises(ListenError, match=rf"cannot listen on unix:{path}: file exists"):
            await endpoint.listen((ANY, UnixAddress(path)))
        assert path.read_text() == "mine"

    with_server(work)


def test_a_vsock() -> None:
    """The kernel may have no vsock; the message says so then."""

    async def work(endpoint: Endpoint, port: int) -> None:
        try:
            await endpoint.listen((VsockAddress(1, 0xFFFFFFFF), ANY))
        except ListenError as error:
            assert str(error).startswith("cannot listen on vsock:1:4294967295: ")
            return
        vsock = next(a for a in endpoint.bound if isinstance(a, VsockAddress))
        with socket.socket(socket.AF_VSOCK) as peer:
            peer.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(peer, (1, vsock.port))
            await loop.sock_sendall(peer, b"GET /v HTTP/1.0\r\n\r\n")
            assert b"200 OK" in await loop.sock_recv(peer, 4096)

    with_server(work)


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
        first, other = endpoint.bound
        assert first == Address("127.0.0.1", port)
        assert isinstance(other, Address) and other.host == "127.0.0.2"
        await endpoint.listen((second,))
        with pytest.raises(ConnectionRefusedError):
            await exchange(port, b"")

    with_server(work)


def test_an_address_makes_way_for_a_wider_one() -> None:
    """Connections stay, and a reload that fails takes nothing away."""

    async def work(endpoint: Endpoint, port: int) -> None:
        await endpoint.listen(())
        narrow, wide = Address("127.0.0.1", port), Address("0.0.0.0", port)
        await endpoint.listen((narrow,))
        kept = await holding(endpoint, port, b"")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            busy = Address("127.0.0.1", taken.getsockname()[1])
            with pytest.raises(ListenError, match="already in use"):
                await endpoint.listen((wide, busy))
        assert b"200 OK" in await exchange(port, b"GET / HTTP/1.1\r\n" + CLOSE)
        for addresses in ((wide,), (narrow,), (wide,)):
            await endpoint.listen(addresses)
            assert endpoint.bound == addresses
            assert b"200 OK" in await exchange(port, b"GET / HTTP/1.1\r\n" + CLOSE)
        [(reader, writer)] = kept
        writer.write(b"GET /still HTTP/1.1\r\n" + CLOSE)
        assert b"/still?" in await reader.read()
        writer.close()

    with_server(work)


def test_a_name_that_is_none() -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        with pytest.raises(ListenError, match=r"cannot listen on no\.such\.invalid:1"):
            await endpoint.listen((Address("no.such.invalid", 1),))

    with_server(work)


def test_the_control_socket_is_roots_alone_and_one_agents(tmp_path: Path) -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        path = tmp_path / "run" / "control.sock"
        for _ in range(2):
            other = Endpoint(answer)
            await other.listen_unix(path)
            await other.listen_unix(path)  # the same again is no error
            assert path.stat().st_mode & 0o777 == 0o600
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"GET /x HTTP/1.0\r\n\r\n")
            assert (await reader.read()).endswith(b"/x?")
            writer.close()
            with pytest.raises(
                ListenError, match=rf"another agent has it \(process {os.getpid()}\)"
            ):
                await endpoint.listen_unix(path)
            assert path.exists()
            await other.close()
            assert list(path.parent.iterdir()) == []
        with pytest.raises(ListenError, match="cannot listen on /proc/x"):
            await endpoint.listen_unix(Path("/proc/x/control.sock"))
        with socket.socket(socket.AF_UNIX) as older:  # an agent that knows no lock
            older.bind(str(path))
            older.listen()
            with pytest.raises(
                ListenError, match=f"cannot listen on {path}: address already in use"
            ):
                await endpoint.listen_unix(path)
        await endpoint.listen_unix(path)  # now it is dead
        moved = path.with_name("moved.sock")
        await endpoint.listen_unix(moved)
        assert {p.name for p in path.parent.iterdir()} == {"moved.sock", "moved.sock.lock"}

    with_server(work)


def test_closing_ends_idle_connections() -> None:
    async def work(endpoint: Endpoint, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not endpoint._pool:
            await asyncio.sleep(0.001)
        await endpoint.close()
        assert await reader.read() == b""
        writer.close()

    with_server(work)


def test_connections_wait_until_they_are_accepted() -> None:
    async def work() -> None:
        endpoint = Endpoint(answer)
        await endpoint.listen((ANY,), accept=False)
        early = asyncio.create_task(exchange(port_of(endpoint), GET))
        await asyncio.sleep(0.05)
        assert not early.done()
        await endpoint.accept()
        assert (await early).startswith(b"HTTP/1.1 200")
        await endpoint.close()

    run(work())


def test_an_inherited_socket_outlives_the_server() -> None:
    """As at a restart: who connects while no agent runs is served by the next one."""

    async def work() -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            held.setblocking(False)
            address = Address("127.0.0.1", held.getsockname()[1])
            first = Endpoint(answer, inherited=InheritedSockets([held]))
            await first.listen((address,))
            assert first.unused == []
            assert (await exchange(address.port, GET)).startswith(b"HTTP/1.1 200")
            await first.listen(())  # it leaves the configuration, and comes back
            await first.listen((address,))
            await first.finish(1)
            await first.close()
            between = asyncio.create_task(exchange(address.port, GET))
            await asyncio.sleep(0.05)
            second = Endpoint(answer, inherited=InheritedSockets([held]))
            await second.listen((address,), accept=False)
            await second.accept()
            assert (await between).startswith(b"HTTP/1.1 200")
            await second.close()

    run(work())


def test_a_port_of_the_socket_unit_cannot_be_widened() -> None:
    """Only systemd can close it, so the message names the unit."""

    async def work() -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            held.listen()
            held.setblocking(False)
            port = held.getsockname()[1]
            endpoint = Endpoint(answer, inherited=InheritedSockets([held]))
            await endpoint.listen((Address("127.0.0.1", port),))
            with pytest.raises(ListenError, match=rf"stapwatch.socket has 127.0.0.1:{port}; "):
                await endpoint.listen((Address("0.0.0.0", port),))
            assert (await exchange(port, GET)).startswith(b"HTTP/1.1 200"), "as before"
            await endpoint.close()

    run(work())


def test_requests_that_have_begun_come_to_their_end() -> None:
    async def work() -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow(request: Request) -> Response:
            if request.path == "/slow":
                begun.set()
                await go.wait()
            return Response(200, b"done")

        endpoint = Endpoint(slow)
        await endpoint.listen((ANY,))
        port = port_of(endpoint)
        idle = await asyncio.open_connection("127.0.0.1", port)
        idle[1].write(b"GET / HTTP/1.1\r\n\r\n")
        await idle[0].readuntil(b"done")
        late = await asyncio.open_connection("127.0.0.1", port)
        page = asyncio.create_task(exchange(port, b"GET /slow HTTP/1.1\r\n\r\n"))
        await begun.wait()
        finishing = asyncio.create_task(endpoint.finish(60))
        assert await idle[0].read() == b"", "it is closed at once"
        late[1].write(b"GET / HTTP/1.1\r\n\r\n")
        body = await late[0].read()
        assert body.endswith(b"done") and b"Connection: close" in body
        assert not finishing.done()
        go.set()
        assert (await page).endswith(b"done")
        await finishing
        await endpoint.close()
        for _, writer in (idle, late):
            writer.close()

    run(work())


def test_parts_are_written_in_pieces_of_a_moderate_size() -> None:
    """Neither a call of the system for each number, nor one copy of a page of megabytes."""
    large = [bytes([n]) * 40_000 for n in range(100)]
    small = [b"x %d\n" % n for n in range(50_000)]
    for parts in (large, small, [b"y" * 3_000_000], [*small[:3], *large, *small], []):
        found = list(pieces(parts))
        assert b"".join(found) == b"".join(parts)
        assert all(len(piece) <= 1 << 18 for piece in found)
        assert all(len(piece) >= 1 << 17 for piece in found[:-1])
