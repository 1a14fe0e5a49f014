# SPDX-License-Identifier: GPL-2.0-or-later
"""A program's or library's ELF file: its functions, its marks, and the libraries it needs.

exe = Executable.open(Path("/usr/bin/program"), arch)
exe.functions["main"]          -> (0x1040,)      offsets in the file
exe.marks                      -> (Mark("provider", "name", 0x401136, 0, "-4@..."), ...)
exe.binary("/usr/bin/program") -> Binary(...)    identifies the file's contents
"""

from __future__ import annotations

import mmap
import struct
from functools import cached_property
from pathlib import Path

from compiler.arch import Arch
from compiler.ir.hooks import Binary
from compiler.support.elf import EXECUTABLES, SYMBOL, SYMTAB, Elf, ElfError
from runtime.support.record import record

_SEGMENT = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
_DYNAMIC = struct.Struct("<qQ")
_MARK_HEADER = struct.Struct("<QQQ")  # addresses of the mark, .stapsdt.base and the semaphore
_LOAD, _DYNAMIC_SEGMENT, _NOTES, _THREAD_LOCAL = 1, 2, 4, 7
_DEBUG = 21
_EXECUTABLE = 1
_DYNSYM = 11
_OBJECT, _FUNCTION, _INDIRECT = 1, 2, 10
_BUILD_ID, _MARK = 3, 3
_NEEDED, _STRTAB, _RPATH, _RUNPATH = 1, 5, 15, 29
_FLAGS_1, _PIE = 0x6FFFFFFB, 0x08000000
_FIXED = 2  # ET_EXEC
_HEADER_SIZE = 64


