# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a frame is: the canonical frame address (CFA) at an address, from .eh_frame or .debug_frame.

    cfa_rule(elf, 0x1151) -> Rule(register=7, offset=16)          the CFA is that register + 16
                             Rule(expression=b"...")              in the linkage table

The linker's table .eh_frame_hdr leads to the one entry that is needed; kernels have .debug_frame only,
whose entries are passed through. Registers that functions save are
not followed. Source of the format: DWARF 5, chapter 6.4, and the Linux Standard Base on .eh_frame.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import Final

from compiler.dwarf import operations as o
from compiler.dwarf.errors import NoLocation
from compiler.dwarf.leb128 import sleb, uleb
from compiler.support.elf import RELOCATABLE, Elf, Section
from runtime.support.record import record

_UNKNOWN: Final = "the debug information does not tell where its frame is"
_PCREL, _DATAREL, _OMIT = 0x10, 0x30, 0xFF
_ADVANCES: Final = {o.CFA_ADVANCE_LOC1: 1, o.CFA_ADVANCE_LOC2: 2, o.CFA_ADVANCE_LOC4: 4}
_OF_ONE_NUMBER: Final = (
    o.CFA_RESTORE_EXTENDED, o.CFA_UNDEFINED, o.CFA_SAME_VALUE, o.CFA_GNU_ARGS_SIZE,
)  # fmt: skip
_OF_TWO_NUMBERS: Final = (
    o.CFA_OFFSET_EXTENDED, o.CFA_REGISTER, o.CFA_OFFSET_EXTENDED_SF, o.CFA_VAL_OFFSET,
    o.CFA_VAL_OFFSET_SF,
)  # fmt: skip
_COMMON: Final = 0xFFFFFFFF  # in place of the common entry's offset, in .debug_frame
_WITH_SIZES: Final = 4  # the version of DWARF 4
_SIZES: Final = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}


@record
class Rule:
    """The CFA is the register of this DWARF number plus `offset`, or the value of an expression."""

    register: int = 0
    offset: int = 0
    expression: bytes = b""


def cfa_rule(elf: Elf, address: int) -> Rule:
    """How the CFA is computed at a linked address. Raises NoLocation."""
    # in a relocatable object only debug sections have addresses here
    names = (".debug_frame",) if elf.type == RELOCATABLE else (".eh_frame", ".debug_frame")
    section = next(filter(None, map(elf.find, names)), None)
    if section is None:
        raise NoLocation(_UNKNOWN)
    try:
        table = _Table(elf.bytes_of(section), section)
        entry = _entry(elf, section, address)
        return table.rule(address, entry)
    except (IndexError, struct.error, KeyError) as error:
        raise NoLocation(_UNKNOWN) from error


def _entry(elf: Elf, section: Section, address: int) -> int | None:
    """The offset in .eh_frame of the entry (FDE) that the linker's table has for an address."""
    header = elf.find(".eh_frame_hdr")
    if header is None:
        return None
    data = elf.bytes_of(header)
    # the usual encodings: one count of 4 bytes, rows of two distances from the table
    if data[:4] != b"\x01\x1b\x03\x3b":
        return None
    (count,) = struct.unpack_from("<I", data, 8)
    rows = list(struct.iter_unpack("<ii", data[12 : 12 + 8 * count]))
    at = bisect_right([first + header.address for first, _ in rows], address) - 1
    return rows[at][1] + header.address - section.address if at >= 0 else None


@record
class _Common:
    """A CIE."""

    code: int  # factors of distances
    data: int
    encoding: int
    augmented: bool
    start: int  # of its instructions
    end: int


