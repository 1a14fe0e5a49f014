# SPDX-License-Identifier: GPL-2.0-or-later
"""The web configuration file is read again when it or a certificate changes, and only then."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path

from agent.config.settings import Settings
from agent.config.web_settings import WebSettings
from agent.web import web_config
from agent.web.web_config import WebConfig
from tests.agent.certificates import Certificates, Pair
from tests.agent.conftest import Lines, run
from tests.agent.web.test_tls import ask, serving, written


def copied(pair: Pair, folder: Path) -> Pair:
    """The pair as files that a test may replace."""
    made = Pair(folder / "server.pem", folder / "server.key")
    for old, new in ((pair.cert, made.cert), (pair.key, made.key)):
        (folder / "new").write_bytes(old.read_bytes())
        (folder / "new").rename(new)
    return made


def serial(session: ssl.SSLObject) -> str:
    found = session.getpeercert()
    assert found is not None
    return str(found["serialNumber"])


def test_a_new_certificate_is_served_without_a_reload(
    tmp_path: Path, certificates: Certificates, lines: Lines
) -> None:
    renewed = certificates.signed("renewed", "DNS:localhost")
    file = written(tmp_path, "", copied(certificates.server, tmp_path))

    async def work() -> None:
        client = certificates.client()
        async with serving(file) as (_, port):
            first = serial((await ask(port, client))[1])
            assert serial((await ask(port, client))[1]) == first
            copied(renewed, tmp_path)
            second = serial((await ask(port, client))[1])
            assert second != first
            assert len([t for t in lines.texts if t.endswith("was read again")]) == 1

    run(work())


def test_a_connection_from_before_is_closed_after_its_response(
    tmp_path: Path, certificates: Certificates
) -> None:
    """Otherwise a client whose authority was taken out would stay."""
    file = written(tmp_path, "", copied(certificates.server, tmp_path))

    async def work() -> None:
        async with serving(file) as (_, port):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=certificates.client(), server_hostname="localhost"
            )
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert b"keep-alive" in await reader.readuntil(b"\r\n\r\n")
            file.write_text(file.read_text() + "  min_version: TLS13\n")
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert b"Connection: close" in await reader.read()
            writer.close()

    run(work())


def test_a_broken_file_leaves_the_old_one_in_force(
    tmp_path: Path, certificates: Certificates, lines: Lines
) -> None:
    pair = copied(certificates.server, tmp_path)
    file = written(tmp_path, "", pair)

    async def work() -> None:
        client = certificates.client()
        async with serving(file) as (_, port):
            first = serial((await ask(port, client))[1])
            pair.key.write_text("not a key")
            for _ in range(3):
                assert serial((await ask(port, client))[1]) == first
            file.write_text("tls_server_config: {cert_fiel: x}")
            assert serial((await ask(port, client))[1]) == first
            problems = [text for text in lines.texts if "stays in force" in text]
            assert len(problems) == 2, "each change is told once"
            assert f"{file}:2:14: {pair.cert}: the certificate or its key" in problems[0]
            assert f"{file}:1:21: unknown key 'cert_fiel'; did you mean 'cert_file'?" in problems[1]
            late = Pair(tmp_path / "late.pem", tmp_path / "late.key")
            written(tmp_path, "", late)
            assert serial((await ask(port, client))[1]) == first
            renewed = certificates.signed("renewed", "DNS:localhost")
            os.link(renewed.key, late.key)
            os.link(renewed.cert, late.cert)
            assert serial((await ask(port, client))[1]) != first, "the files came after their names"

    run(work())


def test_tls_can_be_switched_on_and_off(tmp_path: Path, certificates: Certificates) -> None:
    async def work() -> None:
        file = tmp_path / "web.yaml"
        file.write_text("rate_limit: {interval: 1s}\n")
        web = WebConfig()
        assert (await web.current()).settings == WebSettings()
        web.use(await web_config.prepare(Settings(web=WebSettings(file))))
        assert await web.tls() is None
        written(tmp_path, "", certificates.server)
        first = await web.tls()
        assert first is not None
        web.use(await web_config.prepare(Settings(web=WebSettings(file))))
        assert await web.tls() is first, "a reload that changes nothing closes no connection"
        file.write_text("")
        assert await web.tls() is None

    run(work())
