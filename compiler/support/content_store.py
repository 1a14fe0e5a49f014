# SPDX-License-Identifier: GPL-2.0-or-later
"""A folder of finished builds, each stored under the hash of everything it was made from.

    cache = Cache(Path("/var/cache/stapwatch"))
    cache.put("ab12...", {"reads.ko": data})  -> Entry(folder=.../ab12..., files=("reads.ko",))
    cache.get("ab12...")                      -> the same Entry; None once evicted or damaged

An entry appears by a rename, so readers and other writers never see half of one. Every read compares
the contents with the hashes stored with them; an entry that differs is discarded. Root loads modules
from here, so a folder that other users could write to is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from runtime.support.record import record

DEFAULT_LIMIT = 256 << 20  # bytes of all entries
_INDEX = "index.json"
_SLACK = 16  # a sweep frees this part of the limit; the next sweep is due when that is used again
_ORPHANED = 24 * 3600.0  # seconds after which a work folder is no longer in use


class UnsafeCache(Exception):
    """The folder cannot serve as a cache. `hint` says what to do, or is empty."""

    slug = "unsafe-cache"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.message = message
        self.hint = hint


def key_of(*parts: str | bytes) -> str:
    """The key of something made from `parts`; ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


def digest_of(files: Iterable[tuple[str, bytes]]) -> str:
    """One digest of all names and contents, in this order."""
    digest = hashlib.sha256()
    for name, data in files:
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def default_root() -> Path:
    """The service's folder (systemd names it), else the user's own."""
    service = os.environ.get("CACHE_DIRECTORY", "").partition(":")[0]
    if service:
        return Path(service).resolve()  # systemd keeps those of its dynamic users behind a link
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "stapwatch"


@record
class Entry:
    """One finished build: `files` are relative names inside `folder`."""

    folder: Path
    files: tuple[str, ...]

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> bytes:
        return self.path(name).read_bytes()


@record
class Cache:
    """`limit` bounds the bytes of all entries; the least recently used go first."""

    root: Path
    limit: int = DEFAULT_LIMIT

    def __post_init__(self) -> None:
        """Make the folder. Raises UnsafeCache."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            _require_private(self.root)
            for name in ("entries", "work", "locks", "failed"):
                (self.root / name).mkdir(mode=0o700, exist_ok=True)
                _require_private(self.root / name)
        except OSError as error:
            message = f"cannot use {self.root} as a cache: {error.strerror}"
            raise UnsafeCache(message, "set XDG_CACHE_HOME") from error

    def get(self, key: str) -> Entry | None:
        """The entry with its contents verified, or None. This counts as a use."""
        folder = self._folder(key)
        try:
            wanted: dict[str, str] = json.loads((folder / _INDEX).read_bytes())
            for name, digest in wanted.items():
                if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                    raise ValueError(f"{name} is damaged")
            os.utime(folder)
        except FileNotFoundError:
            if folder.exists():  # else: never made, or evicted
                self._discard(folder)
            return None
        except (OSError, ValueError, AttributeError, TypeError):
            self._discard(folder)
            return None
        return Entry(folder, tuple(wanted))

    def put(self, key: str, files: Mapping[str, bytes | Path]) -> Entry:
        """Store contents, or copies of files, under relative names. An intact older entry stays."""
        with self.workplace() as work:
            made = work / "entry"
            made.mkdir(mode=0o700)
            index = {name: _store(made / name, source) for name, source in files.items()}
            (made / _INDEX).write_text(json.dumps(index))
            size = _size(made)
            folder = self._folder(key)
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            entry = self._publish(made, folder, key)
        self._account(size, protected=folder)
        return entry or Entry(folder, tuple(index))

    def drop(self, key: str) -> None:
        """Remove an entry, if it is there."""
        self._discard(self._folder(key))

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """A private folder on the cache's file system, gone afterwards."""
        folder = self.root / "work" / f"{os.getpid()}-{os.urandom(8).hex()}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            _remove(folder)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """One holder at a time among all processes, for work that need not be done twice."""
        with (self.root / "locks" / name).open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def sweep(self, protected: Path | None = None) -> None:
        """Evict entries until they are below the limit, `protected` not. Remove orphaned work folders."""
        entries = []
        for folder in (self.root / "entries").glob("*/*"):
            with contextlib.suppress(OSError):
                entries.append((folder.stat().st_mtime, _size(folder), folder))
        total = sum(size for _, size, _ in entries)
        for _, size, folder in sorted(entries):
            if total <= self.limit - self.limit // _SLACK:
                break
            if folder != protected:
                self._discard(folder)
                total -= size
        for left in (self.root / "work").iterdir():
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ORPHANED:
                    _remove(left)

    def _folder(self, key: str) -> Path:
        if not key.isalnum():
            raise ValueError(f"'{key}' is no cache key")
        return self.root / "entries" / key[:2] / key

    def _publish(self, made: Path, folder: Path, key: str) -> Entry | None:
        """Rename into place. Return the other writer's entry if one was faster."""
        for _ in range(8):
            try:
                made.rename(folder)
                return None
            except OSError:
                if not folder.exists():
                    raise
            entry = self.get(key)  # discards a damaged one
            if entry is not None:
                return entry
        raise UnsafeCache(f"cannot replace {folder}")

    def _discard(self, folder: Path) -> None:
        """Move the entry away in one step, so that no reader finds a half-deleted one."""
        with self.workplace() as work, contextlib.suppress(OSError):
            folder.rename(work / "discarded")

    def _account(self, size: int, protected: Path) -> None:
        """Sweep once all processes together have used what the last sweep freed.

        The size of the file `unswept` is the counter, one byte for each kilobyte stored, because
        appending is atomic and needs no lock. A sweep looks at all entries, so it must be rare.
        """
        with (self.root / "unswept").open("ab", buffering=0) as count:
            count.write(b"." * (size // 1024 + 1))
            if count.tell() * 1024 > self.limit // _SLACK:
                count.truncate(0)
                self.sweep(protected)


def _remove(folder: Path) -> None:
    """Remove a folder and its contents as far as possible. (shutil takes long to import.)"""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                _remove(Path(entry.path))
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)  # noqa: PTH108
    with contextlib.suppress(OSError):
        folder.rmdir()


def _store(target: Path, source: bytes | Path) -> str:
    data = source if isinstance(source, bytes) else source.read_bytes()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.write_bytes(data)
    return hashlib.sha256(data).hexdigest()


def _size(folder: str | Path) -> int:
    """The bytes of all files in it."""
    total = 0
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            total += _size(entry.path)
        else:
            total += entry.stat(follow_symlinks=False).st_size
    return total


def _require_private(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafeCache(f"{folder} is not a folder")
    if status.st_uid != os.geteuid():
        message = f"the cache {folder} belongs to user {status.st_uid}, not to {os.geteuid()}"
        raise UnsafeCache(message, "modules from it could be anybody's; remove it")
    if status.st_mode & 0o022:
        hint = f"modules from it could be anybody's; chmod go-w {folder}"
        raise UnsafeCache(f"others may write to the cache {folder}", hint)
