# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS by real handshakes: what a web configuration file asks for is what a client gets."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.config.load import ConfigError
from agent.config.settings import Address, Settings
from agent.config.web_settings import WebSettings
from agent.web import web_config
from agent.web.http_server import Endpoint, Limits, Request, Response
from agent.web.web_config import WebConfig
from tests.agent.certificates import Certificates, Pair, encrypted
from tests.agent.conftest import Lines, run, until

LIMITS = Limits()
CLOSE = b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n"


async def answer(request: Request) -> Response:
    return Response(200, repr(request.origin).encode())


def written(folder: Path, text: str, pair: Pair) -> Path:
    """A web configuration file with this server certificate, and more keys."""
    path = folder / "web.yaml"
    path.write_text(f"tls_server_config:\n  cert_file: {pair.cert}\n  key_file: {pair.key}\n{text}")
    return path


@asynccontextmanager
async def serving(file: Path, limits: Limits = LIMITS) -> AsyncIterator[tuple[Endpoint, int]]:
    web = WebConfig()
    web.use(await web_config.prepare(Settings(web=WebSettings(file))))
    endpoint = Endpoint(answer, limits, web.tls)
    await endpoint.listen((Address("127.0.0.1", 0),))
    [address] = endpoint.bound
    assert isinstance(address, Address)
    try:
        yield endpoint, address.port
    finally:
        await endpoint.close()


async def ask(port: int, context: ssl.SSLContext) -> tuple[bytes, ssl.SSLObject]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    try:
        writer.write(CLOSE)
        found: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return await reader.read(), found
    finally:
        writer.close()


def test_a_page_over_tls(tmp_path: Path, certificates: Certificates) -> None:
    file = written(tmp_path, "", certificates.server)

    async def work() -> None:
        async with serving(file) as (_, port):
            page, session = await ask(port, certificates.client())
            assert page.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"tls=True, verified=False" in page
            assert session.version() == "TLSv1.3"

    run(work())


def test_inline_certificates(tmp_path: Path, certificates: Certificates) -> None:
    def indented(path: Path) -> str:
        return path.read_text().replace("\n", "\n    ")

    file = tmp_path / "web.yaml"
    file.write_text(
        f"tls_server_config:\n  cert: |\n    {indented(certificates.server.cert)}\n"
        f"  key: |\n    {indented(certificates.server.key)}\n"
    )

    async def work() -> None:
        async with serving(file) as (_, port):
            assert b"200 OK" in (await ask(port, certificates.client()))[0]

    run(work())


@pytest.mark.parametrize("stalled", [16, 200])
def test_clients_that_stall_do_not_lock_others_out(
    stalled: int, tmp_path: Path, certificates: Certificates, lines: Lines
) -> None:
    """64 clients at once, with room for 80: none of them has to try twice."""
    file = written(tmp_path, "", certificates.server)

    async def work() -> None:
        async with serving(file, Limits(connections=80)) as (endpoint, port):
            peers = []
            for n in range(stalled):
                peer = await asyncio.open_connection("127.0.0.1", port)
                peer[1].write(b"\x16\x03\x01\x02\x00\x01"[: n % 7])
                peers.append(peer)
            await until(lambda: len(endpoint._pool) == min(stalled, 80))
            client = certificates.client()
            found = await asyncio.gather(*(is_let_in(port, client) for _ in range(64)))
            assert [page.partition(b"\r\n")[0] for page in found] == [b"HTTP/1.1 200 OK"] * 64
            for _, writer in peers:
                writer.close()

    run(work())


def test_connections_are_small(tmp_path: Path, certificates: Certificates) -> None:
    """Clients that do nothing must not fill the memory: 64 ends of 32 connections."""
    file = written(tmp_path, "", certificates.server)

    async def work() -> None:
        async with serving(file) as (endpoint, port):
            client = certificates.client()
            tracemalloc.start()
            peers = [
                await asyncio.open_connection(
                    "127.0.0.1", port, ssl=client, server_hostname="localhost"
                )
                for _ in range(32)
            ]
            await until(lambda: len(endpoint._pool) == 32)
            taken, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert taken < 64 * 80_000
            for _, writer in peers:
                writer.close()

    run(work())


def test_a_handshake_takes_no_longer_than_its_limit(
    tmp_path: Path, certificates: Certificates
) -> None:
    """The test is that it ends; `run` bounds the wait."""
    file = written(tmp_path, "", certificates.server)

    async def work() -> None:
        async with serving(file, Limits(handshake=0.05)) as (endpoint, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"\x16\x03\x01")
            assert await reader.read() == b""
            await until(lambda: len(endpoint._pool) == 0)
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert b"HTTP" not in await reader.read(), "no plain text on a TLS port"
            writer.close()

    run(work())


def test_a_client_that_does_not_answer_the_end_of_tls_is_left(
    tmp_path: Path, certificates: Certificates
) -> None:
    """The test is that the connection ends; `run` bounds the wait."""
    file = written(tmp_path, "", certificates.server)
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificates.client().wrap_bio(received, sent, server_hostname="localhost")

    async def work() -> None:
        async with serving(file, Limits(handshake=2)) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while True:
                try:
                    client.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(sent.read())
                    received.write(await reader.read(1 << 16))
            client.write(CLOSE)
            writer.write(sent.read())
            received.write(await reader.read())
            assert client.read().startswith(b"HTTP/1.1 200 OK\r\n")
            writer.close()

    run(work())


CLIENT_CA = "  client_auth_type: {}\n  client_ca_file: {}\n"


async def is_let_in(port: int, context: ssl.SSLContext) -> bytes:
    """The page, or nothing: with TLS 1.3 a client may learn only afterwards that it was refused."""
    try:
        return (await ask(port, context))[0]
    except OSError:
        return b""


