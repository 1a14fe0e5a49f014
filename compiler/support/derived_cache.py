# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts that take long to compute, cached in a folder for later processes.

    store(folder / "e4f18d9d.types", data);  load(folder / "e4f18d9d.types") -> data, or None

A file is a checksum followed by the contents, so a damaged file counts as missing. Few kernels matter
at a time: the least recently used files are removed.
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

_CHECKSUM_SIZE: Final = 4  # bytes
_MAX_FILES: Final = 16  # files; a kernel's types are 5 MB


def load(path: Path) -> bytes | None:
    """The contents that `store` wrote, or None. This counts as a use."""
    try:
        with path.open("rb") as file:
            checksum, body = file.read(_CHECKSUM_SIZE), file.read()  # a body is not copied again
        os.utime(path)
    except OSError:
        return None
    return body if _checksum(body) == checksum else None


def files_below(folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """The files below a folder whose names end so, as sorted paths relative to it. Every compile lists
    hundreds of files, and pathlib takes several times as long."""
    found = []
    folders = [""]
    while folders:
        inner = folders.pop()
        with os.scandir(f"{folder}/{inner}") as entries:
            for entry in entries:
                if entry.name.endswith(suffixes):
                    found.append(inner + entry.name)
                elif entry.is_dir() and entry.name != "__pycache__":
                    folders.append(f"{inner}{entry.name}/")
    return sorted(found)


def derived(folder: Path, kind: str, paths: Iterable[str], make: Callable[[], bytes]) -> bytes:
    """The result of `make`, cached until the size or the time of one of `paths` changes."""
    state = json.dumps(signatures(paths), sort_keys=True)
    cached_at = folder / f"{hashlib.sha256(state.encode()).hexdigest()[:40]}.{kind}"
    found = load(cached_at)
    if found is None:
        found = make()
        store(cached_at, found)
    return found


def signatures(paths: Iterable[str]) -> dict[str, str]:
    """Size and time of each file; empty for a missing one."""
    found = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116 - hundreds of them for every script
            found[path] = f"{status.st_size}:{status.st_mtime_ns}"
        except OSError:
            found[path] = ""
    return found


def store(path: Path, body: bytes) -> None:
    """Write atomically, so that writers and readers may race."""
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
    return zlib.crc32(body).to_bytes(_CHECKSUM_SIZE, "little")


def _prune(folder: Path) -> None:
    ages = []
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):
            ages.append((entry.stat().st_mtime, entry.path))
    for _, path in sorted(ages)[:-_MAX_FILES]:
        with contextlib.suppress(FileNotFoundError):
            Path(path).unlink()
