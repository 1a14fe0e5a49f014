# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading programs' files, compared with binutils and the dynamic linker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from compiler.arch import Operand
from compiler.arch.x86_64 import ARCH as X86_64
from compiler.arch.x86_64 import operands
from compiler.userspace.elf_program import Executable, ProgramError
from compiler.userspace.program_files import Files
from compiler.userspace.shared_libraries import libraries
from tests import PROJECT

SOURCE = PROJECT / "tests/handlers/program.c"
MARKS = ["simple", "several", "global", "several", "busy"]  # of SOURCE


def run(*words: str | Path) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.fixture(scope="module", params=["-static", "-pie", "-no-pie"])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("program") / "program"
    run("gcc", "-O1", "-pthread", request.param, "-o", made, SOURCE)
    return made


def test_functions_are_those_of_nm(path: Path) -> None:
    wanted = defaultdict(set)
    for line in run("readelf", "--wide", "--symbols", path).splitlines():
        words = line.split()
        if len(words) == 8 and words[3] == "FUNC" and words[6].isdigit():
            wanted[words[7].partition("@")[0]].add(int(words[1], 16))
    elf = Executable.open(path, X86_64)
    assert set(elf.functions) == set(wanted) and "twice_of" in wanted
    code = next(s for s in elf.sections if s.name == ".text")
    for name in ("twice_of", "main", "sum_of_eight"):
        (offset,) = elf.functions[name]
        assert offset - code.offset + code.address in wanted[name]


def test_marks_are_those_of_readelf(path: Path) -> None:
    text = run("readelf", "--wide", "--notes", path)
    wanted = re.findall(
        r"Provider: (\S+)\s+Name: (\S+)\s+Location: (\S+), Base: \S+, Semaphore: (\S+)\s+Arguments: (.*)",
        text,
    )
    found = Executable.open(path, X86_64).marks
    assert [(m.provider, m.name, m.address, m.semaphore, m.arguments) for m in found] == [
        (provider, name, int(at, 16), int(counter, 16), arguments.strip())
        for provider, name, at, counter, arguments in wanted
    ]
    own = [
        m for m in found if m.provider != "libc"
    ]  # a static program may have the C library's, too
    assert [m.name for m in own] == MARKS
    assert [bool(m.semaphore) for m in own] == [False, False, False, False, True]


def test_the_identity_of_a_file_is_its_build_id(path: Path, tmp_path: Path) -> None:
    binary = Executable.open(path, X86_64).binary("/x")
    build_id = re.search(r"Build ID: (\w+)", run("readelf", "--notes", path))
    assert build_id and binary.content.hex() == build_id[1]
    data = path.read_bytes()
    assert data[binary.offset :].startswith(binary.content) and binary.size == len(data)
    bare = tmp_path / "bare"
    run("objcopy", "--remove-section", ".note.gnu.build-id", path, bare)
    plain = Executable.open(bare, X86_64).binary("/x")
    assert plain.content == bare.read_bytes()[:64] and plain.offset == 0


def test_a_stripped_program_has_what_it_exports(path: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped"
    run("strip", "-o", stripped, path)
    elf = Executable.open(stripped, X86_64)
    assert "twice_of" not in elf.functions
    assert [m.name for m in elf.marks if m.provider != "libc"] == MARKS


def test_what_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut").write_bytes(Path("/bin/sh").read_bytes()[:100])
    for file in (SOURCE, tmp_path / "empty", tmp_path / "cut"):
        with pytest.raises(ProgramError):
            Executable.open(file, X86_64)


def test_libraries_are_those_of_ldd() -> None:
    files = Files()
    (bash,) = files.find("bash")
    wanted = dict(re.findall(r"(\S+) => (/\S+)", run("ldd", bash)))
    found = libraries(bash, files, X86_64)
    assert {name: found.get(name) for name in wanted} == {
        name: str(Path(place).resolve()) for name, place in wanted.items()
    }
    assert Path(bash) in files.inputs


def test_programs_are_found_inside_a_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("/usr/bin")
    for name in ("one", "onward"):
        (tmp_path / "usr/bin" / name).write_text("")
        (tmp_path / "usr/bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", "/nowhere:/bin")
    files = Files(tmp_path)
    assert files.find("one") == ["/usr/bin/one"]
    assert files.find("/b*/on*") == ["/usr/bin/one", "/usr/bin/onward"]
    assert files.find("/bin/two") == [] and files.find("two") == []
    # paths where a file could appear are recorded, too
    assert {tmp_path / "nowhere/one", tmp_path / "bin/two"} <= set(files.inputs)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("-4@%eax", Operand(4, True, base="ax")),
        ("8@%r12", Operand(8, False, base="r12")),
        ("-1@%r9b", Operand(1, True, base="r9")),
        ("1@%dh", Operand(1, False, base="dx", shift=8)),
        ("1@%sil", Operand(1, False, base="si")),
        ("2@%bx", Operand(2, False, base="bx")),
        ("%rdi", Operand(8, True, base="di")),
        ("-8@$-7", Operand(8, True, number=-7)),
        ("4@$0x10", Operand(4, False, number=16)),
        ("8@-16(%rbp)", Operand(8, False, True, base="bp", number=-16)),
        ("4@(%rsp)", Operand(4, False, True, base="sp")),
        ("1@3(%rdx,%rsi,2)", Operand(1, False, True, "dx", "si", 2, 3)),
        ("8@(,%rax,8)", Operand(8, False, True, index="ax", scale=8)),
        ("4@counter(%rip)", Operand(4, False, True, base="ip", symbol="counter")),
        ("4@counter+8(%rip)", Operand(4, False, True, base="ip", symbol="counter", number=8)),
        ("4@8+counter(%rip)", Operand(4, False, True, base="ip", symbol="counter", number=8)),
        ("8f@%xmm0", None),
        ("8@%xmm0", None),
        ("8@nonsense", None),
    ],
)
def test_operands(text: str, wanted: Operand | None) -> None:
    assert operands(f"{text} 8@%rax") == (wanted, Operand(8, False, base="ax"))


def test_the_program_of_a_process_is_noted() -> None:
    files = Files()
    assert files.of_process(os.getpid()) == str(Path(sys.executable).resolve())
    assert Path(f"/proc/{os.getpid()}/exe") in files.inputs
    assert files.of_process(1 << 22) is None
    assert Files(Path("/nowhere")).of_process(os.getpid()) is None
