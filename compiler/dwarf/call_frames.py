# SPDX-License-Identifier: GPL-2.0-or-later
"""Call frame information: how the caller's registers are found, from .eh_frame.

    frames = CallFrames.of(elf, arch.unwind)
    frames.entries()        -> [0x18, 0x40, ...]                offsets of the functions' entries (FDEs)
    frames.function(0x18)   -> Frames(0x1150, 0x1186, [(0x1150, Row(7, 8)), (0x1151, Row(7, 16)), ...])

A row says how the canonical frame address (CFA) is computed from its address on, and where the frame pointer
and the return address are; other registers are not followed. Sources of the format: DWARF 5, chapter 6.4, and
the Linux Standard Base on .eh_frame.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from compiler.arch import UnwindForms
from compiler.dwarf import operations as o
from compiler.dwarf.leb128 import sleb, uleb
from compiler.support.elf import Elf, ElfError

_PCREL, _OMIT = 0x10, 0xFF
_SIZES: Final = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}
_MOST_SAVED: Final = 64  # states that DW_CFA_remember_state keeps; damaged files must not need more


class Saved(NamedTuple):
    """Where a register of the caller is: `how` is "same" (untouched), "undefined" (nowhere), "offset" (in
    memory at CFA + `offset`), "expression" (in memory, at the value of `expression`), or "other"."""

    how: str = "same"
    offset: int = 0
    expression: bytes = b""


SAME: Final = Saved()
_UNDEFINED: Final = Saved("undefined")
_OTHER: Final = Saved("other")
_MOVES: Final = (
    o.CFA_SET_LOC, o.CFA_ADVANCE_LOC1, o.CFA_ADVANCE_LOC2, o.CFA_ADVANCE_LOC4,
)  # fmt: skip
_OFFSETS: Final = (
    o.CFA_OFFSET_EXTENDED, o.CFA_OFFSET_EXTENDED_SF, o.CFA_GNU_NEGATIVE_OFFSET_EXTENDED,
)  # fmt: skip
# what the frame pointer's and the return address's rules are then; None: those that functions begin with
_AS_NAMED: Final = {
    o.CFA_RESTORE_EXTENDED: None,
    o.CFA_UNDEFINED: (_UNDEFINED, _UNDEFINED),
    o.CFA_SAME_VALUE: (SAME, SAME),
}
_OTHERS: Final = (
    o.CFA_REGISTER, o.CFA_VAL_OFFSET, o.CFA_VAL_OFFSET_SF, o.CFA_EXPRESSION, o.CFA_VAL_EXPRESSION,
)  # fmt: skip


class Row(NamedTuple):
    """The CFA is the register of this DWARF number plus `offset`, or the value of `expression`."""

    register: int = 0
    offset: int = 0
    expression: bytes = b""
    frame: Saved = SAME
    ra: Saved = SAME


class Frames(NamedTuple):
    """The rows of one function's code, of linked addresses, each from its address to the next row's or `end`.
    `signal`: the kernel has made the frame, to handle a signal."""

    start: int
    end: int
    rows: list[tuple[int, Row]]
    signal: bool


class _Common(NamedTuple):
    """A CIE: the factors of distances, the encoding of addresses, and the row that functions begin with."""

    code: int
    data: int
    encoding: int
    augmented: bool
    signal: bool
    first: Row


class CallFrames:
    """The section of one file. Methods raise ElfError where it is damaged."""

    def __init__(self, data: bytes, address: int, forms: UnwindForms | None = None) -> None:
        """`address`: where the section is linked to. `forms`: which registers are followed; None: none."""
        self._data, self._address = data, address
        self._followed = (forms.frame_pointer, forms.return_address) if forms else (-1, -1)
        self._commons: dict[int, _Common] = {}

    @classmethod
    def of(cls, elf: Elf, forms: UnwindForms | None = None) -> CallFrames | None:
        """None if the file has none."""
        section = elf.find(".eh_frame")
        return cls(elf.bytes_of(section), section.address, forms) if section is not None else None

    def entries(self) -> list[int]:
        """The offsets of all functions' entries, in the section's order."""
        found, at, data = [], 0, self._data
        while at + 8 <= len(data):
            length, back = struct.unpack_from("<II", data, at)
            if not length:
                break
            if length == 0xFFFFFFFF:
                raise ElfError("an entry of .eh_frame has 64-bit lengths")
            if back:
                found.append(at)
            at += 4 + length
        return found

    def function(self, entry: int) -> Frames:
        """The rows of the entry at an offset."""
        try:
            return self._function(entry)
        except (IndexError, struct.error, KeyError) as error:
            raise ElfError(f"the entry of .eh_frame at {entry:#x} is damaged") from error

    def _function(self, entry: int) -> Frames:
        data = self._data
        length, back = struct.unpack_from("<II", data, entry)
        cie = entry + 4 - back
        common = self._commons.get(cie)
        if common is None:
            common = self._commons[cie] = self._common(cie)
        start, at = self._pointer(entry + 8, common.encoding)
        size, at = self._pointer(at, common.encoding & 0x0F)
        if common.augmented:
            skipped, at = uleb(data, at)
            at += skipped
        rows = self._rows(at, entry + 4 + length, common, start)
        return Frames(start, start + size, rows, common.signal)

    def _common(self, cie: int) -> _Common:
        data = self._data
        (length,) = struct.unpack_from("<I", data, cie)
        end = cie + 4 + length
        if end > len(data):
            raise IndexError
        text = data[cie + 9 : data.find(b"\0", cie + 9)]
        code, at = uleb(data, cie + 9 + len(text) + 1)
        factor, at = sleb(data, at)
        _, at = uleb(data, at)  # the register of the return address
        encoding = 0
        if text.startswith(b"z"):
            size, at = uleb(data, at)
            start = at + size
            for letter in text[1:].decode("latin-1"):
                if letter == "R":
                    encoding, at = data[at], at + 1
                elif letter == "P":
                    _, at = self._pointer(at + 1, data[at] & 0x0F)
                elif letter == "L":
                    at += 1
            at = start
        plain = _Common(code, factor, encoding, text.startswith(b"z"), b"S" in text, Row())
        rows = self._rows(at, end, plain, 0)
        return plain._replace(first=rows[-1][1])

    def _rows(self, at: int, end: int, common: _Common, location: int) -> list[tuple[int, Row]]:
        """Run the instructions from `at` to `end`."""
        data = self._data
        frame_pointer, return_address = self._followed
        if end > len(data):
            raise IndexError
        register, offset, expression, frame, ra = common.first
        saved: list[Row] = []
        rows: list[tuple[int, Row]] = []
        while at < end:
            op = data[at]
            at += 1
            high = op & 0xC0
            if high == o.CFA_ADVANCE_LOC or op in _MOVES:
                row = Row(register, offset, expression, frame, ra)
                if rows and rows[-1][0] == location:
                    rows.pop()
                if not rows or rows[-1][1] != row:
                    rows.append((location, row))
                if high == o.CFA_ADVANCE_LOC:
                    location += (op & 0x3F) * common.code
                elif op == o.CFA_SET_LOC:
                    location, at = self._pointer(at, common.encoding)
                else:
                    width = 1 << op - o.CFA_ADVANCE_LOC1
                    location += int.from_bytes(data[at : at + width], "little") * common.code
                    at += width
            elif high == o.CFA_OFFSET or op in _OFFSETS:
                number = op & 0x3F
                if high != o.CFA_OFFSET:
                    number, at = uleb(data, at)
                value, at = (sleb if op == o.CFA_OFFSET_EXTENDED_SF else uleb)(data, at)
                if op == o.CFA_GNU_NEGATIVE_OFFSET_EXTENDED:
                    value = -value
                where = Saved("offset", value * common.data)
                frame = where if number == frame_pointer else frame
                ra = where if number == return_address else ra
            elif high == o.CFA_RESTORE or op in _AS_NAMED:
                number = op & 0x3F
                if high != o.CFA_RESTORE:
                    number, at = uleb(data, at)
                first = common.first
                frame_now, ra_now = _AS_NAMED.get(op) or (first.frame, first.ra)
                frame = frame_now if number == frame_pointer else frame
                ra = ra_now if number == return_address else ra
            elif op in (o.CFA_DEF_CFA, o.CFA_DEF_CFA_SF):
                register, at = uleb(data, at)
                offset, at = (uleb if op == o.CFA_DEF_CFA else sleb)(data, at)
                offset, expression = offset * (common.data if op == o.CFA_DEF_CFA_SF else 1), b""
            elif op == o.CFA_DEF_CFA_REGISTER:
                register, at = uleb(data, at)
                expression = b""
            elif op in (o.CFA_DEF_CFA_OFFSET, o.CFA_DEF_CFA_OFFSET_SF):
                offset, at = (uleb if op == o.CFA_DEF_CFA_OFFSET else sleb)(data, at)
                offset *= common.data if op == o.CFA_DEF_CFA_OFFSET_SF else 1
            elif op == o.CFA_DEF_CFA_EXPRESSION:
                size, at = uleb(data, at)
                expression, at = data[at : at + size], at + size
            elif op in _OTHERS:
                number, at = uleb(data, at)
                where = _OTHER
                size, at = (sleb if op == o.CFA_VAL_OFFSET_SF else uleb)(data, at)
                if op in (o.CFA_EXPRESSION, o.CFA_VAL_EXPRESSION):
                    if op == o.CFA_EXPRESSION:
                        where = Saved("expression", 0, data[at : at + size])
                    at += size
                frame = where if number == frame_pointer else frame
                ra = where if number == return_address else ra
            elif op == o.CFA_REMEMBER_STATE:
                if len(saved) == _MOST_SAVED:
                    raise IndexError
                saved.append(Row(register, offset, expression, frame, ra))
            elif op == o.CFA_RESTORE_STATE:
                register, offset, expression, frame, ra = saved.pop()
            elif op == o.CFA_GNU_ARGS_SIZE:
                _, at = uleb(data, at)
            elif op != o.CFA_NOP:
                raise KeyError(op)
        if at > end:
            raise IndexError
        row = Row(register, offset, expression, frame, ra)
        if rows and rows[-1][0] == location:
            rows.pop()
        if not rows or rows[-1][1] != row:
            rows.append((location, row))
        return rows

    def _pointer(self, at: int, encoding: int) -> tuple[int, int]:
        """An encoded address, and the offset of what follows."""
        if encoding == _OMIT:
            return 0, at
        layout = _SIZES[encoding & 0x0F]
        (value,) = struct.unpack_from(layout, self._data, at)
        here = self._address + at if encoding & 0x70 == _PCREL else 0
        return value + here, at + struct.calcsize(layout)
