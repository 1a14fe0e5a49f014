# SPDX-License-Identifier: GPL-2.0-or-later
"""A fast pass over all of .debug_info, for the index.

    scan(sections) -> Entry(offset=45, depth=1, tag=0x2e, name=b"main", ...), ...

pyelftools makes an object of each attribute, which takes long for a large program. This pass decodes
the attributes that the index needs and steps over the others; each abbreviation becomes a list of steps
once. Bodies of structs of C, and other entries without anything to index, are stepped over by their
DW_AT_sibling. Source of the format: DWARF 5, chapter 7 (and the GNU forms of dwz).
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator, Mapping
from typing import Final

from compiler.dwarf import operations
from compiler.dwarf.errors import DwarfError
from compiler.dwarf.leb128 import uleb
from runtime.support.record import record

COMPILE_UNIT: Final = 0x11
SUBPROGRAM: Final = 0x2E
INLINED: Final = 0x1D
VARIABLE: Final = 0x34
NAMESPACE: Final = 0x39
ENUMERATION: Final = 0x04
TYPEDEF: Final = 0x16
BASE: Final = 0x24
STRUCTS: Final = {0x13: "struct", 0x17: "union", 0x02: "struct"}
_BLOCK: Final = 0x0B
_UNITS: Final = frozenset((COMPILE_UNIT, 0x3C, 0x41))  # and partial ones, and those of one type
_INDEXED: Final = frozenset(
    (*STRUCTS, ENUMERATION, TYPEDEF, BASE, SUBPROGRAM, INLINED, VARIABLE, NAMESPACE, COMPILE_UNIT)
)
_CPLUSPLUS: Final = frozenset((0x04, 0x1A, 0x21, 0x2B, 0x3A, 0x1C))  # C++, and Rust

_SIBLING, _NAME, _LOW_PC, _LANGUAGE, _RANGES = 0x01, 0x03, 0x11, 0x13, 0x55
_ORIGIN, _DECLARATION, _SPECIFICATION, _LINKAGE = 0x31, 0x3C, 0x47, 0x6E
_STR_OFFSETS_BASE, _LOCATION = 0x72, 0x02
_WANTED: Final = {
    _SIBLING: "sibling",
    _NAME: "name",
    _LOW_PC: "code",
    _RANGES: "code",
    _LANGUAGE: "language",
    _ORIGIN: "origin",
    _SPECIFICATION: "origin",
    _DECLARATION: "declaration",
    _LINKAGE: "linkage",
    _STR_OFFSETS_BASE: "str_base",
    _LOCATION: "location",
}
_STRING, _STRX = 0x08, {0x1A: 0, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4}
_FIXED: Final = {
    0x05: 2, 0x06: 4, 0x07: 8, 0x0B: 1, 0x0C: 1, 0x11: 1, 0x12: 2, 0x13: 4, 0x14: 8, 0x19: 0,
    0x1C: 4, 0x1E: 16, 0x20: 8, 0x21: 0, 0x24: 8, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4, 0x29: 1,
    0x2A: 2, 0x2B: 3, 0x2C: 4,
}  # fmt: skip
_LEB: Final = frozenset((0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23))
_OFFSETS: Final = frozenset((0x0E, 0x10, 0x17, 0x1D, 0x1F, 0x1F20, 0x1F21))  # 4 or 8 bytes
_MOVED: Final = frozenset((0x1C, 0x24, 0x1F20))  # references to entries in dwz's file
_ADDRESSES: Final = (operations.ADDR, operations.ADDRX)
# it is at the end: before it is the number of a byte
_THREAD_LOCAL: Final = (operations.FORM_TLS_ADDRESS, operations.GNU_PUSH_TLS_ADDRESS)
_BLOCKS: Final = {0x0A: 1, 0x03: 2, 0x04: 4}
_UNIT_REFERENCES: Final = frozenset((0x11, 0x12, 0x13, 0x14, 0x15))


@record
class Entry:
    """One entry. `offset`: its number, which goes on in dwz's file. `depth`: 0 is the unit's own. `code`: it
    has an address or ranges. `origin`: the number of the entry that it completes; -1: none. `static`: its
    location is an address, or a byte of the thread-local variables."""

    offset: int
    unit: int
    depth: int
    tag: int
    name: bytes
    linkage: bytes
    origin: int
    code: bool
    static: bool
    declaration: bool


@record
class _Abbreviation:
    tag: int
    children: bool
    steps: tuple[
        tuple[str, int, int], ...
    ]  # what it is for, form, and the constant of implicit_const
    size: int  # bytes, if every form has a fixed one and none is wanted; else -1


class Scanner:
    """`sections`: the contents of .debug_info, .debug_abbrev, .debug_str, .debug_line_str and
    .debug_str_offsets; `alternative`: .debug_str of dwz's file. `first`: the number of the entry at offset 0.
    Raises DwarfError for damaged data."""

    def __init__(
        self, sections: Mapping[str, bytes], alternative: bytes = b"", first: int = 0
    ) -> None:
        self._first = first
        self._info = sections[".debug_info"]
        self._abbreviations = sections[".debug_abbrev"]
        self._strings = {
            0x0E: sections.get(".debug_str", b""),
            0x1F: sections.get(".debug_line_str", b""),
            0x1D: alternative,
            0x1F21: alternative,
        }
        self._str_offsets = sections.get(".debug_str_offsets", b"")
        self._tables: dict[tuple[int, int, int], dict[int, _Abbreviation]] = {}
        self.units: list[int] = []

    def entries(self) -> Iterator[Entry]:
        """What the index needs, in the file's order; the numbers of all units are in `units`."""
        at = 0
        try:
            while at + 11 < len(self._info):
                self.units.append(at)
                at = yield from self._unit(at)
        except (IndexError, struct.error, KeyError, ValueError) as error:
            raise DwarfError(f"the debug information is damaged at {at:#x}") from error

    def _unit(self, start: int) -> Generator[Entry, None, int]:
        info = self._info
        length = int.from_bytes(info[start : start + 4], "little")
        at, wide = start + 4, 4
        if length == 0xFFFFFFFF:
            length = int.from_bytes(info[at : at + 8], "little")
            at, wide = at + 8, 8
        end = at + length
        (version,) = struct.unpack_from("<H", info, at)
        if not 2 <= version <= 5:
            raise ValueError(version)
        at += 2
        table_at = 0
        if version >= 5:
            kind, address = info[at], info[at + 1]
            table_at = int.from_bytes(info[at + 2 : at + 2 + wide], "little")
            at += 2 + wide
            at += 8 if kind in (4, 5) else 8 + wide if kind in (2, 6) else 0
        else:
            table_at = int.from_bytes(info[at : at + wide], "little")
            address = info[at + wide]
            at += wide + 1
        table = self._table(table_at, wide, address)
        yield from self._walk(start, at, min(end, len(info)), table, wide, address, version)
        return end

    def _walk(
        self, unit: int, at: int, end: int, table: dict[int, _Abbreviation], wide: int,
        address: int, version: int,
    ) -> Iterator[Entry]:  # fmt: skip
        info = self._info
        depth, scoped, str_base = 0, False, 16 if wide == 8 else 8
        while at < end:
            offset = at
            code = info[at]
            at += 1
            if code & 0x80:
                code, at = uleb(info, offset)
            if not code:
                depth -= 1
                if depth <= 0:
                    return
                continue
            kind = table[code]
            if kind.size >= 0:
                at += kind.size
                depth += kind.children
                continue
            found: dict[str, int] = {}
            texts: dict[str, tuple[int, int, int]] = {}  # form, value, offset of an inline text
            for what, form, constant in kind.steps:
                value, here = constant, at
                size = _FIXED.get(form)
                if size is not None:
                    if what and size:
                        value = int.from_bytes(info[at : at + size], "little")
                    elif form == 0x19:
                        value = 1
                    at += size
                elif form == 0x01:
                    at += address
                elif form in _OFFSETS or form == 0x10:
                    size = address if form == 0x10 and version == 2 else wide
                    if what:
                        value = int.from_bytes(info[at : at + size], "little")
                    at += size
                elif form in _LEB:
                    value, at = uleb(info, at)
                elif form == _STRING:
                    at = info.index(0, at) + 1
                elif form == 0x18 or form == 0x09:
                    size, at = uleb(info, at)
                    value = info[at] if size else 0  # the first operation
                    at += size
                    if size and value not in _ADDRESSES and info[at - 1] in _THREAD_LOCAL:
                        value = _ADDRESSES[0]
                else:
                    width = _BLOCKS[form]
                    value = info[at + width]
                    at += width + int.from_bytes(info[at : at + width], "little")
                    if value not in _ADDRESSES and info[at - 1] in _THREAD_LOCAL:
                        value = _ADDRESSES[0]
                if not what:
                    continue
                if what in ("name", "linkage"):
                    texts[what] = form, value, here
                elif what in ("origin", "sibling") and form in _UNIT_REFERENCES:
                    found[what] = unit + value
                elif what == "origin":
                    found[what] = value + (len(info) if form in _MOVED else 0)
                else:
                    found[what] = value
            if not depth:
                scoped = found.get("language", 0) in _CPLUSPLUS
                str_base = found.get("str_base", str_base)
            if kind.tag in _INDEXED:
                named = {
                    what: self._text(form, value, here, str_base, wide)
                    for what, (form, value, here) in texts.items()
                }
                yield Entry(
                    offset + self._first,
                    unit,
                    depth,
                    kind.tag,
                    named.get("name", b""),
                    named.get("linkage", b""),
                    found["origin"] + self._first if "origin" in found else -1,
                    "code" in found,
                    found.get("location") in _ADDRESSES,
                    "declaration" in found,
                )
            if kind.children:
                inside = kind.tag in (SUBPROGRAM, INLINED, _BLOCK, NAMESPACE) or not depth
                if not inside and "sibling" in found and not (scoped and kind.tag in STRUCTS):
                    at = found["sibling"]
                else:
                    depth += 1
            elif not depth:
                return

    def _table(self, at: int, wide: int, address: int) -> dict[int, _Abbreviation]:
        key = at, wide, address
        if key not in self._tables:
            self._tables[key] = self._read_table(at, wide, address)
        return self._tables[key]

    def _read_table(self, at: int, wide: int, address: int) -> dict[int, _Abbreviation]:
        data = self._abbreviations
        found: dict[int, _Abbreviation] = {}
        while True:
            code, at = uleb(data, at)
            if not code:
                return found
            tag, at = uleb(data, at)
            children = bool(data[at])
            at += 1
            steps: list[tuple[str, int, int]] = []
            while True:
                attribute, at = uleb(data, at)
                form, at = uleb(data, at)
                constant = 0
                if form == 0x21:
                    constant, at = uleb(data, at)
                if not attribute:
                    break
                what = _WANTED.get(attribute, "")
                if what != "sibling" and tag not in _INDEXED and tag not in _UNITS:
                    what = ""
                steps.append((what, form, constant))
            size = 0
            for what, form, _ in steps:
                each = wide if form in _OFFSETS else address if form == 1 else _FIXED.get(form)
                if what or each is None or (form == 0x10):
                    size = -1
                    break
                size += each
            # an entry with children whose end is unknown is walked through
            found[code] = _Abbreviation(
                tag, children, tuple(steps), -1 if tag in _INDEXED or tag in _UNITS else size
            )

    def _text(self, form: int, value: int, here: int, str_base: int, wide: int) -> bytes:
        if form == _STRING:
            return self._info[here : self._info.index(0, here)]
        if form in _STRX:
            at = str_base + value * wide
            value = int.from_bytes(self._str_offsets[at : at + wide], "little")
            form = 0x0E
        data = self._strings.get(form, b"")
        return data[value : data.index(0, value)] if value < len(data) else b""
