# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler on a socket: it reads what it is given, answers with the module, and ends when nobody waits."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compiler.protocol import Request, Response, decode_progress, decode_response, encode
from compiler.support import given_files
from runtime.support.line_socket import LineSocket
from tests import PROJECT

SERVE = "import socket; from compiler.__main__ import serve_socket; serve_socket(socket.socket(fileno=0))"


@contextmanager
def compiler(tmp_path: Path) -> Iterator[tuple[LineSocket, subprocess.Popen[bytes]]]:
    """A compiler that has got its first line, which gives it no file."""
    ours, theirs = socket.socketpair()
    env = {**os.environ, "PYTHONPATH": str(PROJECT), "CACHE_DIRECTORY": str(tmp_path / "cache")}
    with subprocess.Popen([sys.executable, "-c", SERVE], stdin=theirs.fileno(), env=env) as child:
        theirs.close()
        peer = LineSocket(ours)
        peer.send(json.dumps({"files": []}).encode() + b"\n")
        yield peer, child
        peer.close()
        assert child.wait(30) == 0


def answer(peer: LineSocket) -> Response:
    while (line := peer.line()) and decode_progress(line) is not None:
        pass
    return decode_response(line)


def test_a_script_that_only_its_giver_may_read(tmp_path: Path) -> None:
    """The text comes through the descriptor: the path leads nowhere."""
    text = tmp_path / "text"
    text.write_text("probe begin { nonsense( }")
    with compiler(tmp_path) as (peer, _), text.open() as file:
        peer.send(encode(Request("x", source="/nowhere/x.stp")), [file.fileno()])
        found = answer(peer)
        assert not found.ok and found.errors[0].file == "/nowhere/x.stp"
        assert found.errors[0].line == 1
        peer.send(encode(Request("x", text="probe begin { print(1 }")))
        assert answer(peer).errors[0].slug == "syntax"


def test_it_ends_with_its_connection(tmp_path: Path) -> None:
    with compiler(tmp_path) as (peer, child):
        peer.send(b'{"name": ')
        assert child.poll() is None


def test_given_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(given_files, "_given", {})
    plain, secret = tmp_path / "plain", Path("/nowhere/secret")
    plain.write_bytes(b"shown")
    assert given_files.read(plain) == b"shown" and not given_files.is_given(secret)
    given_files.give(str(secret), os.open(plain, os.O_RDONLY))
    assert given_files.read(secret) == given_files.read(secret) == b"shown"
    given_files.give(str(secret), os.open(plain, os.O_RDONLY))  # the older one is closed
    assert given_files.is_given(secret) and given_files.read(secret) == b"shown"
