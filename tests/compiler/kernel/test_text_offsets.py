# SPDX-License-Identifier: GPL-2.0-or-later
"""Text offsets from a symbol table are the same wherever the kernel is loaded."""

from __future__ import annotations

import pytest

from compiler.arch.x86_64 import ARCH
from compiler.kernel.symbols import Symbols
from compiler.kernel.text_offsets import ANCHOR, TextOffsets

FUNCTIONS = [
    ("vfs_read", 0x3000, ""),
    ("vfs_write", 0x4000, ""),
    ("vfs_read.cold", 0x5000, ""),
    ("__pfx_vfs_read", 0x2FF0, ""),
    ("twice", 0x6000, ""),
    ("twice", 0x7000, ""),
    ("vfs_reset", 0x9100, ""),  # between the bounds of the code that is freed
    ("vfs_remote", 0xF000, "ext4"),
    (ANCHOR, 0x3800, ""),
]


def table(base: int) -> Symbols:
    lines = [f"{base + at:016x} t {name}" + f"\t[{m}]" * bool(m) for name, at, m in FUNCTIONS]
    lines += [f"{base + 0x9000:016x} D __init_begin", f"{base + 0x9200:016x} D __init_end"]
    lines += [f"{base + 0x10000 + i:016x} t filler{i}" for i in range(120)]
    return Symbols("\n".join(lines).encode(), "a test")


@pytest.mark.parametrize("base", [0xFFFFFFFF81000000, 0xFFFFFFFFA7400000])
def test_offsets_do_not_depend_on_where_the_kernel_is(base: int) -> None:
    offsets = TextOffsets.of(table(base), ARCH)
    assert offsets.are_known
    assert offsets.find("vfs_read") == (-0x800,)
    assert offsets.find("twice") == (0x2800, 0x3800)
    assert offsets.find("vfs_rea") == () == offsets.find("read")
    assert offsets.matching("vfs_*") == {"vfs_read": (-0x800,), "vfs_write": (0x800,)}
    assert TextOffsets(offsets.data).matching("t*e") == {"twice": (0x2800, 0x3800)}


def test_hidden_addresses_are_no_offsets() -> None:
    hidden = "\n".join(f"0000000000000000 t {name}" for name, _, _ in FUNCTIONS * 20)
    offsets = TextOffsets.of(Symbols(hidden.encode(), "a test"), ARCH)
    assert not offsets.are_known
    assert offsets.find("vfs_read") == ()
    assert offsets.matching("*") == {}
