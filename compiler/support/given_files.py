# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that this process was given as open descriptors, because it may not open them itself.

    give("/proc/kallsyms", 7)
    read(Path("/proc/kallsyms"))   -> its bytes, through descriptor 7
    read(Path("/etc/os-release"))  -> its bytes; the file is opened

A compiler in its sandbox is no user that may read the kernel's addresses or a script of root's. Who has
opened a file decides what it shows, and not who reads it.
"""

from __future__ import annotations

import os
from pathlib import Path

_PIECE = 1 << 20
_given: dict[str, int] = {}


def give(path: str, descriptor: int) -> None:
    """Read this path through the descriptor from now on. One that was given before is closed."""
    older = _given.get(path)
    _given[path] = descriptor
    if older is not None:
        os.close(older)


def is_given(path: Path) -> bool:
    return str(path) in _given


def read(path: Path) -> bytes:
    """The whole file, from its start. Raises OSError."""
    descriptor = _given.get(str(path))
    if descriptor is None:
        return path.read_bytes()
    os.lseek(descriptor, 0, os.SEEK_SET)
    parts = []
    while part := os.read(descriptor, _PIECE):
        parts.append(part)
    return b"".join(parts)
