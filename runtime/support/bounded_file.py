# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the files that people write, and refuses what could block, never end or fill the memory.

    read(Path("/etc/stapwatch/probes.d/vfs.stp"))  -> b"global reads ..."
    read(Path("/tmp/fifo"))                        -> UnfitFile: is a FIFO, not a file

A FIFO is never opened, because a writer could notice that, and neither is a device, where opening
alone can have an effect. Files in /proc have a size of 0, so the bytes are counted, too.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LIMIT = 1 << 20  # bytes
_PIECE = 1 << 16
_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class UnfitFile(OSError):
    """The file can be found, but is not one to read; `strerror` says why."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(errno.EINVAL, why, str(path))


def read(path: Path, limit: int = LIMIT) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises OSError, or UnfitFile, which is one."""
    _check(path, path.stat(), limit)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check(path, os.fstat(descriptor), limit)  # it may be another file by now
        return _read(path, descriptor, limit)
    finally:
        os.close(descriptor)


def _check(path: Path, found: os.stat_result, limit: int) -> None:
    for is_kind, name in _KINDS:
        if is_kind(found.st_mode):
            raise UnfitFile(path, f"is {name}, not a file{_behind(path)}")
    if found.st_size > limit:
        raise UnfitFile(path, _too_large(found.st_size, limit))


def _behind(path: Path) -> str:
    """A link is not what is wrong: name its end."""
    try:
        return f": it is a link to {path.resolve()}" if path.is_symlink() else ""
    except OSError:
        return ""


def _read(path: Path, descriptor: int, limit: int) -> bytes:
    parts, size = [], 0
    while part := os.read(descriptor, _PIECE):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise UnfitFile(path, _too_large(size, limit))
    return b"".join(parts)


def _too_large(size: int, limit: int) -> str:
    return f"is too large: {size:,} bytes or more, of at most {limit:,}"
