# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions of running processes by address, from the files that they have mapped.

    ProcessSymbols(arch).name(0x7f3a1c0291b4, 4711)    -> "poll"

The file is read through the mapping itself (/proc/PID/map_files), so it is the one that runs, also when an
upgrade has replaced it. A process that has ended has no names.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from pathlib import Path
from typing import Final

from compiler.arch import Arch
from compiler.support.elf import ElfError
from compiler.userspace.elf_program import Executable
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

_MAPPING = pattern(r"([0-9a-f]+)-([0-9a-f]+) ..x. ([0-9a-f]+) (\S+) ([1-9]\d*) +(/.*)")
_FARTHEST: Final = 1 << 20  # bytes behind a function's start that are taken for a part of it


@record
class _Mapping:
    """Code of a file: `file` is its device and inode."""

    start: int
    end: int
    offset: int
    file: tuple[str, str]
    link: Path
    path: Path  # as the process sees it


@record
class _Functions:
    offsets: tuple[int, ...]  # in the file, ascending
    names: tuple[str, ...]


class ProcessSymbols:
    """Maps of processes and functions of files are read once."""

    def __init__(self, arch: Arch, proc: Path = Path("/proc")) -> None:
        self._arch, self._proc = arch, proc
        self._mappings: dict[int, list[_Mapping]] = {}
        self._files: dict[tuple[str, str], _Functions] = {}

    def name(self, address: int, pid: int) -> str | None:
        """The function that an address is in, or None."""
        if pid not in self._mappings:
            self._mappings[pid] = self._read_maps(pid)
        for mapping in self._mappings[pid]:
            if mapping.start <= address < mapping.end:
                functions = self._functions(mapping)
                offset = address - mapping.start + mapping.offset
                at = bisect_right(functions.offsets, offset) - 1
                if at < 0 or offset - functions.offsets[at] > _FARTHEST:
                    return None
                return functions.names[at]
        return None

    def _read_maps(self, pid: int) -> list[_Mapping]:
        folder = self._proc / str(pid)
        try:
            text = (folder / "maps").read_text("utf-8", "surrogateescape")
        except OSError:
            return []
        found = (re.fullmatch(_MAPPING.pattern, line) for line in text.splitlines())
        return [_mapping(folder, *match.groups()) for match in found if match is not None]

    def _functions(self, mapping: _Mapping) -> _Functions:
        """None are found in a file that cannot be read, or is no program."""
        if mapping.file not in self._files:
            self._files[mapping.file] = self._read(mapping)
        return self._files[mapping.file]

    def _read(self, mapping: _Mapping) -> _Functions:
        for path in (mapping.link, mapping.path):  # only root may follow the link
            try:
                functions = Executable.open(path, self._arch).functions
            except (OSError, ElfError):
                continue
            by_offset: dict[int, str] = {}
            for name, offsets in sorted(functions.items()):
                for offset in offsets:
                    by_offset.setdefault(offset, name)
            ordered = sorted(by_offset)
            return _Functions(tuple(ordered), tuple(by_offset[offset] for offset in ordered))
        return _Functions((), ())


def _mapping(
    folder: Path, start: str, end: str, offset: str, device: str, inode: str, path: str
) -> _Mapping:
    return _Mapping(
        int(start, 16),
        int(end, 16),
        int(offset, 16),
        (device, inode),
        folder / "map_files" / f"{start}-{end}",
        folder / "root" / path.lstrip("/"),
    )
