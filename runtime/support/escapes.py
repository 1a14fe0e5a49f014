# SPDX-License-Identifier: GPL-2.0-or-later
r"""Text that shows every byte of a kernel's string, and shows two different strings differently.

    readable("w\udcff")       -> 'w\xff'       the byte 0xff, which is not UTF-8
    readable(r"w\xff")        -> 'w\x5cxff'    five characters that look like it
    readable(r"dev\x2dsda")   -> 'dev\x2dsda'  looks like no byte that is ever escaped: unchanged
    printable("zz\r\nX: 1")   -> 'zz\x0d\x0aX: 1'

Strings hold bytes that are not UTF-8 as lone surrogates (`surrogateescape`). A backslash is escaped only
where it would be read as the start of an escape, so that names with backslashes stay as they are.
"""

from __future__ import annotations

import re
from typing import Final

# What may follow the backslash of an escape that the functions below write.
_AFTER = r"x(?:[01][0-9a-f]|5c|7f|[89a-f][0-9a-f])|u(?:00[89][0-9a-f]|202[89]|d[89a-f][0-9a-f]{2})"
_AMBIGUOUS = rf"\\(?={_AFTER})"
# Lines end at U+2028 and U+2029, too; a terminal executes U+0080 to U+009F.
_CONTROLS = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_ODD: Final = re.compile(rf"[\ud800-\udfff]|{_AMBIGUOUS}")
_UNPRINTABLE: Final = re.compile(rf"[{_CONTROLS}\ud800-\udfff]|{_AMBIGUOUS}")


def readable(text: str) -> str:
    """The text with each byte that is not UTF-8 as `\\xNN`. Distinct texts stay distinct."""
    if text.isascii() and "\\" not in text:
        return text
    return _ODD.sub(_escaped, text)


def printable(text: str, keep: str = "\t") -> str:
    """As `readable`, and control characters are escaped, except those in `keep`."""
    return _UNPRINTABLE.sub(lambda m: m[0] if m[0] in keep else _escaped(m), text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte, kept by surrogateescape
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
