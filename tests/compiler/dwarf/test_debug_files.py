# SPDX-License-Identifier: GPL-2.0-or-later
"""Where separate debug files are found, and where they are not; and the index in the cache."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from compiler.dwarf.debug_files import build_id, find, open_elf
from compiler.dwarf.dwarf_types import ProgramTypes
from compiler.dwarf.errors import DwarfError
from compiler.dwarf.functions import Functions
from compiler.dwarf.reader import Debuginfo, damage_reported
from compiler.dwarf.variables import Variables
from compiler.ir import program as p
from compiler.kernel import btf_types as k
from compiler.kernel import type_layout
from compiler.kernel.errors import KernelFactError
from tests.compiler.dwarf.conftest import ARCH, CPLUSPLUS, Build, debuginfo, small_btf


class System:
    """A program without debug information, and where its debug file may be."""

    def __init__(self, root: Path, program: Path) -> None:
        self.root, self.name = root, "/usr/bin/program"
        self.file, self.debug = self.here(self.name), root / "debug"
        self.file.parent.mkdir(parents=True)
        run("objcopy", "--only-keep-debug", program, self.debug)
        run("strip", "-o", self.file, program)
        self.id = build_id(open_elf(program)).hex()

    def here(self, path: str) -> Path:
        return self.root / path[1:]

    def found(self) -> Path | None:
        return find(open_elf(self.file), self.name, self.here)

    def put(self, path: str) -> Path:
        self.here(path).parent.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(self.debug, self.here(path)))


def run(*argv: str | Path) -> None:
    subprocess.run(argv, check=True, timeout=60)


@pytest.fixture
def system(tmp_path: Path, build: Build) -> System:
    return System(tmp_path, build("-O2"))


def test_none(system: System) -> None:
    assert system.found() is None
    assert Debuginfo.open(open_elf(system.file), system.name, system.here, None) is None


def test_by_build_id(system: System) -> None:
    path = f"/usr/lib/debug/.build-id/{system.id[:2]}/{system.id[2:]}.debug"
    assert system.put(path) == system.found()


def test_another_build_is_not_taken(system: System, build: Build) -> None:
    path = system.put(f"/usr/lib/debug/.build-id/{system.id[:2]}/{system.id[2:]}.debug")
    shutil.copy(build("-O0"), path)
    assert system.found() is None


def test_debuginfods_cache(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/me/.cache")
    path = f"/home/me/.cache/debuginfod_client/{system.id}/debuginfo"
    assert system.put(path) == system.found()


@pytest.mark.parametrize("folder", ["/usr/bin", "/usr/bin/.debug", "/usr/lib/debug/usr/bin"])
def test_by_link(system: System, folder: str) -> None:
    debug = system.root / "program.debug"
    system.debug.rename(debug)
    system.debug = debug
    run("objcopy", f"--add-gnu-debuglink={debug}", system.file)
    path = system.put(f"{folder}/program.debug")
    assert system.found() == path
    with path.open("ab") as file:
        file.write(b"changed")
    assert system.found() is None


@pytest.mark.skipif(shutil.which("dwz") is None, reason="dwz is not installed")
def test_what_dwz_has_moved(tmp_path: Path, build: Build) -> None:
    """Two programs that share a file with their common types."""
    common = tmp_path / "common"
    for name in ("one", "two"):
        shutil.copy(build("-O1", "-gdwarf-4", f"-DBUILD_{name}"), tmp_path / name)
    run("dwz", "-m", common, "-M", common, tmp_path / "one", tmp_path / "two")
    debug, btf = debuginfo(tmp_path / "one"), small_btf()
    types = ProgramTypes.numbered(btf, debug)
    (main,) = debug.index.functions["visit"]
    parameters = [d for d in debug.entry(main).iter_children() if "formal" in d.tag]
    pointer = btf.resolve(types.id_of(debug.type_of(parameters[0])))
    assert isinstance(pointer, k.Pointer)
    node = btf.resolve(pointer.target)
    assert isinstance(node, k.Struct) and [m.name for m in node.members][:3] == ["next", "at", "u"]
    assert debug.end > debug.size and node in types.find_all(k.Struct, "node")
    common.unlink()
    with pytest.raises(DwarfError, match="dwz"):
        debuginfo(tmp_path / "one").index  # noqa: B018


def test_dwz_in_one_file(tmp_path: Path, build: Build) -> None:
    if shutil.which("dwz") is None:
        pytest.skip("dwz is not installed")
    program = Path(shutil.copy(build("-O1", source=CPLUSPLUS), tmp_path / "program"))
    before = debuginfo(program).index
    subprocess.run(["dwz", program], check=False)  # it may have nothing to do
    after = debuginfo(program).index
    assert set(after.functions) == set(before.functions) and set(after.types) == set(before.types)


def test_the_index_is_cached(tmp_path: Path, build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    program = build("-O2")
    first = debuginfo(program, tmp_path).index
    (stored,) = tmp_path.glob("*.dwarf")
    monkeypatch.setattr("compiler.dwarf.reader.make_index", None)
    assert debuginfo(program, tmp_path).index == first
    stored.write_bytes(b"damaged")
    with pytest.raises(TypeError):
        debuginfo(program, tmp_path).index  # noqa: B018 - it would be made anew


def test_damage_is_told(tmp_path: Path, build: Build) -> None:
    """Whatever is read of a damaged file, there is no other error."""
    raw = build("-O2").read_bytes()
    elf = open_elf(build("-O2"))
    choose = random.Random(5)
    sections = [s for s in elf.sections if s.name.startswith(".debug") and s.size]
    told = 0
    for i in range(60):
        data = bytearray(raw)
        section = choose.choice(sections)
        for _ in range(choose.randrange(1, 30)):
            data[section.offset + choose.randrange(section.size)] = choose.randrange(256)
        program = tmp_path / str(i)
        program.write_bytes(data)
        try:
            with damage_reported(program):
                look(program)
        except DwarfError:
            told += 1
    assert told > 10


def look(program: Path) -> None:
    """Read variables, types and lines of a program."""
    debug, btf = debuginfo(program), small_btf()
    types, functions = ProgramTypes.numbered(btf, debug), Functions(debug)
    variables = Variables(
        debug, types, btf, ARCH, lambda at, span: p.Number(at, span), lambda byte, _: byte
    )
    for code in functions.named("*"):
        functions.lines(code)
        for found in variables.visible(code, code.entry).values():
            with contextlib.suppress(KernelFactError):
                type_layout.sizeof(btf, found.type_id)
