# SPDX-License-Identifier: GPL-2.0-or-later
"""A module of the kernel as if it were linked: its sections have addresses, and its DWARF has these.

    linked(Elf(<toy.ko>), arch)   -> Elf, in which .text is at 0x10000, .init.text at 0x12000, ...

In a relocatable object every section begins at 0, and what refers to code is filled in when the module is
loaded. The addresses here are no real ones: they tell the sections apart. Sections that are compressed
are not any more.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

from compiler.arch import Arch
from compiler.support.elf import ALLOC, RELOCATABLE, Elf, ElfError, Section

_START: Final = 0x10000  # 0 means code that has been dropped
_PAGE: Final = 0x1000
_RELA: Final = 4
_COMPRESSED: Final = 0x800
_ZLIB: Final = 1
_COMPRESSION: Final = struct.Struct("<IIQQ")
_RELOCATION: Final = struct.Struct("<QQq")
_SECTION_FLAGS: Final = 8  # bytes into a section's header
_SECTION_ADDRESS: Final = 16


def linked(elf: Elf, arch: Arch) -> Elf:
    """The object with addresses; an ELF file of another type as it is. Raises ElfError."""
    if elf.type != RELOCATABLE:
        return elf
    addresses = _addresses(elf)
    symbols = [(addresses.get(s.section, 0) + s.value) & (1 << 64) - 1 for s in elf.symbols]
    contents = {s.name: _unpacked(elf, s) for s in elf.sections if _is_debug(s)}
    for section in elf.sections:
        target = elf.section(section.info) if section.type == _RELA else None
        if target is not None and target.name in contents:
            _relocate(elf, section, contents[target.name], symbols, arch)
    headers = {
        elf.header_at(i): (s.flags & ~_COMPRESSED if _is_debug(s) else s.flags, addresses.get(i, 0))
        for i, s in enumerate(elf.sections)
    }
    data = bytearray(elf.patched({name: bytes(body) for name, body in contents.items()}, {}))
    for at, (flags, address) in headers.items():
        struct.pack_into("<QQ", data, at + _SECTION_FLAGS, flags, address)
    return Elf(bytes(data))


def _is_debug(section: Section) -> bool:
    return section.name.startswith(".debug_") and section.type != _RELA


def _addresses(elf: Elf) -> dict[int, int]:
    """The addresses of the sections that are loaded, by their numbers."""
    found, free = {}, _START
    for i, section in enumerate(elf.sections):
        if section.flags & ALLOC:
            found[i] = free
            free += -(-(section.size + 1) // _PAGE) * _PAGE
    return found


def _unpacked(elf: Elf, section: Section) -> bytearray:
    body = elf.bytes_of(section)
    if not section.flags & _COMPRESSED:
        return bytearray(body)
    if len(body) < _COMPRESSION.size or _COMPRESSION.unpack_from(body)[0] != _ZLIB:
        raise ElfError(f"section '{section.name}' is compressed in a way that is not known here")
    try:
        return bytearray(zlib.decompress(body[_COMPRESSION.size :]))
    except zlib.error as error:
        raise ElfError(f"section '{section.name}' is damaged ({error})") from error


def _relocate(elf: Elf, rows: Section, body: bytearray, symbols: list[int], arch: Arch) -> None:
    sizes = dict(arch.absolute_relocations)
    for offset, info, addend in elf.rows(rows, _RELOCATION):
        size = sizes.get(info & 0xFFFFFFFF)
        if size is None:
            continue  # none at all, or of a section that is not read
        if info >> 32 >= len(symbols) or offset + size > len(body):
            raise ElfError(f"the relocations in '{rows.name}' lie outside of the file")
        value = symbols[info >> 32] + addend & (1 << 8 * size) - 1
        body[offset : offset + size] = value.to_bytes(size, "little")
