# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of programs as records of BTF: sizes and places of members as gdb has them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from compiler.dwarf.dwarf_types import ProgramTypes
from compiler.kernel import btf_types as k
from compiler.kernel import type_layout
from compiler.kernel.c_types import declaration, type_name
from tests.compiler.dwarf.conftest import CPLUSPLUS, Build, debuginfo, small_btf

BUILDS = [
    ("-O2",),
    ("-O2", "-gdwarf-3"),
    ("-O0", "-gdwarf-4", "-gstrict-dwarf"),
    ("-O0", "-gdwarf-2"),
]


@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
@pytest.mark.parametrize("options", BUILDS)
def test_members_are_where_gdb_has_them(build: Build, options: tuple[str, ...]) -> None:
    program, btf = build(*options), small_btf()
    types = ProgramTypes.numbered(btf, debuginfo(program))
    for name in ("struct node", "struct point", "struct pair"):
        argv: list[str | Path] = ["gdb", "-nx", "-batch", "-ex", f"ptype/o {name}", program]
        told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        own = [s for s in told.splitlines() if re.search(r"\*/ {4}\S.*;$", s) and "union" not in s]
        offsets = {}
        for line in own:
            found = re.match(r"/\*\s+(\d+)(?:: ?(\d+))?", line)
            member = re.search(r"(\w+)(?:\[\d+\])*(?: : \d+)?;$", line)
            if found and member:
                offsets[member[1]] = int(found[1]) * 8 + int(found[2] or 0)
        struct = types.find_all(k.Struct, name.removeprefix("struct "))[0]
        mine = {m.name: m.bit_offset for m in type_layout.members(btf, struct)}
        assert offsets and {n: mine[n] for n in offsets} == offsets
        assert int(re.findall(r"total size \(bytes\): +(\d+)", told)[-1]) == struct.size


def test_types_are_numbered_after_the_kernels(build: Build) -> None:
    btf, debug = small_btf(), debuginfo(build("-O2"))
    types = ProgramTypes.numbered(btf, debug)
    assert ProgramTypes.numbered(btf, debuginfo(build("-O2"))) is types
    others = ProgramTypes.numbered(btf, debuginfo(build("-O0")))
    mine, theirs = (t.find_all(k.Struct, "node")[0] for t in (types, others))
    assert mine.id != theirs.id and btf[mine.id] is mine and btf[theirs.id] is theirs
    assert (
        btf.is_program(mine.id) and not btf.is_program(k.TypeId(1)) and not btf.is_program(k.VOID)
    )
    assert btf.find(k.Int, "int").id == 1 and types.find_all(k.Int, "int")[0].id > 1


def test_declarations(build: Build) -> None:
    btf = small_btf()
    types = ProgramTypes.numbered(btf, debuginfo(build("-O2")))
    node = types.find_all(k.Struct, "node")[0]
    by_name = {m.name: m for m in type_layout.members(btf, node)}
    assert declaration(btf, by_name["grid"].type_id, "grid") == "int grid[2][3]"
    assert type_name(btf, by_name["next"].type_id) == "struct node *"
    assert btf.resolve(types.find_all(k.Typedef, "node_t")[0].id) is node
    color = types.find_all(k.Enum, "color")[0]
    assert color.signed and [v.value for v in color.values] == [0, 5, -3]
    assert isinstance(btf.resolve(by_name["weight"].type_id), k.Float)
    assert sorted(types.names(k.Enum)) == ["color"]


def test_classes(build: Build) -> None:
    btf = small_btf()
    types = ProgramTypes.numbered(btf, debuginfo(build("-O2", source=CPLUSPLUS)))
    (cart,) = types.find_all(k.Struct, "shop::cart")
    names = [m.name for m in type_layout.members(btf, cart)]
    assert names == ["_vptr.base", "id", "items", "count"]  # and the static one is no member
    assert type_layout.place(btf, cart.id, ["count"]).bits is not None
