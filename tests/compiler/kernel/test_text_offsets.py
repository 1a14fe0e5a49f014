# SPDX-License-Identifier: GPL-2.0-or-later
"""Text offsets from a symbol table are the same wherever the kernel is loaded."""

from __future__ import annotations

import pytest

from compiler.kernel.symbols import Symbols
from compiler.kernel.text_offsets import ANCHOR, Places

FUNCTIONS = [
    ("vfs_read", 0x3000, ""),
    ("vfs_write", 0x4000, ""),
    ("vfs_read.cold", 0x5000, ""),
    ("__pfx_vfs_read", 0x2FF0, ""),
    ("twice", 0x6000, ""),
    ("twice", 0x7000, ""),
    ("vfs_reset", 0x9100, ""),  # between the edges of what is forgotten
    ("vfs_remote", 0xF000, "ext4"),
    (ANCHOR, 0x3800, ""),
]


def table(base: int) -> Symbols:
    lines = [f"{base + at:016x} t {name}" + f"\t[{m}]" * bool(m) for name, at, m in FUNCTIONS]
    lines += [f"{base + 0x9000:016x} D __init_begin", f"{base + 0x9200:016x} D __init_end"]
    lines += [f"{base + 0x10000 + i:016x} t filler{i}" for i in range(120)]
    return Symbols("\n".join(lines).encode(), "a test")


@pytest.mark.parametrize("base", [0xFFFFFFFF81000000, 0xFFFFFFFFA7400000])
def test_places_do_not_depend_on_where_the_kernel_is(base: int) -> None:
    places = Places.of(table(base))
    assert places.are_known
    assert places.find("vfs_read") == (-0x800,)
    assert places.find("twice") == (0x2800, 0x3800)
    assert places.find("vfs_rea") == () == places.find("read")
    assert places.fitting("vfs_*") == {"vfs_read": (-0x800,), "vfs_write": (0x800,)}
    assert Places(places.data).fitting("t*e") == {"twice": (0x2800, 0x3800)}


def test_hidden_addresses_are_no_places() -> None:
    hidden = "\n".join(f"0000000000000000 t {name}" for name, _, _ in FUNCTIONS * 20)
    places = Places.of(Symbols(hidden.encode(), "a test"))
    assert not places.are_known
    assert places.find("vfs_read") == ()
    assert places.fitting("*") == {}
