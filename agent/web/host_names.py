# SPDX-License-Identifier: GPL-2.0-or-later
"""The names by which a client may call this host, against DNS rebinding.

A web page can have its own name resolve to this host, and the browser that shows it then reads what
the agent serves. The Host header has that page's name, so a plain HTTP server answers to names of its own
only: IP addresses, localhost, the names of this host, and those of `allowed_hosts`.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from runtime.support import bounded_file

_RESOLVER = Path("/etc/resolv.conf")


def host_of(header: str) -> str:
    """A Host header without its port, in lower case and without brackets or a last dot."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).rstrip(".")


def is_allowed(host: str, own: Iterable[str], allowed: Iterable[str]) -> bool:
    if _is_address(host) or host == "localhost" or host.endswith(".localhost"):
        return True
    return host in own or any(_matches(host, pattern) for pattern in allowed)


def own_names() -> frozenset[str]:
    """The host's name, short and in each of the domains that it looks names up in. This may ask the DNS."""
    name = socket.gethostname().lower()
    names = {name, name.partition(".")[0], socket.getfqdn().lower().rstrip(".")}
    short = name.partition(".")[0]
    names |= {f"{short}.{domain}" for domain in _domains()}
    return frozenset(filter(None, names))


def _domains() -> list[str]:
    found = []
    with suppress(OSError):
        for line in bounded_file.read(_RESOLVER).decode(errors="replace").splitlines():
            words = line.lower().split()
            if words and words[0] in ("search", "domain"):
                found += [word.strip(".") for word in words[1:]]
    return [domain for domain in found if domain]


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
