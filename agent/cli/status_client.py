# SPDX-License-Identifier: GPL-2.0-or-later
"""The client of an agent's status, over its control socket or over HTTP.

connect(None, None)   -> "/run/stapwatch/control.sock", connection
fetch(connection)     -> {"version": "0.1.0", "ready": true, "scripts": [...], ...}
"""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.config import load
from agent.config.settings import DEFAULT_PORT, Settings

_TIMEOUT = 10.0  # seconds


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))


def connect(url: str | None, config: Path | None) -> tuple[str, http.client.HTTPConnection]:
    """The agent's address for messages, and a connection; ValueError for a malformed URL."""
    if url:
        parts = urlsplit(url if "//" in url else f"//{url}")
        if not parts.hostname or parts.scheme not in ("", "http"):
            raise ValueError(f"'{url}' is no address; write http://127.0.0.1:9436")
        port = parts.port or DEFAULT_PORT
        return url, http.client.HTTPConnection(parts.hostname, port, timeout=_TIMEOUT)
    try:
        path = load.load(config).control_socket
    except load.ConfigError:
        # The agent may run with an older configuration; try the default socket.
        path = Settings().control_socket
    return str(path), _UnixConnection(path)


def fetch(connection: http.client.HTTPConnection) -> dict[str, Any]:
    """The agent's status as JSON; OSError or ValueError if no agent answers."""
    connection.request("GET", "/status", headers={"Connection": "close"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ValueError(f"it answers {response.status} {response.reason}")
    tree = json.loads(body)
    if not isinstance(tree, dict) or "scripts" not in tree:
        raise ValueError("it is not a stapwatch agent")
    return tree
