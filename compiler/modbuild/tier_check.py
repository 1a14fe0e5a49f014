# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the modules that the two tiers make of one script. Done once for each kernel.

    difference(Elf(kbuild's stub.ko), Elf(fast stub.ko)) -> "" or "section .text differs"

Everything that the kernel loads must be the same, byte for byte, except for the build id (a hash of the
file) and the order of the checksums.
"""

from __future__ import annotations

from compiler.modbuild import modversions
from compiler.modbuild.fast_tier import MODINFO
from compiler.support.elf import Elf

# a hash of the file, and two tables whose order has no meaning
_IGNORED = frozenset((".note.gnu.build-id", modversions.SECTION, MODINFO))


def difference(slow: Elf, fast: Elf) -> str:
    """A sentence about the first difference; empty if the modules are the same. Raises ElfError."""
    expected, found = slow.loaded, fast.loaded
    for name in expected.keys() - found.keys():
        return f"section {name} is missing"
    for name in found.keys() - expected.keys():
        return f"section {name} is not in kbuild's module"
    for name, section in expected.items():
        if (section.type, section.flags) != (found[name].type, found[name].flags):
            return f"section {name} is of another kind"
        if section.size != found[name].size:
            return f"section {name} has {found[name].size} bytes, kbuild's {section.size}"
        if name not in _IGNORED and slow.contents(name) != fast.contents(name):
            return f"section {name} has other contents"
    if _modinfo(slow) != _modinfo(fast):
        return f"{MODINFO} says {_modinfo(fast)}, kbuild's {_modinfo(slow)}"
    tables = [modversions.read_table(elf.contents(modversions.SECTION)) for elf in (slow, fast)]
    if tables[0] != tables[1]:
        return "the checksums of kernel symbols differ"
    if slow.relocation_kinds() != fast.relocation_kinds():
        return "the kinds of relocation differ"
    return ""


def _modinfo(elf: Elf) -> list[str]:
    return sorted(elf.contents(MODINFO).decode(errors="replace").strip("\0").split("\0"))
