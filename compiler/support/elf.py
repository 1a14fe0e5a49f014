# SPDX-License-Identifier: GPL-2.0-or-later
"""Relocatable x86-64 ELF files: what a module needs and holds, and new contents for a section.

elf = Elf(Path("script.o").read_bytes())
elf.undefined                           -> frozenset({"_printk", "sw_hit_skipped"})
elf.contents(".modinfo")                -> b"license=GPL\\0..."
elf.patched({".modinfo": b"..."}, {})   -> the file with that section replaced
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from functools import cached_property

from compiler.modbuild.errors import BuildError
from runtime.support.record import record

ALLOC = 0x2
_NOBITS, _SYMTAB, _RELA = 8, 2, 4
_LOCAL = 0
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_RELOCATABLE, _X86_64 = 1, 62


@record
class Section:
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
    """One file's contents. Raises BuildError for anything but a relocatable x86-64 file."""

    kinds = frozenset((_RELOCATABLE,))

    def __init__(self, data: bytes | mmap.mmap) -> None:
        self.data = data
        if len(data) < _HEADER.size or data[:6] != b"\x7fELF\x02\x01":
            raise BuildError("link-failed", "a tool wrote something else than a 64-bit ELF file")
        header = _HEADER.unpack_from(data)
        if header[1] not in self.kinds or header[2] != _X86_64:
            raise BuildError("link-failed", "a tool wrote an ELF file of another kind")
        self._table, count, names = header[6], header[12], header[13]
        self.segments_at, self.segments_count = header[5], header[10]
        raw = [_SECTION.unpack_from(data, self._table + i * _SECTION.size) for i in range(count)]
        strings = raw[names][4] if raw else 0
        self.sections = tuple(
            Section(self.text(strings + s[0]), s[1], s[2], s[4], s[5], s[6], s[7], s[3])
            for s in raw
        )

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        table = next((s for s in self.sections if s.type == _SYMTAB), None)
        if table is None:
            return ()
        strings = self.sections[table.link].offset
        raw = _SYMBOL.iter_unpack(self.data[table.offset : table.offset + table.size])
        return tuple(
            Symbol(self.text(strings + name), info >> 4 == _LOCAL, section, value)
            for name, info, _, section, value, _ in raw
        )

    @cached_property
    def undefined(self) -> frozenset[str]:
        """Names that others must define."""
        return frozenset(s.name for s in self.symbols if s.section == 0 and s.name)

    @cached_property
    def defined(self) -> frozenset[str]:
        """Names that others can use."""
        return frozenset(s.name for s in self.symbols if s.section and not s.is_local)

    @property
    def loaded(self) -> dict[str, Section]:
        """The sections that a kernel keeps."""
        return {s.name: s for s in self.sections if s.flags & ALLOC}

    def contents(self, name: str) -> bytes:
        """A section's bytes; empty if there is none of that name."""
        found = next((s for s in self.sections if s.name == name), None)
        if found is None or found.type == _NOBITS:
            return b""
        return self.data[found.offset : found.offset + found.size]

    def relocation_kinds(self) -> dict[str, frozenset[int]]:
        """For each loaded section, the relocation types used in it."""
        kinds = {}
        for section in self.sections:
            target = self.sections[section.info] if section.type == _RELA else None
            if target is not None and target.flags & ALLOC:
                raw = self.data[section.offset : section.offset + section.size]
                kinds[target.name] = frozenset(
                    info & 0xFFFFFFFF for _, info, _ in _RELOCATION.iter_unpack(raw)
                )
        return kinds

    def patched(self, contents: Mapping[str, bytes], values: Mapping[str, int]) -> bytes:
        """The file with new contents for sections and new values for symbols.

        New contents go behind the end of the file; relocations keep their offsets.
        """
        data = bytearray(self.data)
        for index, section in enumerate(self.sections):
            new = contents.get(section.name)
            if new is not None:
                data += bytes(-len(data) % 64)
                at = self._table + index * _SECTION.size
                fields = list(_SECTION.unpack_from(data, at))
                fields[4:6] = len(data), len(new)
                _SECTION.pack_into(data, at, *fields)
                data += new
        table = next(s for s in self.sections if s.type == _SYMTAB)
        for index, symbol in enumerate(self.symbols):
            if symbol.name in values:
                at = table.offset + index * _SYMBOL.size + 8
                struct.pack_into("<Q", data, at, values[symbol.name])
        return bytes(data)

    def text(self, offset: int) -> str:
        """The NUL-terminated string there."""
        return self.data[offset : self.data.find(b"\0", offset)].decode(errors="replace")
