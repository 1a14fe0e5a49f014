# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions and lines, compared with addr2line and objdump."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from compiler.dwarf.errors import DwarfError
from compiler.dwarf.functions import Functions, matches, require
from tests.compiler.dwarf.conftest import SOURCE, Build, debuginfo

_ROW = re.compile(r"^debug\.c +(\d+) +(0x[0-9a-f]+) .*x$", re.MULTILINE)


def line_table(program: Path) -> list[tuple[int, int]]:
    """The lines and addresses at which statements begin."""
    argv: list[str | Path] = ["objdump", "--dwarf=decodedline", program]
    text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return [(int(line), int(address, 16)) for line, address in _ROW.findall(text)]


def addr2line(program: Path, *addresses: int) -> list[tuple[str, int]]:
    """The innermost function and the line at each address."""
    argv: list[str | Path] = ["addr2line", "-f", "-s", "-e", program, *map(hex, addresses)]
    words = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split("\n")
    pairs = zip(words[::2], words[1::2], strict=False)
    return [(name, int(place.split(":")[1].split()[0])) for name, place in pairs]


@pytest.mark.parametrize(
    "options", [("-O0",), ("-O2",), ("-O2", "-gdwarf-4"), ("-O2", "-gdwarf-3")]
)
def test_lines(build: Build, options: tuple[str, ...]) -> None:
    program = build(*options)
    functions = Functions(debuginfo(program))
    for name in ("visit", "main", "sum_of_squares"):
        (code,) = functions.named(name)
        assert functions.file(code) == str(SOURCE)
        lines = functions.lines(code)
        assert len(lines) > 2
        wanted: dict[int, int] = {}
        for line, address in line_table(program):
            if code.covers(address):
                wanted[line] = min(address, wanted.get(line, address))
        assert lines == wanted
        assert {name for name, _ in addr2line(program, code.entry)} == {name}


def test_inline_instances(build: Build) -> None:
    program = build("-O2")
    (code,) = Functions(debuginfo(program)).inline("tripled")
    assert code.inline and addr2line(program, code.entry)[0][0] == "tripled"


def test_by_pattern_and_file(build: Build) -> None:
    functions = Functions(debuginfo(build("-O2")))
    assert [code.name for code in functions.named("n*_of")] == ["next_of"]
    assert {code.name for code in functions.in_file("debug.c")} >= {"main", "visit"}
    assert functions.named("no_such") == () == functions.named("no*such")
    (main,) = functions.named("main")
    assert functions.at(("main",), main.entry) == main
    assert functions.at(("main", "visit"), main.entry + 1) is None


def test_neighbours_of_a_line_without_code() -> None:
    assert require({4: 0x10, 9: 0x20}, 9, "f") == 0x20
    with pytest.raises(
        DwarfError, match="'f' has no code at line 6: there is code at line 4 and 9"
    ):
        require({4: 0x10, 9: 0x20}, 6, "f")


def test_files_are_named_by_their_ends() -> None:
    assert matches("/src/net/tcp.c", "tcp.c") and matches("/src/net/tcp.c", "net/tcp.c")
    assert matches("/src/net/tcp.c", "net/*.c") and matches("tcp.c", "*.c")
    assert not matches("/src/net/mtcp.c", "tcp.c")
