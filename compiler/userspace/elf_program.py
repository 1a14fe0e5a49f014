# SPDX-License-Identifier: GPL-2.0-or-later
"""A program's or library's ELF file: its functions, its marks, and what it needs.

exe = Executable.open(Path("/usr/bin/program"))
exe.functions["main"]          -> (0x1040,)      offsets in the file
exe.marks                      -> (Mark("provider", "name", 0x401136, 0, "-4@%eax 8@-8(%rbp)"), ...)
exe.binary("/usr/bin/program") -> Binary(...)    what tells whether a file is still this one
"""

from __future__ import annotations

import mmap
import struct
from functools import cached_property
from pathlib import Path

from compiler.ir.hooks import Binary
from compiler.modbuild.errors import BuildError
from compiler.support.elf import Elf
from runtime.support.record import record

_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NOTE = struct.Struct("<III")
_DYNAMIC = struct.Struct("<qQ")
_PLACES = struct.Struct("<QQQ")
_LOAD, _DYNAMIC_SEGMENT, _NOTES = 1, 2, 4
_EXECUTABLE = 1
_NOBITS, _SYMTAB, _DYNSYM = 8, 2, 11
_OBJECT, _FUNCTION, _CHOSEN = 1, 2, 10
_BUILD_ID, _MARK = 3, 3
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29
_HEADER_SIZE = 64


class ProgramError(Exception):
    """A file that is no program for x86-64; `hint` tells what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@record
class Mark:
    """One place of a mark: `address` and `semaphore` as linked, `arguments` as the assembler wrote them."""

    provider: str
    name: str
    address: int
    semaphore: int  # 0: none
    arguments: str


@record
class _Segment:
    flags: int
    offset: int
    address: int
    size: int  # in the file


class Executable(Elf):
    """Raises ProgramError for a file of another kind."""

    kinds = frozenset((2, 3))  # for a fixed address, or for any

    @classmethod
    def open(cls, path: Path) -> Executable:
        """The file stays mapped as long as the object lives."""
        try:
            with path.open("rb") as file:
                return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (BuildError, struct.error, IndexError, ValueError) as error:
            raise ProgramError(
                f"'{path.name}' is no 64-bit program",
                "scripts run in an interpreter: probe that",
            ) from error

    def offset_of(self, address: int, *, code: bool = False) -> int | None:
        """Where in the file a linked address is; None if nowhere. `code`: if it can be run."""
        for s in self._segments:
            if s.address <= address < s.address + s.size and (s.flags & _EXECUTABLE or not code):
                return address - s.address + s.offset
        return None

    @cached_property
    def functions(self) -> dict[str, tuple[int, ...]]:
        """Offsets by name; several where files of the program have one of the same name each."""
        found: dict[str, dict[int, None]] = {}
        for name, kind, value in self._symbols:
            if kind == _FUNCTION:
                offset = self.offset_of(value, code=True)
                if offset is not None:
                    found.setdefault(name, {})[offset] = None
        return {name: tuple(offsets) for name, offsets in found.items()}

    @cached_property
    def chosen(self) -> frozenset[str]:
        """Functions of which the processor's kind decides: their symbols are those of who decides."""
        return frozenset(name for name, kind, _ in self._symbols if kind == _CHOSEN)

    @cached_property
    def variables(self) -> dict[str, int]:
        """Linked addresses of data."""
        return {name: value for name, kind, value in self._symbols if kind == _OBJECT}

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        notes = next((s for s in self.sections if s.name == ".note.stapsdt"), None)
        if notes is None:
            return ()
        base = next((s.address for s in self.sections if s.name == ".stapsdt.base"), 0)
        found = []
        for owner, kind, at, size in self._notes(notes.offset, notes.size):
            if owner != b"stapsdt\0" or kind != _MARK:
                continue
            description = self.data[at : at + size]
            address, linked, semaphore = _PLACES.unpack_from(description)
            moved = base - linked if base and linked else 0
            texts = description[_PLACES.size :].split(b"\0")
            provider, name, arguments = (t.decode(errors="replace") for t in texts[:3])
            found.append(
                Mark(provider, name, address + moved, semaphore and semaphore + moved, arguments)
            )
        return tuple(found)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Names of the libraries that the dynamic linker loads for it."""
        return tuple(self._dynamic_texts(_NEEDED))

    @cached_property
    def library_folders(self) -> tuple[str, ...]:
        """Where it wants libraries to be looked for first; `$ORIGIN` is its own folder."""
        found = [*self._dynamic_texts(_RUNPATH), *self._dynamic_texts(_RPATH)]
        return tuple(folder for text in found for folder in text.split(":"))

    def binary(self, path: str) -> Binary:
        """The file's size, and its build-id or, failing that, its header."""
        for s in self._raw_segments(_NOTES):
            for owner, kind, at, size in self._notes(s.offset, s.size):
                if owner == b"GNU\0" and kind == _BUILD_ID:
                    return Binary(path, len(self.data), at, self.data[at : at + size])
        return Binary(path, len(self.data), 0, self.data[:_HEADER_SIZE])

    @cached_property
    def _segments(self) -> tuple[_Segment, ...]:
        return self._raw_segments(_LOAD)

    def _raw_segments(self, wanted: int) -> tuple[_Segment, ...]:
        raw = (
            _SEGMENT.unpack_from(self.data, self.segments_at + i * _SEGMENT.size)
            for i in range(self.segments_count)
        )
        return tuple(
            _Segment(flags, offset, address, size)
            for kind, flags, offset, address, _, size, _, _ in raw
            if kind == wanted
        )

    @cached_property
    def _symbols(self) -> tuple[tuple[str, int, int], ...]:
        """Name, kind and linked address of what is defined here; a stripped file tells what it exports."""
        tables = {s.type: s for s in self.sections if s.type in (_SYMTAB, _DYNSYM)}
        table = tables.get(_SYMTAB) or tables.get(_DYNSYM)
        if table is None:
            return ()
        strings = self.sections[table.link].offset
        raw = _SYMBOL.iter_unpack(self.data[table.offset : table.offset + table.size])
        return tuple(
            (self.text(strings + name).partition("@")[0], info & 15, value)
            for name, info, _, section, value, _ in raw
            if section and info & 15 in (_OBJECT, _FUNCTION, _CHOSEN)
        )

    def _notes(self, at: int, size: int) -> list[tuple[bytes, int, int, int]]:
        """Owner, type, offset and size of each note's description."""
        found, end = [], at + size
        while at + _NOTE.size <= end:
            owner_size, description_size, kind = _NOTE.unpack_from(self.data, at)
            at += _NOTE.size
            owner = self.data[at : at + owner_size]
            at += -(-owner_size // 4) * 4
            found.append((owner, kind, at, description_size))
            at += -(-description_size // 4) * 4
        return found

    def _dynamic_texts(self, wanted: int) -> list[str]:
        entries: list[tuple[int, int]] = []
        for s in self._raw_segments(_DYNAMIC_SEGMENT):
            entries += _DYNAMIC.iter_unpack(
                self.data[s.offset : s.offset + s.size // _DYNAMIC.size * _DYNAMIC.size]
            )
        strings = next((self.offset_of(value) for tag, value in entries if tag == _STRTAB), None)
        if strings is None:
            return []
        return [self.text(strings + value) for tag, value in entries if tag == wanted]
