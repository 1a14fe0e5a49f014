# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries that the agent does not load. Each test has its own process: loaded modules stay."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

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


def test_the_agent_loads_no_openssl_and_takes_no_huge_pages() -> None:
    done = subprocess.run([sys.executable, "-c", AGENT], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    found = json.loads(done.stdout)
    assert found["loaded"] == []
    assert found["digest"] == hashlib.sha256(b"x").hexdigest()
    assert found["short"] == hashlib.blake2b(b"x", digest_size=20).hexdigest()
    assert all(line.split()[1] == "0" for line in found["huge"])
