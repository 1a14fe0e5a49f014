# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines, bytes and open files over a socket pair."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.support.line_socket import LineSocket

Pair = tuple[LineSocket, LineSocket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = map(LineSocket, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_lines_and_bytes(pair: Pair) -> None:
    ours, theirs = pair
    ours.send(b"one\ntwo\n\0\n\xffrest\n")
    assert (theirs.line(), theirs.line(), theirs.exactly(3)) == (b"one\n", b"two\n", b"\0\n\xff")
    ours.close()
    assert (theirs.line(), theirs.exactly(4), theirs.line()) == (b"rest\n", b"", b"")


def test_more_than_the_socket_holds(pair: Pair) -> None:
    ours, theirs = pair
    data = os.urandom(3 << 20)
    sender = threading.Thread(target=ours.send, args=(b"x\n" + data,))
    sender.start()
    assert theirs.line() == b"x\n" and theirs.exactly(len(data)) == data
    sender.join()


def test_descriptors_come_with_their_line(pair: Pair, tmp_path: Path) -> None:
    ours, theirs = pair
    (tmp_path / "file").write_text("text")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    ours.send(b"before\n")
    ours.send(b"file\n", [descriptor, descriptor])
    os.close(descriptor)
    assert (theirs.line(), theirs.line()) == (b"before\n", b"file\n")
    taken = [*theirs.taken(1), *theirs.taken()]
    assert [os.pread(each, 9, 0) for each in taken] == [b"text", b"text"]
    assert not any(map(os.get_inheritable, taken)) and theirs.taken() == []
    for each in taken:
        os.close(each)


def test_closing_ends_a_thread_that_waits(pair: Pair) -> None:
    ours, theirs = pair
    found: list[bytes] = []
    waiting = threading.Thread(target=lambda: found.append(theirs.line()))
    waiting.start()
    ours.close()
    waiting.join(10)
    assert found == [b""]
