# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of .eh_frame, compared with readelf row by row, for programs and libraries of this machine."""

from __future__ import annotations

import random
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.dwarf.call_frames import SAME, CallFrames, Row, Saved
from compiler.support.elf import Elf, ElfError
from tests.compiler.dwarf.conftest import ARCH, Build

LIBRARIES = Path("/lib/x86_64-linux-gnu")
assert ARCH.unwind is not None
FORMS = ARCH.unwind
_HEAD = re.compile(r"^[0-9a-f]{8} .* FDE .*pc=([0-9a-f]{16})\.\.([0-9a-f]{16})")
_NAMES = [name if name[0] == "r" else f"r{name}" for name in ARCH.dwarf_registers]

# What readelf prints of a row: the CFA, the frame pointer and the return address.
Printed = tuple[str, str, str]


def readelf(path: Path) -> Iterator[tuple[int, int, list[tuple[int, Printed]]]]:
    """Start, end and rows of each function."""
    argv: list[str | Path] = ["readelf", "--debug-dump=frames-interp", path]
    # its status tells of other files, too, that have separate debug information
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    for block in done.stdout.split("\n\n"):
        lines = block.strip().splitlines()
        heads = [i for i, line in enumerate(lines) if _HEAD.match(line)]
        if not heads:
            continue
        head = _HEAD.match(lines[heads[0]])
        assert head is not None
        rows: list[tuple[int, Printed]] = []
        columns: list[str] = []
        for line in lines[heads[0] + 1 :]:
            words = re.sub(r" \(\w+\)", "", line).split()  # r8 (r8): in a register
            if words[:1] == ["LOC"]:
                columns = words
                continue
            found = dict(zip(columns, words, strict=True))
            rows.append((int(words[0], 16), (found["CFA"], found.get("rbp", "u"), found["ra"])))
        yield int(head[1], 16), int(head[2], 16), rows


def printed(row: Row) -> Printed:
    """A row as readelf prints it."""
    if row.expression:
        cfa = "exp"
    else:
        cfa = f"{_NAMES[row.register]}{row.offset:+d}"
    return cfa, _saved(row.frame), _saved(row.ra)


def _saved(where: Saved) -> str:
    match where.how:
        case "offset":
            return f"c{where.offset:+d}"
        case "expression":
            return "exp"
        case "undefined" | "same":
            return "u"  # readelf knows no difference for registers without a rule
        case _:
            return "?"


def distinct(rows: list[tuple[int, Printed]]) -> list[tuple[int, Printed]]:
    """Without rows that only other registers differ in, and those that another of the same address replaces."""
    found: list[tuple[int, Printed]] = []
    for at, row in rows:
        if found and found[-1][0] == at:
            found.pop()
        if not found or found[-1][1] != row:
            found.append((at, row))
    return found


