# SPDX-License-Identifier: GPL-2.0-or-later
"""LEB128: numbers of DWARF that are as long as they need.

    uleb(b"\\xe5\\x8e\\x26", 0) -> (624485, 3)      sleb(b"\\x7f", 0) -> (-1, 1)

Both return a number and the offset of what follows, and raise IndexError behind the end of the data.
Source: DWARF 5, chapter 7.6.
"""

from __future__ import annotations


def uleb(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def sleb(data: bytes, at: int) -> tuple[int, int]:
    value, end = uleb(data, at)
    bits = 7 * (end - at)
    return value - (1 << bits) if value >> (bits - 1) & 1 else value, end