@pytest.mark.parametrize("kind", ["RequireAndVerifyClientCert", "VerifyClientCertIfGiven"])
def test_client_certificates(kind: str, tmp_path: Path, certificates: Certificates) -> None:
    text = CLIENT_CA.format(kind, certificates.authority.cert)
    file = written(tmp_path, text, certificates.server)
    friend = certificates.signed("friend", "DNS:friend.example")
    stranger = Certificates.make(tmp_path / "others").signed("stranger")

    async def work() -> None:
        async with serving(file) as (_, port):
            assert b"verified=True" in await is_let_in(port, certificates.client(friend))
            assert await is_let_in(port, certificates.client(stranger)) == b""
            page = await is_let_in(port, certificates.client())
            assert (b"verified=False" in page) == kind.startswith("Verify")

    run(work())


def test_only_names_that_are_allowed(
    tmp_path: Path, certificates: Certificates, lines: Lines
) -> None:
    text = CLIENT_CA.format("RequireAndVerifyClientCert", certificates.authority.cert)
    text += "  client_allowed_sans: [friend.example, 'spiffe://x/y', '::1', me@x.example]\n"
    file = written(tmp_path, text, certificates.server)
    good = ("DNS:other,DNS:friend.example", "URI:spiffe://x/y", "IP:0:0:0:0:0:0:0:1", "email:me@x.example")  # fmt: skip
    bad = ("", "DNS:friend.example.org", "IP:127.0.0.1")

    async def work() -> None:
        async with serving(file) as (_, port):
            for n, names in enumerate((*good, *bad)):
                pair = certificates.signed(f"client-{n}", names)
                page = await is_let_in(port, certificates.client(pair))
                assert (b"200 OK" in page) == (names in good), names
        assert any("none of its names is allowed: 127.0.0.1" in text for text in lines.texts)
        assert any("none of its names is allowed: it has none" in text for text in lines.texts)

    run(work())


@pytest.mark.parametrize(
    ("text", "version", "cipher"),
    [
        ("  max_version: TLS12\n", "TLSv1.2", None),
        ("  min_version: TLS13\n", "TLSv1.3", None),
        ("  min_version: TLS11\n  max_version: TLS11\n", "TLSv1.1", None),
        (
            "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]\n",
            "TLSv1.2",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ),
        (
            "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,"
            " TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]\n",
            "TLSv1.2",
            "ECDHE-ECDSA-AES128-GCM-SHA256",  # the file's order counts
        ),
        ("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", "TLSv1.3", None),
        (
            "  max_version: TLS12\n  prefer_server_cipher_suites: false\n  cipher_suites: ["
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]\n",
            "TLSv1.2",
            "ECDHE-ECDSA-AES256-GCM-SHA384",  # the client's order counts
        ),
    ],
)
def test_versions_and_ciphers(
    text: str, version: str, cipher: str | None, tmp_path: Path, certificates: Certificates
) -> None:
    file = written(tmp_path, text, certificates.server)
    client = certificates.client()
    if version == "TLSv1.1":
        allow_old(client)

    async def work() -> None:
        async with serving(file) as (_, port):
            _, session = await ask(port, client)
            assert session.version() == version
            found = session.cipher()
            assert found is not None and (cipher is None or found[0] == cipher)

    run(work())


def allow_old(client: ssl.SSLContext) -> None:
    """Make a client of TLS 1.1 and nothing else."""
    with pytest.warns(DeprecationWarning):
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")


def test_old_versions_are_refused_by_default(tmp_path: Path, certificates: Certificates) -> None:
    client = certificates.client()
    allow_old(client)

    async def work() -> None:
        async with serving(written(tmp_path, "", certificates.server)) as (_, port):
            with pytest.raises(OSError):
                await ask(port, client)

    run(work())


def test_curves(tmp_path: Path, certificates: Certificates, lines: Lines) -> None:
    text = "  curve_preferences: [CurveP384]\n"
    client = certificates.client()

    async def work() -> None:
        async with serving(written(tmp_path, text, certificates.server)) as (_, port):
            client.set_ecdh_curve("secp384r1")
            assert b"200 OK" in (await ask(port, client))[0]
            client.set_ecdh_curve("prime256v1")
            with pytest.raises(OSError):
                await ask(port, client)

    run(work())


def test_what_cannot_be_used(tmp_path: Path, certificates: Certificates) -> None:
    """Each message has the position of the key that is wrong."""
    other = certificates.signed("other")
    secret = tmp_path / "secret.key"
    encrypted(certificates.server.key, secret)
    (tmp_path / "not.pem").write_text("hello")
    server = certificates.server

    def message(cert: Path, key: Path, more: str = "") -> str:
        file = written(tmp_path, more, Pair(cert, key))
        with pytest.raises(ConfigError) as caught:
            web_config.check(Settings(web=WebSettings(file)))
        return str(caught.value).removeprefix(f"config error: {file}:")

    assert message(server.cert, other.key).startswith(
        f"2:14: {server.cert}: the certificate or its key cannot be used: key values mismatch"
    )
    assert message(server.cert, secret) == "3:13: the key is encrypted; decrypt it: openssl pkey -in OLD -out NEW"  # fmt: skip
    assert message(tmp_path / "none", server.key) == f"2:14: {tmp_path}/none cannot be read: No such file or directory"  # fmt: skip
    assert message(tmp_path, server.key).startswith(f"2:14: {tmp_path} cannot be read: is a folder")
    assert "2:14: " in message(tmp_path / "not.pem", server.key)
    text = CLIENT_CA.format("RequireAndVerifyClientCert", tmp_path / "not.pem")
    assert message(server.cert, server.key, text).startswith(
        f"5:19: {tmp_path}/not.pem: not certificates in PEM form"
    )
