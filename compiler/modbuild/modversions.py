# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's exported symbols and their checksums, as Module.symvers has them.

    0x92997ed8<TAB>_printk<TAB>vmlinux<TAB>EXPORT_SYMBOL<TAB>
    Exports(path).find("_printk") -> Export(crc=0x92997ed8, module="vmlinux", namespace="")

A module lists the checksum of every symbol that it imports (section __versions); the kernel refuses
the module if one differs from its own.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from runtime.support.record import record

SECTION = "__versions"
_ENTRY = struct.Struct("<Q56s")
LONGEST = 55  # characters of a symbol's name


@record
class Export:
    """`module` is "vmlinux" for the kernel proper. A module must import `namespace` to use the symbol."""

    crc: int
    module: str
    namespace: str


@record
class Exports:
    """Module.symvers, searched as text: of its 25,000 lines most modules need few."""

    path: Path

    def find(self, symbol: str) -> Export | None:
        at = self._data.find(b"\t%s\t" % symbol.encode())
        if at < 0:
            return None
        start = self._data.rfind(b"\n", 0, at) + 1
        line = self._data[start : self._data.index(b"\n", at)].decode()
        crc, _, module, _, *rest = line.split("\t")
        return Export(int(crc, 16), module, rest[0] if rest else "")

    @cached_property
    def _data(self) -> bytes:
        return self.path.read_bytes() + b"\n"


def read_table(section: bytes) -> dict[str, int]:
    """Symbol -> checksum, in the order of a module's __versions."""
    return {
        name.rstrip(b"\0").decode(): crc
        for crc, name in _ENTRY.iter_unpack(section[: len(section) // _ENTRY.size * _ENTRY.size])
    }


def write_table(checksums: Mapping[str, int]) -> bytes:
    """The contents of __versions; the reverse of `read_table`."""
    return b"".join(_ENTRY.pack(crc, name.encode()) for name, crc in checksums.items())
