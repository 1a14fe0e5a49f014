# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries that the agent does not load. Each test has its own process: loaded modules stay."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

from tests.agent.certificates import Certificates

AGENT = """
import sys, json
from runtime.support.footprint import avoid_huge_pages, leave_out_openssl
avoid_huge_pages()
leave_out_openssl()
import agent.daemon.service, asyncio, hashlib, prometheus_client, ssl
maps = open("/proc/self/maps").read()
print(json.dumps({
    "digest": hashlib.sha256(b"x").hexdigest(),
    "short": hashlib.blake2b(b"x", digest_size=20).hexdigest(),
    "loaded": [name for name in ("libcrypto", "libssl") if name in maps],
    "huge": [line for line in open("/proc/self/status") if line.startswith("THP_enabled")],
}))
"""


TLS = """
import sys, json
from runtime.support.footprint import bring_back_openssl, leave_out_openssl
leave_out_openssl()
import asyncio, asyncio.sslproto, http.client, agent.daemon.service
bring_back_openssl()
bring_back_openssl()
import ssl

async def work():
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*sys.argv[1:3])
    client = ssl.create_default_context(cafile=sys.argv[3])

    async def hello(reader, writer):
        writer.write(b"hello")
        writer.close()

    listener = await asyncio.start_server(hello, "127.0.0.1", 0, ssl=server)
    port = listener.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client, server_hostname="localhost"
    )
    print((await reader.read()).decode())
    writer.close()
    listener.close()

asyncio.run(work())
"""


def test_openssl_can_be_brought_back(tmp_path: Path) -> None:
    """A reload may switch TLS on, long after asyncio was imported without it."""
    made = Certificates.make(tmp_path)
    files = (made.server.cert, made.server.key, made.authority.cert)
    words = [sys.executable, "-c", TLS, *map(str, files)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_the_agent_loads_no_openssl_and_takes_no_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", AGENT], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["loaded"] == []
    assert found["digest"] == hashlib.sha256(b"x").hexdigest()
    assert found["short"] == hashlib.blake2b(b"x", digest_size=20).hexdigest()
    assert all(line.split()[1] == "0" for line in found["huge"])
