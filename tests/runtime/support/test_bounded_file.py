# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading of files that could block, or never end: with real ones."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from runtime.support import bounded_file
from runtime.support.bounded_file import UnfitFile


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"x" * 1000)
    assert bounded_file.read(file, 1000) == b"x" * 1000
    with pytest.raises(UnfitFile, match="is too large: 1,000 bytes or more, of at most 999"):
        bounded_file.read(file, 999)


def test_a_file_whose_size_is_not_known_before(tmp_path: Path) -> None:
    """Files in /proc have size 0."""
    maps = Path("/proc/self/maps")
    assert maps.stat().st_size == 0
    assert b"[stack]" in bounded_file.read(maps)
    with pytest.raises(UnfitFile, match="is too large"):
        bounded_file.read(maps, 100)


def test_what_is_not_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        for name, said in {
            "fifo": "is a FIFO, not a file",
            "zero": "is a device, not a file: it is a link to /dev/zero",
            "socket": "is a socket, not a file",
            ".": "is a folder, not a file",
        }.items():
            with pytest.raises(UnfitFile) as caught:
                bounded_file.read(tmp_path / name)
            assert caught.value.strerror == said
            assert caught.value.filename == str(tmp_path / name)


def test_a_fifo_is_never_opened(tmp_path: Path) -> None:
    """Its writer would otherwise be told that somebody reads."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(UnfitFile):
        bounded_file.read(fifo)
    with pytest.raises(OSError, match="No such device or address"):  # no reader
        os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        bounded_file.read(tmp_path / "x")
