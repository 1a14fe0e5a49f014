# SPDX-License-Identifier: GPL-2.0-or-later
"""64-bit little-endian ELF files: kernels, modules, objects and programs.

elf = Elf(Path("script.o").read_bytes())
elf.undefined                           -> frozenset({"_printk", "sw_hit_skipped"})
elf.contents(".modinfo")                -> b"license=GPL\\0..."
elf.patched({".modinfo": b"..."}, {})   -> the file with that section replaced

A file may be damaged or cut short: everything read from it is checked against the file's size, and
`ElfError` is the only exception. Source of the format: the System V ABI's chapter "Object files".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from runtime.support.record import record

if TYPE_CHECKING:  # objects of modules are read whole, programs are mapped
    from mmap import mmap

RELOCATABLE: Final = 1
EXECUTABLES: Final = (2, 3)  # linked for a fixed address, or for any
SYMTAB: Final = 2
ALLOC: Final = 0x2
EXECUTABLE: Final = 0x4
RELA: Final = 4
_NOBITS, _LOCAL = 8, 0
_MANY: Final = 0xFFFF  # a number that does not fit the header is in section 0
_MAGIC: Final = b"\x7fELF\x02\x01"
_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
RELOCATION: Final = struct.Struct("<QQq")
SYMBOL: Final = struct.Struct("<IBBHQQ")


class ElfError(Exception):
    """The file is not a 64-bit little-endian ELF file, or it is damaged."""


@record
class Section:
    """One section header. `offset` and `size` locate its bytes in the file."""

    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    address: int


@record
class Symbol:
    """`section` is an index; 0: undefined."""

    name: str
    is_local: bool
    section: int
    value: int


class Elf:
    """One file's contents. Every method and property may raise ElfError."""

    def __init__(self, data: bytes | mmap) -> None:
        """Read the headers only; symbols and contents are read when they are asked for."""
        self.data = data
        if data[: len(_MAGIC)] != _MAGIC:
            raise ElfError("not a 64-bit little-endian ELF file")
        header = self.unpack(_HEADER, 0)
        self.type: int = header[1]
        self.machine: int = header[2]
        self.segments_at: int = header[5]
        self.segments_count: int = header[10]
        self._table: int = header[6]
        self.sections = self._sections(header[11], header[12], header[13])

    def require(self, types: tuple[int, ...], machine: int) -> None:
        """Raise ElfError unless the file is of one of these types and for this machine."""
        if self.type not in types or self.machine != machine:
            raise ElfError("an ELF file of another type or for another machine")

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbol table, in the file's order; empty if the file has none."""
        table = next((s for s in self.sections if s.type == SYMTAB), None)
        if table is None:
            return ()
        strings = self.section(table.link).offset
        return tuple(
            Symbol(self.text(strings + name), info >> 4 == _LOCAL, section, value)
            for name, info, _, section, value, _ in self.rows(table, SYMBOL)
        )

    @cached_property
    def undefined(self) -> frozenset[str]:
        """Names that other files must define."""
        return frozenset(s.name for s in self.symbols if s.section == 0 and s.name)

    @cached_property
    def defined(self) -> frozenset[str]:
        """Names that other files can use."""
        return frozenset(s.name for s in self.symbols if s.section and not s.is_local)

    @property
    def loaded(self) -> dict[str, Section]:
        """The sections that are in memory while the program or module runs."""
        return {s.name: s for s in self.sections if s.flags & ALLOC}

    def find(self, name: str) -> Section | None:
        """The first section of that name, or None."""
        return next((s for s in self.sections if s.name == name), None)

    def section(self, index: int) -> Section:
        """A section by its number in the file."""
        if index >= len(self.sections):
            raise ElfError(f"section {index} does not exist")
        return self.sections[index]

    def contents(self, name: str) -> bytes:
        """The bytes of the first section of that name; empty if the file has no such section."""
        found = self.find(name)
        return b"" if found is None else self.bytes_of(found)

    def bytes_of(self, section: Section) -> bytes:
        """A section's bytes; empty for one that only reserves memory (.bss)."""
        if section.type == _NOBITS:
            return b""
        end = section.offset + section.size
        if end > len(self.data):
            raise ElfError(f"section '{section.name}' lies outside of the file")
        return self.data[section.offset : end]

    def rows(self, section: Section, layout: struct.Struct) -> Iterator[tuple[Any, ...]]:
        """A section's bytes as a table whose rows have this layout."""
        if section.size % layout.size:
            raise ElfError(f"section '{section.name}' is cut short")
        return layout.iter_unpack(self.bytes_of(section))

    def relocation_kinds(self) -> dict[str, frozenset[int]]:
        """For each loaded section, the relocation types used in it."""
        kinds = {}
        for section in self.sections:
            target = self.section(section.info) if section.type == RELA else None
            if target is not None and target.flags & ALLOC:
                rows = self.rows(section, RELOCATION)
                kinds[target.name] = frozenset(info & 0xFFFFFFFF for _, info, _ in rows)
        return kinds

    def patched(self, contents: Mapping[str, bytes], values: Mapping[str, int]) -> bytes:
        """The file with new contents for sections and new values for symbols.

        New contents are appended to the file; relocations keep their offsets.
        """
        data = bytearray(self.data)
        for index, section in enumerate(self.sections):
            new = contents.get(section.name)
            if new is not None:
                data += bytes(-len(data) % 64)
                at = self.header_at(index)
                fields = list(_SECTION.unpack_from(data, at))
                fields[4:6] = len(data), len(new)
                _SECTION.pack_into(data, at, *fields)
                data += new
        for index, symbol in enumerate(self.symbols):
            if symbol.name in values:
                table = next(s for s in self.sections if s.type == SYMTAB)
                at = table.offset + index * SYMBOL.size + 8
                struct.pack_into("<Q", data, at, values[symbol.name])
        return bytes(data)

    def header_at(self, index: int) -> int:
        """The offset in the file of the header of the section with that number."""
        return self._table + index * _SECTION.size

    def text(self, offset: int) -> str:
        """The NUL-terminated string at an offset in the file."""
        end = self.data.find(b"\0", offset)
        if end < 0:
            raise ElfError("a name lies outside of the file")
        return self.data[offset:end].decode(errors="replace")

    def unpack(self, layout: struct.Struct, offset: int) -> tuple[Any, ...]:
        """The values of a structure at an offset in the file."""
        if offset + layout.size > len(self.data):
            raise ElfError("the file is cut short")
        return layout.unpack_from(self.data, offset)

    def _sections(self, size: int, count: int, names: int) -> tuple[Section, ...]:
        if self._table == 0:
            return ()
        if size != _SECTION.size:
            raise ElfError(f"section headers have {size} bytes, not {_SECTION.size}")
        first = self.unpack(_SECTION, self._table)
        count = count or first[5]
        if not count:
            return ()
        names = first[6] if names == _MANY else names
        if self._table + count * size > len(self.data) or names >= count:
            raise ElfError("the section headers lie outside of the file")
        raw = [self.unpack(_SECTION, self._table + i * size) for i in range(count)]
        strings = raw[names][4]
        return tuple(
            Section(self.text(strings + s[0]), s[1], s[2], s[4], s[5], s[6], s[7], s[3])
            for s in raw
        )
