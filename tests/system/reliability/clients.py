# SPDX-License-Identifier: GPL-2.0-or-later
"""Many scrapers at once, by TLS, of which some stall at each stage of a request."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from tests.agent import pages
from tests.system.reliability.scene import Scene
from tests.system.service import wait_for

SCRAPERS, STALLED = 48, 16
WEB = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n"
CONFIG = "/etc/stapwatch/stapwatch.yaml"


def scrape_by_many(scene: Scene) -> None:
    guest, made = scene.guest, scene.certificates
    config = scene.shell(f"cat {CONFIG}")
    for source, name in ((made.server.cert, "server.pem"), (made.server.key, "server.key")):
        guest.push_text(source.read_text(), f"/etc/stapwatch/{name}", mode=0o640)
        guest.run(["chgrp", "stapwatch", f"/etc/stapwatch/{name}"]).check()
    guest.push_text(WEB, "/etc/stapwatch/web.yaml")
    guest.push_text(f"{config}web_config_file: web.yaml\n", CONFIG)
    guest.run(["systemctl", "reload", "stapwatch"], timeout=300).check()
    scene.prometheus.scrape_by("https")
    context = made.client()
    url = f"https://127.0.0.1:{scene.service.port}/metrics"
    with ExitStack() as stack:
        for number in range(STALLED):
            stack.enter_context(stalled(scene.service.port, context, number % 3))
        with ThreadPoolExecutor(SCRAPERS) as pool:
            found = list(pool.map(lambda _: pages.fetched(url, 300, context), range(SCRAPERS)))
        assert [page.status for page in found] == [200] * SCRAPERS
    guest.push_text(config, CONFIG)
    guest.run(["systemctl", "reload", "stapwatch"], timeout=300).check()
    scene.prometheus.scrape_by("http")
    wait_for(lambda: scene.states() or None, "plain HTTP")


def stalled(port: int, context: ssl.SSLContext, stage: int) -> socket.socket:
    """A connection that says nothing, that is in its handshake, or that is in its request."""
    peer = socket.create_connection(("127.0.0.1", port), timeout=300)
    if stage == 1:
        peer.send(b"\x16\x03\x01")
    if stage == 2:
        peer = context.wrap_socket(peer, server_hostname="localhost")
        peer.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
    return peer
