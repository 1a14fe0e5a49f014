# SPDX-License-Identifier: GPL-2.0-or-later
"""Sections of a kernel module file, as far as a reader needs them.

    manifest_of_module(Path("swatch_1234.ko"))  -> Manifest(name="vfs", ...)

Source of the format: the System V ABI's chapter "Object files", elf(5).
"""

import struct
from pathlib import Path
from typing import Final

from runtime.abi.manifest import Manifest

MANIFEST_SECTION: Final = ".stapwatch.manifest"

_HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION: Final = struct.Struct("<IIQQQQIIQQ")
_NO_BITS: Final = 8
_MANY: Final = 0xFFFF


def manifest_of_module(path: Path) -> Manifest:
    """The manifest in a .ko.

    ValueError with the path when there is none, OSError when unreadable.
    """
    try:
        found = section(path.read_bytes(), MANIFEST_SECTION)
        if found is None:
            raise ValueError(f"no section {MANIFEST_SECTION}: not a stapwatch module")
        return Manifest.from_json(found.rstrip(b"\0"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def section(data: bytes, name: str) -> bytes | None:
    """The contents of the first section of that name in a little-endian 64-bit ELF file.

    None: no such one.
    """
    try:
        return _section(data, name.encode())
    except struct.error as error:
        raise ValueError(f"damaged ELF file: {error}") from error


def _section(data: bytes, name: bytes) -> bytes | None:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a little-endian 64-bit ELF file")
    header = _HEADER.unpack_from(data)
    start, size, count, names_at = header[6], header[11], header[12], header[13]
    if start == 0:
        return None
    if size < _SECTION.size:
        raise ValueError(f"damaged ELF file: section headers of {size} bytes")
    # where the numbers do not fit the header, section 0 holds them
    first = _SECTION.unpack_from(data, start)
    count = count or first[5]
    names_at = first[6] if names_at == _MANY else names_at
    if start + count * size > len(data) or names_at >= count:
        raise ValueError("damaged ELF file: section headers lie outside of it")
    names = _contents(data, _SECTION.unpack_from(data, start + names_at * size))
    for number in range(count):
        fields = _SECTION.unpack_from(data, start + number * size)
        if names[fields[0] :].partition(b"\0")[0] == name:
            return _contents(data, fields)
    return None


def _contents(data: bytes, fields: tuple[int, ...]) -> bytes:
    kind, offset, size = fields[1], fields[4], fields[5]
    if kind == _NO_BITS:
        return b""
    if offset + size > len(data):
        raise ValueError("damaged ELF file: a section lies outside of it")
    return data[offset : offset + size]
