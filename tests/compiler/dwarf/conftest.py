# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that are built with debug information for these tests."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.arch import arch_of
from compiler.dwarf.debug_files import open_elf
from compiler.dwarf.reader import Debuginfo
from compiler.kernel.btf import Btf
from tests import PROJECT

ARCH = arch_of("x86_64")
SOURCE = PROJECT / "tests/handlers/debug.c"
CPLUSPLUS = Path(__file__).with_name("members.cc")

collect_ignore_glob = ["test_*.py"] if importlib.util.find_spec("elftools") is None else []

Build = Callable[..., Path]


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Builds a program, each kind once: build("-O2") -> its path."""
    folder = tmp_path_factory.mktemp("programs")
    made: dict[tuple[str, ...], Path] = {}

    def program(*options: str, source: Path = SOURCE) -> Path:
        key = (*options, source.name)
        if key not in made:
            made[key] = folder / f"program-{len(made)}"
            compiler = "g++" if source.suffix == ".cc" else "gcc"
            argv: list[str | Path] = [compiler, "-g", *options, source, "-o", made[key]]
            subprocess.run(argv, check=True, cwd=folder, timeout=60)
        return made[key]

    return program


def small_btf() -> Btf:
    """The types of a kernel that has one only: int."""
    types, text = struct.pack("<IIII", 1, 1 << 24, 4, 1 << 24 | 32), b"\0int\0"
    header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(text))
    return Btf(header + types + text)


def debuginfo(program: Path, cache: Path | None = None) -> Debuginfo:
    found = Debuginfo.open(open_elf(program), str(program), Path, cache)
    assert found is not None
    return found
