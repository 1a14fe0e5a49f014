# SPDX-License-Identifier: GPL-2.0-or-later
"""The client of an agent, over its control socket; its status over HTTP, too.

connect(None, None)      -> "/run/stapwatch/control.sock", connection
fetch(connection)        -> {"version": "0.1.0", "ready": true, "scripts": [...], ...}
post(connection, "/arm?script=vfs")   -> True, "script vfs is armed"
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from agent.config import load
from agent.config.settings import DEFAULT_PORT

TIMEOUT = 10.0  # seconds
NO_AGENT = 3  # an exit status
_LISTENING = "00010000"  # a flag in /proc/net/unix


class _Login(http.client.HTTPConnection):
    """Sends `login` with each request."""

    login = ""

    def endheaders(self, *given: Any, **named: Any) -> None:
        if self.login:
            self.putheader("Authorization", self.login)
        super().endheaders(*given, **named)


class _TlsConnection(_Login, http.client.HTTPSConnection):
    """SSL_CERT_FILE names an authority that the system does not know."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def connect(
    url: str | None, config: Path | None, timeout: float = TIMEOUT
) -> tuple[str, http.client.HTTPConnection]:
    """The agent's address for messages, and a connection; ValueError for a malformed URL."""
    if url:
        return _connect(url, timeout)
    path = _control_socket(config)
    return str(path), _UnixConnection(path, timeout)


def _connect(url: str, timeout: float) -> tuple[str, http.client.HTTPConnection]:
    """A password in the URL is sent, and not shown."""
    parts = urlsplit(url if "//" in url else f"//{url}")
    if not parts.hostname or parts.scheme not in ("", "http", "https"):
        raise ValueError(f"'{url}' is no address; write http://127.0.0.1:9436")
    kind = _TlsConnection if parts.scheme == "https" else _Login
    connection = kind(parts.hostname, parts.port or DEFAULT_PORT, timeout=timeout)
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        connection.login = f"Basic {b64encode(login.encode()).decode()}"
    return url.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1), connection


def connect_local(config: Path | None, pid: int | None) -> tuple[str, http.client.HTTPConnection]:
    """As `connect`, without a limit of time. `pid`: the agent, if its socket is not the configured one.

    That is so while the configuration that moves the socket is not in force yet.
    """
    path = _control_socket(config)
    if pid is not None and str(path) not in (served := _sockets_of(pid)) and len(served) == 1:
        path = Path(served[0])
    return str(path), _UnixConnection(path, None)


def _control_socket(config: Path | None) -> Path:
    try:
        return load.load(config, insecure_files=True).control_socket  # it only asks
    except load.ConfigError as error:
        return error.settings.control_socket  # as far as it could be read


def _sockets_of(pid: int) -> list[str]:
    """The control sockets that a process listens on, which have a lock; none if that cannot be told."""
    try:
        links = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
        inodes = {link[8:-1] for link in links if link.startswith("socket:[")}
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    except OSError:
        return []
    found = {row[7] for row in rows if len(row) > 7 and row[3] == _LISTENING and row[6] in inodes}
    return sorted(path for path in found if Path(f"{path}.lock").exists())


def fetch(
    connection: http.client.HTTPConnection, script: str = "", seconds: float = 0
) -> dict[str, Any]:
    """The agent's status as JSON. `script`: only that one, in full; `seconds`: for which rates are measured.

    OSError or ValueError if no agent answers; LookupError if it has no such script.
    """
    query = urlencode({k: v for k, v in (("script", script), ("seconds", seconds)) if v})
    connection.request("GET", f"/status?{query}".rstrip("?"), headers={"Connection": "close"})
    response = connection.getresponse()
    body = response.read()
    if response.status == 404 and script:
        raise LookupError(body.decode(errors="replace").strip())
    if response.status != 200:
        text = body.decode(errors="replace").strip().partition("\n")[0]
        raise ValueError(f"it answers {response.status} {response.reason}: {text}")
    tree = json.loads(body)
    if not isinstance(tree, dict) or "scripts" not in tree:
        raise ValueError("it is not a stapwatch agent")
    return tree


def no_agent(address: str, error: Exception) -> int:
    """Say that nobody answers, and why. Returns the exit status."""
    print(f"error: no agent answers at {address}: {error}", file=sys.stderr)
    print("hint: is it running? systemctl status stapwatch", file=sys.stderr)
    return NO_AGENT


def not_done(address: str, error: Exception) -> int:
    """The same of a request that only root may send: 1 if this user may not."""
    if isinstance(error, PermissionError):
        print(f"error: {address}: {error.strerror}; run this as root", file=sys.stderr)
        return 1
    return no_agent(address, error)


def post(connection: http.client.HTTPConnection, target: str) -> tuple[bool, str]:
    """Ask for something to be done: whether it is, and what the agent says."""
    connection.request("POST", target, headers={"Content-Length": "0"})
    response = connection.getresponse()
    return response.status == 200, response.read().decode(errors="replace").strip()
