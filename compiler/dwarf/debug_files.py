# SPDX-License-Identifier: GPL-2.0-or-later
"""The file that has a program's DWARF: the program itself, or a separate debug file.

    find(elf, "/usr/sbin/nginx", read) -> Path("/usr/lib/debug/.build-id/ab/cdef.debug")

Searched in gdb's order: the file itself, its build-id below /usr/lib/debug, its .gnu_debuglink beside it
and below /usr/lib/debug, the folder in which debuginfod's clients cache what they have fetched. Nothing is
fetched here. Types that dwz has moved are in the file that .gnu_debugaltlink names (`supplement`).
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from compiler.support.elf import Elf, ElfError

Read = Callable[[str], Path]  # a path of the probed system -> where this process finds it

_DEBUG: Final = "/usr/lib/debug"
_NOTE: Final = struct.Struct("<III")
_GNU, _BUILD_ID = b"GNU\0", 3
_PIECE: Final = 1 << 20  # bytes of a file that are added to the checksum at once


def find(elf: Elf, path: str, read: Read) -> Path | None:
    """The file with the DWARF of the program `path`, whose ELF file is `elf`; None if there is none.
    Raises ElfError if the program's file is damaged."""
    if has_dwarf(elf):
        return read(path)
    wanted = build_id(elf)
    separate = with_build_id(wanted, (), read) if wanted else None
    if separate is not None:
        return separate
    link = elf.contents(".gnu_debuglink")
    if len(link) < 8:
        return None
    name, checksum = _text(link), int.from_bytes(link[-4:], "little")
    folder = str(PurePosixPath(path).parent)
    for beside in (folder, f"{folder}/.debug", f"{_DEBUG}{folder}"):
        debug = read(str(PurePosixPath("/", beside.lstrip("/"), name)))
        if debug.is_file() and _crc(debug) == checksum:
            found = _checked(debug, lambda _: True)
            if found is not None:
                return found
    return None


def with_build_id(wanted: bytes, names: Iterable[str], read: Read) -> Path | None:
    """The first file that has DWARF and this build-id, of those named, then of those that are named by it;
    None if there is none."""
    for name in (*names, *_by_build_id(wanted)):
        found = _checked(read(name), lambda other: build_id(other) == wanted)
        if found is not None:
            return found
    return None


def supplement(elf: Elf, debug: Path, read: Read) -> Path | None:
    """The file that dwz has moved entries of several programs to, for a debug file; None if it needs none or
    the file is missing."""
    link = elf.contents(".gnu_debugaltlink")
    if not link:
        return None
    name = _text(link)
    wanted = link[len(name.encode()) + 1 :]
    beside = str(PurePosixPath(os.path.normpath(debug.parent / name)))
    identity = wanted.hex()
    candidates = [
        Path(beside),
        read(f"{_DEBUG}/.dwz/{PurePosixPath(name).name}"),
        *(read(found) for found in _by_build_id(wanted)),
    ]
    for candidate in candidates:
        found = _checked(candidate, lambda other: build_id(other).hex() == identity)
        if found is not None:
            return found
    return None


def build_id(elf: Elf) -> bytes:
    """Usually 20 bytes; empty if the file has none."""
    # a kernel has all its notes in one section
    notes = elf.contents(".note.gnu.build-id") or elf.contents(".notes")
    at = 0
    while at + _NOTE.size <= len(notes):
        owner, size, kind = _NOTE.unpack_from(notes, at)
        start = at + _NOTE.size + -(-owner // 4) * 4
        if kind == _BUILD_ID and notes[at + _NOTE.size : start] == _GNU:
            return notes[start : start + size]
        at = start + -(-size // 4) * 4
    return b""


def open_elf(path: Path) -> Elf:
    """A mapped file. Raises ElfError and OSError."""
    with path.open("rb") as file:
        try:
            return Elf(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError as error:  # mmap refuses an empty file
            raise ElfError(str(error)) from error


def has_dwarf(elf: Elf) -> bool:
    """Whether the file has DWARF itself."""
    return any(
        section is not None and section.size and section.type != 8  # NOBITS: moved to another file
        for section in (elf.find(".debug_info"), elf.find(".zdebug_info"))
    )


def _by_build_id(wanted: bytes) -> Iterator[str]:
    text = wanted.hex()
    yield f"{_DEBUG}/.build-id/{text[:2]}/{text[2:]}.debug"
    folders = [os.environ.get("DEBUGINFOD_CACHE_PATH", "")]
    home = os.environ.get("HOME", "")
    cache = os.environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home else "")
    folders += [f"{cache}/debuginfod_client"] if cache else []
    folders += [f"{home}/.debuginfod_client_cache"] if home else []
    yield from (f"{folder}/{text}/debuginfo" for folder in folders if folder.startswith("/"))


def _checked(path: Path, belongs: Callable[[Elf], bool]) -> Path | None:
    try:
        elf = open_elf(path)
        return path if has_dwarf(elf) and belongs(elf) else None
    except (ElfError, OSError):
        return None


def _text(link: bytes) -> str:
    return link.partition(b"\0")[0].decode(errors="replace")


def _crc(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            checksum = zlib.crc32(piece, checksum)
    return checksum