def agrees(ours: Printed, theirs: Printed) -> bool:
    # readelf prints `s` for same, and `vexp` and `v` for values, which are not in memory
    return all(
        a == b or (a == "?" and b.startswith(("v", "r"))) or (a, b) == ("u", "s")
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize(
    "path",
    [LIBRARIES / "libc.so.6", LIBRARIES / "ld-linux-x86-64.so.2", LIBRARIES / "libcrypto.so.3",
     Path(sys.executable).resolve(), Path("/bin/bash")],
    ids=lambda path: path.name,
)  # fmt: skip
def test_all_rows_are_those_of_readelf(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    frames = CallFrames.of(Elf(path.read_bytes()), FORMS)
    assert frames is not None
    ours = [frames.function(entry) for entry in frames.entries()]
    theirs = list(readelf(path))
    assert [(f.start, f.end) for f in ours] == [(start, end) for start, end, _ in theirs]
    for function, (_, _, rows) in zip(ours, theirs, strict=True):
        wanted = distinct(rows)
        found = distinct([(at, printed(row)) for at, row in function.rows])
        if not wanted:  # readelf leaves out a function that has only the row of all
            assert len(found) == 1
        elif found != wanted:
            assert [at for at, _ in found] == [at for at, _ in wanted], hex(function.start)
            for (at, mine), (_, other) in zip(found, wanted, strict=True):
                assert agrees(mine, other), (hex(at), mine, other)


def test_a_file_without_the_section_has_no_frames(build: Build) -> None:
    data = build("-O2").read_bytes()
    assert CallFrames.of(Elf(data.replace(b".eh_frame\0", b".eh_frxxx\0"))) is None


def test_damaged_sections_are_errors_and_no_others(build: Build) -> None:
    elf = Elf(build("-O2").read_bytes())
    section = elf.find(".eh_frame")
    assert section is not None
    whole = elf.bytes_of(section)
    chosen = random.Random(1)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chosen.randrange(1, 6)):
            data[chosen.randrange(len(data))] = chosen.randrange(256)
        frames = CallFrames(bytes(data[: chosen.randrange(len(data))]), section.address, FORMS)
        try:
            for entry in frames.entries():
                frames.function(entry)
        except ElfError:
            refused += 1
    assert 50 < refused < 300


def section_of(instructions: bytes) -> CallFrames:
    """One common entry, and one function at 0x1000 of 0x100 bytes."""
    cie = struct.pack("<IB", 0, 1) + b"zR\0" + bytes((1, 0x78, 16, 1, 0x03))
    cie += bytes((0x0C, 7, 8, 0x90, 1))  # CFA: sp + 8; return address: CFA - 8
    cie += bytes(-(len(cie) + 4) % 8)
    fde = struct.pack("<III", len(cie) + 8, 0x1000, 0x100) + b"\0" + instructions
    data = struct.pack("<I", len(cie)) + cie + struct.pack("<I", len(fde)) + fde
    return CallFrames(data + bytes(4), 0, FORMS)


@pytest.mark.parametrize(
    ("instructions", "wanted"),
    [
        ("44 0e 10 86 02", (0x1004, Row(7, 16, b"", Saved("offset", -16)))),
        ("02 80 0d 06", (0x1080, Row(6, 8))),
        ("03 02 00 13 7e", (0x1002, Row(7, 16))),
        ("04 08 00 00 00 12 06 7c", (0x1008, Row(6, 32))),
        ("01 10 10 00 00 0e 20", (0x1010, Row(7, 32))),
        ("41 05 06 03", (0x1001, Row(7, 8, b"", Saved("offset", -24)))),
        ("41 11 06 7d", (0x1001, Row(7, 8, b"", Saved("offset", 24)))),
        ("41 2f 06 03", (0x1001, Row(7, 8, b"", Saved("offset", 24)))),
        ("41 86 02 42 c6", (0x1003, Row(7, 8))),
        ("41 86 02 42 06 06", (0x1003, Row(7, 8))),
        ("41 86 02 42 08 06", (0x1003, Row(7, 8))),
        ("41 07 06", (0x1001, Row(7, 8, b"", Saved("undefined")))),
        ("41 09 06 03", (0x1001, Row(7, 8, b"", Saved("other")))),
        ("41 14 06 03", (0x1001, Row(7, 8, b"", Saved("other")))),
        ("41 15 06 7d", (0x1001, Row(7, 8, b"", Saved("other")))),
        ("41 16 06 02 77 08", (0x1001, Row(7, 8, b"", Saved("other")))),
        ("41 10 06 02 76 00", (0x1001, Row(7, 8, b"", Saved("expression", 0, b"\x76\0")))),
        ("41 0f 03 77 08 06", (0x1001, Row(7, 8, b"\x77\x08\x06"))),
        ("0a 41 0e 40 41 0b", (0x1002, Row(7, 8))),
        ("2e 10 41 0e 18", (0x1001, Row(7, 24))),
        ("83 03 41 8c 04 c3 0e 18", (0x1001, Row(7, 24))),
    ],
)  # fmt: skip
def test_each_instruction(instructions: str, wanted: tuple[int, Row]) -> None:
    frames = section_of(bytes.fromhex(instructions))
    (entry,) = frames.entries()
    rows = frames.function(entry).rows
    at, row = wanted
    row = row._replace(ra=Saved("offset", -8))
    assert rows[0] == (0x1000, Row(7, 8, b"", SAME, Saved("offset", -8)))
    assert rows[-1] == (at, row)


@pytest.mark.parametrize("instructions", ["0b", "3f", "0c", "0a" * 65, "0f 20 00"])
def test_wrong_instructions_are_errors(instructions: str) -> None:
    frames = section_of(bytes.fromhex(instructions))
    with pytest.raises(ElfError, match="is damaged"):
        frames.function(frames.entries()[0])