class ProgramError(ElfError):
    """The file is not a program for this machine; `hint` says what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


@record
class Mark:
    """One location of a mark: `address` and `semaphore` as linked, `arguments` as the assembler
    wrote them."""

    provider: str
    name: str
    address: int
    semaphore: int  # 0: none
    arguments: str


@record
class Loading:
    """Linked addresses by which a process's memory shows that the file is mapped. `headers`: of the program
    headers; `dynamic`: of the dynamic section; `debug`: where the dynamic linker stores the address of its
    list of files; `build_id_at`: of the build-id. All are 0 if the file does not have them."""

    headers: int
    dynamic: int
    debug: int
    build_id: bytes
    build_id_at: int


@record
class _Segment:
    flags: int
    offset: int
    address: int
    size: int  # in the file


class Executable(Elf):
    """A program or shared library. Its properties raise ElfError if the file is damaged."""

    def __init__(self, data: bytes | mmap.mmap, arch: Arch) -> None:
        """Raises ElfError unless it is linked, and for this architecture."""
        super().__init__(data)
        self.require(EXECUTABLES, arch.elf_machine)
        self.arch = arch

    @classmethod
    def open(cls, path: Path, arch: Arch) -> Executable:
        """Map a file. Raises ProgramError unless it is a program for this machine, and OSError.

        The file stays mapped as long as the object lives.
        """
        try:
            with path.open("rb") as file:
                return cls(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), arch)
        except (ElfError, ValueError) as error:  # mmap refuses an empty file
            raise ProgramError(
                f"'{path.name}' is no 64-bit program",
                "scripts run in an interpreter: probe that",
            ) from error

    def offset_of(self, address: int, *, code: bool = False) -> int | None:
        """The file offset of a linked address, or None. `code`: only in executable segments."""
        for s in self._segments:
            if s.address <= address < s.address + s.size and (s.flags & _EXECUTABLE or not code):
                return address - s.address + s.offset
        return None

    def address_of(self, offset: int) -> int | None:
        """The linked address of code at a file offset, or None."""
        for s in self._segments:
            if s.flags & _EXECUTABLE and s.offset <= offset < s.offset + s.size:
                return offset - s.offset + s.address
        return None

    @cached_property
    def code_end(self) -> int:
        """The linked address behind the code; 0 without any."""
        return max((s.address + s.size for s in self._segments if s.flags & _EXECUTABLE), default=0)

    @cached_property
    def mapped_start(self) -> int:
        """The linked address at which the file's beginning is mapped."""
        return next((s.address - s.offset for s in self._segments), 0)

    @cached_property
    def functions(self) -> dict[str, tuple[int, ...]]:
        """Offsets by name; several where static functions of different files share a name."""
        found: dict[str, dict[int, None]] = {}
        for name, kind, value in self._symbols:
            if kind == _FUNCTION:
                offset = self.offset_of(value, code=True)
                if offset is not None:
                    found.setdefault(name, {})[offset] = None
        return {name: tuple(offsets) for name, offsets in found.items()}

    @cached_property
    def readable(self) -> dict[str, str]:
        """What those functions are called in their source whose symbols are mangled, by their symbols."""
        from compiler.userspace.demangle import demangled  # few scripts need it

        return demangled(self.functions)

    @cached_property
    def indirect(self) -> frozenset[str]:
        """Indirect functions: their symbol is a resolver that chooses one by the processor."""
        return frozenset(name for name, kind, _ in self._symbols if kind == _INDIRECT)

    @cached_property
    def variables(self) -> dict[str, int]:
        """Linked addresses of data."""
        return {name: value for name, kind, value in self._symbols if kind == _OBJECT}

    def names_at(self, address: int) -> list[str]:
        """All names of the function at a linked address."""
        return [
            name for name, kind, value in self._symbols if kind == _FUNCTION and value == address
        ]

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """The statically defined marks (sys/sdt.h), in the file's order."""
        notes = self.find(".note.stapsdt")
        if notes is None:
            return ()
        section = self.find(".stapsdt.base")
        base = section.address if section is not None else 0
        return tuple(
            self._mark(at, size, base)
            for owner, kind, at, size in self._notes(notes.offset, notes.size)
            if owner == b"stapsdt\0" and kind == _MARK
        )

    def _mark(self, at: int, size: int, base: int) -> Mark:
        """`base` is where .stapsdt.base is now; prelink may have moved the file since it was linked."""
        address, linked, semaphore = self.unpack(_MARK_HEADER, at)
        moved = base - linked if base and linked else 0
        texts = self.data[at + _MARK_HEADER.size : at + size].split(b"\0")
        if len(texts) < 3:
            raise ElfError("a mark is cut short")
        provider, name, arguments = (t.decode(errors="replace") for t in texts[:3])
        return Mark(provider, name, address + moved, semaphore and semaphore + moved, arguments)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Names of the libraries that the dynamic linker loads for it."""
        return tuple(self._dynamic_texts(_NEEDED))

    @cached_property
    def library_folders(self) -> tuple[str, ...]:
        """The folders it wants searched first for libraries; `$ORIGIN` is its own folder."""
        found = [*self._dynamic_texts(_RUNPATH), *self._dynamic_texts(_RPATH)]
        return tuple(folder for text in found for folder in text.split(":"))

    @cached_property
    def is_program(self) -> bool:
        """Whether it is no library."""
        entries = self._dynamic_entries
        return self.type == _FIXED or any(
            tag == _FLAGS_1 and value & _PIE for tag, value in entries
        )

    @cached_property
    def thread_local_segment(self) -> tuple[int, int, int] | None:
        """Address, size in memory and alignment of the initial thread-local variables."""
        for i in range(self.segments_count):
            row = self.unpack(_SEGMENT, self.segments_at + i * _SEGMENT.size)
            if row[0] == _THREAD_LOCAL:
                return row[3], row[6], row[7]
        return None

    def binary(self, path: str) -> Binary:
        """The file's size, and its build-id or, if it has none, its header."""
        for s in self._raw_segments(_NOTES):
            for owner, kind, at, size in self._notes(s.offset, s.size):
                if owner == b"GNU\0" and kind == _BUILD_ID:
                    return Binary(path, len(self.data), at, self.data[at : at + size])
        return Binary(path, len(self.data), 0, self.data[:_HEADER_SIZE])

    def loading(self) -> Loading:
        """How the file is found in memory."""
        (dynamic,) = self._raw_segments(_DYNAMIC_SEGMENT)[:1] or (None,)
        tags = [tag for tag, _ in self._dynamic_entries]
        debug = dynamic is not None and _DEBUG in tags
        binary = self.binary("")
        return Loading(
            self._in_memory(self.segments_at),
            dynamic.address if dynamic else 0,
            dynamic.address + tags.index(_DEBUG) * _DYNAMIC.size + 8 if dynamic and debug else 0,
            binary.content if binary.offset else b"",
            self._in_memory(binary.offset),
        )

    def _in_memory(self, offset: int) -> int:
        """The linked address of what is at an offset; 0: it is not loaded."""
        for s in self._segments:
            if s.offset <= offset < s.offset + s.size:
                return offset - s.offset + s.address
        return 0

    @cached_property
    def _segments(self) -> tuple[_Segment, ...]:
        return self._raw_segments(_LOAD)

    def _raw_segments(self, wanted: int) -> tuple[_Segment, ...]:
        raw = (
            self.unpack(_SEGMENT, self.segments_at + i * _SEGMENT.size)
            for i in range(self.segments_count)
        )
        return tuple(
            _Segment(flags, offset, address, size)
            for kind, flags, offset, address, _, size, _, _ in raw
            if kind == wanted
        )

    @cached_property
    def _symbols(self) -> tuple[tuple[str, int, int], ...]:
        """Name, kind and linked address of every definition; a stripped file lists its exports only."""
        tables = {s.type: s for s in self.sections if s.type in (SYMTAB, _DYNSYM)}
        table = tables.get(SYMTAB) or tables.get(_DYNSYM)
        if table is None:
            return ()
        strings = self.section(table.link).offset
        return tuple(
            (self.text(strings + name).partition("@")[0], info & 15, value)
            for name, info, _, section, value, _ in self.rows(table, SYMBOL)
            if section and info & 15 in (_OBJECT, _FUNCTION, _INDIRECT)
        )

    def _notes(self, at: int, size: int) -> list[tuple[bytes, int, int, int]]:
        """Owner, type, offset and size of each note's description."""
        found, end = [], at + size
        while at + _NOTE.size <= end:
            owner_size, description_size, kind = self.unpack(_NOTE, at)
            at += _NOTE.size
            owner = self.data[at : at + owner_size]
            at += -(-owner_size // 4) * 4
            found.append((owner, kind, at, description_size))
            at += -(-description_size // 4) * 4
        return found

    @property
    def _dynamic_entries(self) -> list[tuple[int, int]]:
        """The tags of the dynamic section, and their values."""
        entries: list[tuple[int, int]] = []
        for s in self._raw_segments(_DYNAMIC_SEGMENT):
            if s.offset + s.size > len(self.data):
                raise ElfError("the dynamic section lies outside of the file")
            whole = s.size // _DYNAMIC.size * _DYNAMIC.size
            entries += _DYNAMIC.iter_unpack(self.data[s.offset : s.offset + whole])
        return entries

    def _dynamic_texts(self, wanted: int) -> list[str]:
        entries = self._dynamic_entries
        strings = next((self.offset_of(value) for tag, value in entries if tag == _STRTAB), None)
        if strings is None:
            return []
        return [self.text(strings + value) for tag, value in entries if tag == wanted]
