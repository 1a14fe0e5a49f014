# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets that systemd has opened: found, matched with the configuration, and not given to children."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from agent.config.settings import Address
from agent.web.inherited_sockets import InheritedSockets
from tests import PROJECT

SHOW = """
import os
from agent.config.settings import Address
from agent.web.inherited_sockets import InheritedSockets
found = InheritedSockets.taken()
print(found.unused(), [n for n in os.environ if n.startswith("LISTEN")], os.get_inheritable(3))
"""


def listening(host: str, family: int = socket.AF_INET) -> socket.socket:
    made = socket.socket(family)
    made.bind((host, 0))
    made.listen()
    return made


@pytest.mark.parametrize(
    ("family", "host", "matches", "other"),
    [
        (socket.AF_INET, "127.0.0.1", ["127.0.0.1", "localhost"], ["0.0.0.0", "::1"]),
        (socket.AF_INET6, "::", ["::", "0.0.0.0"], ["127.0.0.1"]),
        (socket.AF_INET6, "::1", ["::1"], ["127.0.0.1", "::"]),
    ],
)
def test_addresses(family: int, host: str, matches: list[str], other: list[str]) -> None:
    with listening(host, family) as sock:
        port = sock.getsockname()[1]
        sockets = InheritedSockets([sock])
        for name in other:
            assert sockets.matching(Address(name, port)) is None, name
        assert sockets.matching(Address(host, 1)) is None
        assert sockets.unused() == [str(Address(host, port))]
        for name in matches:
            found = sockets.matching(Address(name, port))
            assert found is not None, name
            assert found.fileno() != sock.fileno()
            found.close()
        assert sockets.unused() == []


@pytest.mark.parametrize("mine", [True, False])
def test_from_the_environment(mine: bool) -> None:
    with listening("127.0.0.1") as sock:
        address = "{}:{}".format(*sock.getsockname())
        pid = "$$" if mine else "1"
        command = f'exec 3<&{sock.fileno()}; LISTEN_PID={pid} LISTEN_FDS=1 exec "$0" -c "$1"'
        done = subprocess.run(
            ["bash", "-c", command, sys.executable, SHOW],
            pass_fds=[sock.fileno()],
            capture_output=True,
            text=True,
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            check=True,
            timeout=60,
        )
    assert done.stdout == (f"['{address}'] [] False\n" if mine else "[] [] True\n")