class _Table:
    def __init__(self, data: bytes, section: Section) -> None:
        self._data, self._section = data, section
        self._at = 0
        self._is_debug = section.name == ".debug_frame"
        self._commons: dict[int, _Common] = {}

    def rule(self, address: int, entry: int | None) -> Rule:
        at = 0 if entry is None else entry
        while at + 4 < len(self._data):
            (length,) = struct.unpack_from("<I", self._data, at)
            if not length:
                break
            start, end = at + 4, at + 4 + length
            owner = self._owner(start)
            if owner is not None:
                common = self._commons.get(owner) or self._common(owner)
                self._commons[owner] = common
                self._at = start + 4
                first = self._pointer(common.encoding)
                size = self._pointer(common.encoding & 0x0F)
                if first <= address < first + size:
                    if common.augmented:
                        skipped = self._uleb()
                        self._at += skipped
                    return self._run(common, self._at, end, first, address)
            if entry is not None:
                break
            at = end
        raise NoLocation(_UNKNOWN)

    def _owner(self, at: int) -> int | None:
        """Where the common entry of a function's entry is; None: it is one. `at`: behind its length."""
        (word,) = struct.unpack_from("<I", self._data, at)
        if self._is_debug:
            return None if word == _COMMON else word
        return at - word if word else None

    def _common(self, at: int) -> _Common:
        data = self._data
        (length,) = struct.unpack_from("<I", data, at)
        end = at + 4 + length
        text = data[at + 9 : data.index(0, at + 9)]
        self._at = at + 9 + len(text) + 1
        if data[at + 8] >= _WITH_SIZES:
            self._at += 2  # of addresses and of segments
        code, factor = self._uleb(), self._sleb()
        self._uleb()  # the register of the return address
        encoding = 0
        start = self._at
        if text.startswith(b"z"):
            size = self._uleb()
            start = self._at + size
            for letter in text[1:]:
                match chr(letter):
                    case "R":
                        encoding = self._byte()
                    case "P":
                        kind = self._byte()
                        self._pointer(kind & 0x0F)
                    case "L":
                        self._at += 1
                    case _:
                        pass
        return _Common(code, factor, encoding, text.startswith(b"z"), start, end)

    def _run(self, common: _Common, at: int, end: int, location: int, address: int) -> Rule:
        """Run the instructions of the common entry, then those of the function up to the address."""
        rule, initial = Rule(), Rule()
        saved: list[Rule] = []
        for start, stop in ((common.start, common.end), (at, end)):
            self._at = start
            while self._at < stop:
                op = self._byte()
                moved = self._advance(op, common.code)
                if moved is not None:
                    location += moved
                    if location > address:
                        return rule
                    continue
                match op:
                    case o.CFA_SET_LOC:
                        location = self._pointer(common.encoding)
                        if location > address:
                            return rule
                    case o.CFA_REMEMBER_STATE:
                        saved.append(rule)
                    case o.CFA_RESTORE_STATE:
                        rule = saved.pop() if saved else initial
                    case o.CFA_DEF_CFA:
                        rule = Rule(self._uleb(), self._uleb())
                    case o.CFA_DEF_CFA_SF:
                        rule = Rule(self._uleb(), self._sleb() * common.data)
                    case o.CFA_DEF_CFA_REGISTER:
                        rule = Rule(self._uleb(), rule.offset)
                    case o.CFA_DEF_CFA_OFFSET:
                        rule = Rule(rule.register, self._uleb())
                    case o.CFA_DEF_CFA_OFFSET_SF:
                        rule = Rule(rule.register, self._sleb() * common.data)
                    case o.CFA_DEF_CFA_EXPRESSION:
                        rule = Rule(expression=self._block())
                    case _:
                        self._skip(op)
            initial = rule
        return rule

    def _advance(self, op: int, factor: int) -> int | None:
        """How far an instruction moves the location, if it does."""
        if op & 0xC0 == o.CFA_ADVANCE_LOC:
            return (op & 0x3F) * factor
        size = _ADVANCES.get(op)
        if size is None:
            return None
        value = int.from_bytes(self._data[self._at : self._at + size], "little")
        self._at += size
        return value * factor

    def _skip(self, op: int) -> None:
        """Step over an instruction about other registers."""
        high = op & 0xC0
        if high == o.CFA_OFFSET:
            self._uleb()
        elif high == o.CFA_RESTORE or op == o.CFA_NOP:
            pass
        elif op in _OF_TWO_NUMBERS:
            self._uleb()
            self._uleb()
        elif op in _OF_ONE_NUMBER:
            self._uleb()
        elif op in (o.CFA_EXPRESSION, o.CFA_VAL_EXPRESSION):
            self._uleb()
            self._block()
        else:
            raise NoLocation(_UNKNOWN)

    def _pointer(self, encoding: int) -> int:
        if encoding == _OMIT:
            return 0
        here = self._section.address + self._at
        layout = _SIZES[encoding & 0x0F]
        (value,) = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return int(value) + (here if encoding & 0x70 == _PCREL else 0)

    def _block(self) -> bytes:
        size = self._uleb()
        self._at += size
        return self._data[self._at - size : self._at]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _uleb(self) -> int:
        value, self._at = uleb(self._data, self._at)
        return value

    def _sleb(self) -> int:
        value, self._at = sleb(self._data, self._at)
        return value
