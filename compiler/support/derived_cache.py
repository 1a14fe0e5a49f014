# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts of kernels that take long to find, kept in a folder between one process and the next.

    store(folder / "e4f18d9d.types", data);  load(folder / "e4f18d9d.types") -> data, or None

A file is its contents behind their checksum, so what is damaged is made again. Few kernels matter at
a time: the files used least recently go.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable
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


def derived(folder: Path, kind: str, paths: Iterable[Path], make: Callable[[], bytes]) -> bytes:
    """What `make` makes of files: kept until the size or the time of one changes."""
    signs = json.dumps(signatures(map(str, paths)), sort_keys=True)
    place = folder / f"{hashlib.sha256(signs.encode()).hexdigest()[:40]}.{kind}"
    found = load(place)
    if found is None:
        found = make()
        store(place, found)
    return found


def signatures(paths: Iterable[str]) -> dict[str, str]:
    """Size and time of each file; empty for one that is missing."""
    found = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - hundreds of them for every script
            found[path] = f"{status.st_size}:{status.st_mtime_ns}"
        except OSError:
            found[path] = ""
    return found


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
