# SPDX-License-Identifier: GPL-2.0-or-later
"""Where frames are, compared with readelf for each row of the tables."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from compiler.dwarf.debug_files import open_elf
from compiler.dwarf.errors import NoLocation
from compiler.dwarf.frames import Rule, cfa_rule
from tests.compiler.dwarf.conftest import ARCH, Build

_ROW = re.compile(r"^([0-9a-f]{16}) r(\w\w)([+-]\d+) ", re.MULTILINE)
_NUMBERS = {**{name: i for i, name in enumerate(ARCH.dwarf_registers)}, "ip": 16}


def rows(program: Path) -> dict[int, Rule]:
    argv: list[str | Path] = ["readelf", "--debug-dump=frames-interp", program]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    return {
        int(at, 16): Rule(_NUMBERS[register], int(offset))
        for at, register, offset in _ROW.findall(done.stdout)
        if int(at, 16)  # what the rows of all functions begin with
    }


@pytest.mark.parametrize("options", [("-O2",), ("-O0", "-no-pie"), ("-O2", "-static")])
def test_rows_are_those_of_readelf(build: Build, options: tuple[str, ...]) -> None:
    program = build(*options)
    elf = open_elf(program)
    found = list(rows(program).items())
    wanted = dict(found[:: len(found) // 30])
    assert len(wanted) >= 30
    assert {at: cfa_rule(elf, at) for at in wanted} == wanted


def test_the_linkage_table_has_an_expression(build: Build) -> None:
    elf = open_elf(build("-O2"))
    plt = elf.find(".plt")
    assert plt is not None
    assert cfa_rule(elf, plt.address + 0x10).expression


def test_no_frame_is_known_of_other_addresses(build: Build) -> None:
    with pytest.raises(NoLocation, match="does not tell where its frame is"):
        cfa_rule(open_elf(build("-O2")), 0x10)
