# SPDX-License-Identifier: GPL-2.0-or-later
"""The fast pass over all entries, compared with pyelftools; and the index that it makes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import elftools
import pytest
from elftools.elf.elffile import ELFFile

from compiler.dwarf import scan
from compiler.dwarf.errors import DwarfError
from compiler.dwarf.index import Index, make_index
from tests.compiler.dwarf.conftest import CPLUSPLUS, SOURCE, Build

NAMES = ("info", "abbrev", "str", "line_str", "str_offsets")
TAGS = {
    "DW_TAG_subprogram": scan.SUBPROGRAM,
    "DW_TAG_structure_type": 0x13,
    "DW_TAG_typedef": scan.TYPEDEF,
    "DW_TAG_inlined_subroutine": scan.INLINED,
    "DW_TAG_variable": scan.VARIABLE,
    "DW_TAG_base_type": scan.BASE,
}


def dwarf_of(program: Path) -> Any:
    return ELFFile(program.open("rb")).get_dwarf_info(False)


def sections_of(program: Path) -> dict[str, bytes]:
    dwarf = dwarf_of(program)
    found = {}
    for name in NAMES:
        section = getattr(dwarf, f"debug_{name}_sec")
        if section is not None:
            section.stream.seek(0)
            found[f".debug_{name}"] = section.stream.read()
    return found


BUILDS = [
    (("-O2",), SOURCE),
    (("-O0", "-gdwarf-3"), SOURCE),
    (("-O1", "-gdwarf-4"), CPLUSPLUS),
    (("-O2", "-fdebug-types-section", "-gdwarf-5"), CPLUSPLUS),
]


@pytest.mark.parametrize(("options", "source"), BUILDS)
def test_entries_are_those_of_pyelftools(
    build: Build, options: tuple[str, ...], source: Path
) -> None:
    program = build(*options, source=source)
    if "-fdebug-types-section" in options and elftools.__version__ < "0.31":
        pytest.skip("this pyelftools does not know units of types")
    wanted = set()
    for unit in dwarf_of(program).iter_CUs():
        for die in unit.iter_DIEs():
            if die.tag in TAGS:
                name = die.attributes.get("DW_AT_name")
                wanted.add((die.offset, TAGS[die.tag], name.value if name else b""))
    found = {
        (e.offset, e.tag, e.name)
        for e in scan.Scanner(sections_of(program)).entries()
        if e.tag in TAGS.values()
    }
    assert found <= wanted
    named = {e for e in wanted - found if e[1] not in (0x13, scan.TYPEDEF, scan.SUBPROGRAM)}
    assert not named and len(found) > 20  # what is inside of C's structs is stepped over


def test_index(build: Build) -> None:
    index = make_index(scan.Scanner(sections_of(build("-O2"))))
    assert {"visit", "main", "negative"} <= set(index.functions)
    assert "tripled" in index.inlined and "tripled" not in index.functions
    assert set(index.variables) == {"total", "first", "second", "in_thread", "zero_in_thread"}
    assert {"struct node", "typedef node_t", "enum color", "base int"} <= set(index.types)
    assert Index.loaded(index.stored()) == index
    assert Index.loaded(b"[0]") is None


def test_names_of_members(build: Build) -> None:
    index = make_index(scan.Scanner(sections_of(build("-O2", source=CPLUSPLUS))))
    names = {"add", "shop::cart::add", "_ZN4shop4cart3addEiRNS_4baseE"}
    assert len({tuple(index.functions[name]) for name in names}) == 1
    assert {"total", "shop::cart::total"} <= set(index.variables)
    assert {"struct cart", "struct shop::cart"} <= set(index.types)


def test_damage_is_told(build: Build) -> None:
    sections = sections_of(build("-O2"))
    choose = random.Random(3)
    told = 0
    for _ in range(200):
        name = choose.choice((".debug_info", ".debug_abbrev"))
        raw = bytearray(sections[name])
        for _ in range(choose.randrange(1, 4)):
            raw[choose.randrange(len(raw))] = choose.randrange(256)
        data = bytes(raw[: choose.randrange(len(raw))] if choose.random() < 0.3 else raw)
        try:
            make_index(scan.Scanner({**sections, name: data}))
        except DwarfError as error:
            told += 1
            assert "damaged" in error.message
    assert told > 20
