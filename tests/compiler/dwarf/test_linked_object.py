# SPDX-License-Identifier: GPL-2.0-or-later
"""An object that has been given addresses says of its code what the program that it is linked to says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from compiler.dwarf.debug_files import open_elf
from compiler.dwarf.frames import cfa_rule
from compiler.dwarf.functions import Code, Functions
from compiler.dwarf.linked_object import linked
from compiler.dwarf.reader import Debuginfo
from compiler.support.elf import Elf, ElfError
from tests.compiler.dwarf.conftest import ARCH, SOURCE, Build, debuginfo

OPTIONS = ("-O2", "-fno-pie", "-no-pie")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The object, with .debug_frame in place of .eh_frame, as the kernel's."""
    made = tmp_path_factory.mktemp("object") / "module.o"
    own = ("-g", "-c", "-fno-asynchronous-unwind-tables", "-ffunction-sections")
    subprocess.run(["gcc", *own, *OPTIONS[:2], SOURCE, "-o", made], check=True, timeout=60)
    return made


def functions(path: Path) -> Functions:
    elf = linked(open_elf(path), ARCH)
    return Functions(Debuginfo(elf, path, None, None, elf))


def shape(known: Functions, code: Code) -> dict[int, int]:
    return {line: address - code.entry for line, address in known.lines(code).items()}


def test_lines_and_frames_are_those_of_the_program(whole: Path, build: Build) -> None:
    """Each function is in a section of its own, and all of these begin at 0 in the file."""
    program = Functions(debuginfo(build(*OPTIONS)))
    mine = functions(whole)
    names = sorted(name for name in mine.names() if name != "main")
    entries = set()
    for name in names:
        (code,), (other,) = mine.named(name), program.named(name)
        entries.add(code.entry)
        assert shape(mine, code) == shape(program, other)
        for distance in shape(mine, code).values():
            rule = cfa_rule(mine.debug.elf, code.entry + distance)
            assert rule == cfa_rule(program.debug.elf, other.entry + distance), (name, distance)
    assert len(entries) == len(names) > 5


def test_a_program_is_as_it_is(build: Build) -> None:
    elf = open_elf(build(*OPTIONS))
    assert linked(elf, ARCH) is elf


def test_damage_is_an_error(whole: Path) -> None:
    """A relocation of a symbol that is not there."""
    data = whole.read_bytes()
    elf = Elf(data)
    rows = elf.find(".rela.debug_info")
    assert rows is not None
    damaged = data[: rows.offset + 12] + b"\xff\xff\xff\x7f" + data[rows.offset + 16 :]
    with pytest.raises(ElfError, match="outside of the file"):
        linked(Elf(damaged), ARCH)
