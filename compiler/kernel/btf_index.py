# SPDX-License-Identifier: GPL-2.0-or-later
"""The index of a kernel's types: where each record starts, and the types by name. Made once for a kernel.

    make_index(words of the type section, name_at, "vmlinux") -> <1.2 MB>

Three columns of 32-bit numbers, one row a type: the word at which the record starts (types are numbered by
position); the hashes of the names, sorted; and the number of the type that has each of those hashes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Final
from zlib import crc32

from compiler.kernel.errors import BadBtf

# kind number -> (words of a record, words for each of its `vlen` entries)
_SIZES: Final[dict[int, tuple[int, int]]] = {
    1: (4, 0),  # integer
    2: (3, 0),  # pointer
    3: (6, 0),  # array
    4: (3, 3),  # struct
    5: (3, 3),  # union
    6: (3, 2),  # enum
    7: (3, 0),  # forward
    8: (3, 0),  # typedef
    9: (3, 0),  # volatile
    10: (3, 0),  # const
    11: (3, 0),  # restrict
    12: (3, 0),  # function; vlen holds the linkage
    13: (3, 2),  # function type
    14: (4, 0),  # variable
    15: (3, 3),  # section
    16: (3, 0),  # floating-point number
    17: (4, 0),  # declaration tag
    18: (3, 0),  # type tag
    19: (3, 3),  # 64-bit enum
}


def make_index(words: memoryview[int], name_at: Callable[[int], bytes], btf: str) -> bytes:
    """The index of a type section (0.2 s for a kernel). `name_at` reads a name by its offset; `btf` is
    for messages. Raises BadBtf."""
    starts = _starts(words, btf)
    names = (name_at(words[at]) for at in starts)
    by_hash = sorted((crc32(name) << 32) + n for n, name in enumerate(names))
    hashes, order = array("I"), array("I")
    for each in by_hash:
        hashes.append(each >> 32)
        order.append(each & 0xFFFFFFFF)
    return starts.tobytes() + hashes.tobytes() + order.tobytes()


class _Steps(dict[int, int]):
    """Words from one record to the next, by the record's info word; filled as new values occur."""

    def __missing__(self, info: int) -> int:
        known = _SIZES.get(info >> 24 & 0x1F)
        if known is None:
            raise BadBtf(
                f"type information of an unknown kind, {info >> 24 & 0x1F}",
                "the kernel is newer than this program",
            )
        fixed, each = known
        self[info] = size = fixed + each * (info & 0xFFFF)
        return size


def _starts(words: memoryview[int], name: str) -> array[int]:
    """The word at which each record starts; entry 0 is type number 1."""
    starts = array("I")
    append, steps = starts.append, _Steps()
    at, end = 0, len(words)
    try:
        while at < end:
            append(at)
            at += steps[words[at + 1]]
    except IndexError as error:
        raise BadBtf(f"the types of '{name}' are cut short") from error
    if at != end:
        raise BadBtf(f"the types of '{name}' are cut short")
    return starts
