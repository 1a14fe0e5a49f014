# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts of kernels that take long to find, kept in a folder between one process and the next.

    store(folder / "e4f18d9d.types", data);  load(folder / "e4f18d9d.types") -> data, or None

A file is its contents behind their checksum, so what is damaged is made again. Few kernels matter at
a time: the files used least recently go.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import Final

_CHECK: Final = 4  # bytes
_MOST: Final = 16  # files; a kernel's types are 5 MB


def load(path: Path) -> bytes | None:
    """What `store` wrote, or None. Counts as a use."""
    try:
        data = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    body = data[_CHECK:]
    return body if _checksum(body) == data[:_CHECK] else None


def store(path: Path, body: bytes) -> None:
    """Atomic, so that writers and readers may race."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        work.write_bytes(_checksum(body) + body)
        work.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            work.unlink()
    _prune(path.parent)


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECK, "little")


def _prune(folder: Path) -> None:
    ages = []
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):
            ages.append((entry.stat().st_mtime, entry.path))
    for _, path in sorted(ages)[:-_MOST]:
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
