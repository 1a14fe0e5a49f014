# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch status`: ask the running agent over its socket, or any agent over HTTP.

SCRIPT  STATE    HITS  ERRORS  LOST  MEMORY  WHY
vfs     running  4711       0     0   65536
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agent.config import load
from agent.config.settings import DEFAULT_PORT, Settings
from agent.daemon import status_page

_TIMEOUT = 10.0
NO_AGENT = 3


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(str(self._path))


def status(options: argparse.Namespace) -> int:
    """Print the agent's state. 0: all is well; 1: a script or the last reload failed; 3: no agent."""
    try:
        where, connection = _connection(options)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        tree = fetch(connection)
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"error: no agent answers at {where}: {error}", file=sys.stderr)
        print("hint: is it running? systemctl status stapwatch", file=sys.stderr)
        return NO_AGENT
    finally:
        connection.close()
    print(json.dumps(tree, indent=2) if options.json else status_page.table(tree))
    if failure := tree["reload"]["error"]:
        print(
            f"\nthe last reload failed, the configuration before it runs on:\n{failure}",
            file=sys.stderr,
        )
    bad = any(script["state"] in ("failed", "outdated") for script in tree["scripts"])
    return 1 if bad or failure else 0


def fetch(connection: http.client.HTTPConnection) -> dict[str, Any]:
    """The agent's status tree; OSError or ValueError when there is none."""
    connection.request("GET", "/status", headers={"Connection": "close"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise ValueError(f"it answers {response.status} {response.reason}")
    tree = json.loads(body)
    if not isinstance(tree, dict) or "scripts" not in tree:
        raise ValueError("it is not a stapwatch agent")
    return tree


def _connection(options: argparse.Namespace) -> tuple[str, http.client.HTTPConnection]:
    if options.url:
        url = urlsplit(options.url if "//" in options.url else f"//{options.url}")
        if not url.hostname or url.scheme not in ("", "http"):
            raise ValueError(f"'{options.url}' is no address; write http://127.0.0.1:9436")
        port = url.port or DEFAULT_PORT
        return options.url, http.client.HTTPConnection(url.hostname, port, timeout=_TIMEOUT)
    try:
        path = load.load(options.config).control_socket
    except load.ConfigError:
        # The agent may run on an older configuration; its socket is where it always is.
        path = Settings().control_socket
    return str(path), _UnixConnection(path)
