# SPDX-License-Identifier: GPL-2.0-or-later
"""The ELF reader against binutils, on objects that a compiler made."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.arch.x86_64 import ARCH as X86_64
from compiler.modbuild.errors import BuildError
from compiler.modbuild.fast_tier import read_object
from compiler.support.elf import Elf, ElfError
from compiler.userspace.elf_program import Executable
from tests import PROJECT

PROGRAM = PROJECT / "tests/handlers/program.c"

C = """
extern int wanted(void); extern int weakly(void) __attribute__((weak)); extern char table[];
static int hidden(void) { return wanted(); }
int shown = 3; int zeroed[100];
const char text[] __attribute__((section(".note.text"))) = "to be replaced";
extern const char text_end[];
__asm__(".pushsection .note.text,\\"a\\"; .globl text_end; text_end: .popsection");
int visible(void) { return hidden() + (weakly ? weakly() : 0) + table[1] + (int)(long)text_end; }
"""


def run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elf")
    (folder / "x.c").write_text(C)
    run("gcc", "-O0", "-mcmodel=kernel", "-fno-pie", "-c", "-o", folder / "x.o", folder / "x.c")
    return folder / "x.o"


def names(path: Path, *options: str) -> set[str]:
    return {line.split()[-1] for line in run("nm", *options, path).splitlines()}


def test_symbols_are_those_of_nm(path: Path) -> None:
    elf = Elf(path.read_bytes())
    assert elf.undefined == names(path, "--undefined-only")
    assert elf.defined == names(path, "--defined-only", "--extern-only")
    assert "hidden" not in elf.defined and "weakly" in elf.undefined


def test_contents_are_those_of_objcopy(path: Path, tmp_path: Path) -> None:
    elf = Elf(path.read_bytes())
    for name in (".text", ".data", ".note.text"):
        out = tmp_path / "section"
        run(
            "objcopy", "-O", "binary", "--set-section-flags", f"{name}=alloc", "-j", name, path, out
        )
        assert elf.contents(name) == out.read_bytes()
    assert elf.contents(".bss") == b"" and elf.contents(".nowhere") == b""


def test_loaded_sections_and_relocations_are_those_of_readelf(path: Path) -> None:
    elf = Elf(path.read_bytes())
    assert {".text", ".data", ".bss", ".note.text"} <= set(elf.loaded)
    assert ".symtab" not in elf.loaded
    kinds = {2: "R_X86_64_PC32", 4: "R_X86_64_PLT32", 11: "R_X86_64_32S"}
    text = run("readelf", "-rW", path).partition(".rela.text")[2].partition("\n\n")[0]
    expected = {word for line in text.splitlines() for word in line.split() if "R_X86" in word}
    assert {kinds[kind] for kind in elf.relocation_kinds()[".text"]} == expected


@pytest.mark.parametrize("text", [b"", b"short", b"much longer than the old text" * 100])
def test_a_patched_file_links_and_holds_the_new_contents(
    path: Path, tmp_path: Path, text: bytes
) -> None:
    patched = tmp_path / "patched.o"
    elf = Elf(path.read_bytes())
    patched.write_bytes(elf.patched({".note.text": text}, {"text_end": len(text)}))
    linked = tmp_path / "linked.o"
    run("ld", "-r", "-o", linked, patched)
    found = Elf(linked.read_bytes())
    assert found.contents(".note.text") == text
    assert {s.value for s in found.symbols if s.name == "text_end"} == {len(text)}
    assert found.contents(".text") == elf.contents(".text")


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n" * 20, Path("/bin/true").read_bytes()])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(BuildError, match="ELF file"):
        read_object(data, X86_64)


def read_all(data: bytes) -> None:
    """Read everything that the readers of objects, modules and programs use."""
    elf = Elf(data)
    assert elf.defined is not None and elf.undefined is not None and elf.loaded is not None
    elf.relocation_kinds()
    for section in elf.sections:
        elf.bytes_of(section)
    elf.patched({".note.text": b"new"}, {"text_end": 3})


def read_program(data: bytes) -> None:
    program = Executable(data, X86_64)
    assert program.functions is not None and program.variables is not None
    assert program.marks is not None and program.indirect is not None
    assert program.needed is not None and program.library_folders is not None
    program.binary("/x")


@pytest.mark.parametrize("read", [read_all, read_program])
def test_a_damaged_file_raises_the_elf_error_only(
    path: Path, tmp_path: Path, read: Callable[[bytes], None]
) -> None:
    program = tmp_path / "program"
    run("gcc", "-O1", "-o", program, PROGRAM)
    good = (path if read is read_all else program).read_bytes()
    read(good)
    chance = random.Random(1)
    fields = [*range(16, 64), *range(len(good) - 64 * 40, len(good))]
    refused = 0
    for round_ in range(1500):
        data = bytearray(good)
        if round_ % 5 == 0:
            del data[chance.randrange(len(data)) :]
        for _ in range(chance.randrange(1, 6)):
            where = chance.choice(fields) if chance.random() < 0.7 else chance.randrange(len(good))
            if 0 <= where < len(data):
                data[where] ^= 1 << chance.randrange(8)
        try:
            read(bytes(data))
        except ElfError:
            refused += 1
    assert 100 < refused < 1500
