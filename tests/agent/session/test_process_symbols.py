# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of functions in processes: in this one, and in files that are gone or no programs."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from agent.session.process_symbols import ProcessSymbols
from compiler.arch import arch_of

ARCH = arch_of("x86_64")


def test_a_function_of_this_process() -> None:
    found = ProcessSymbols(arch_of(os.uname().machine))
    function = ctypes.CDLL(None).getppid
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    assert found.name(address, os.getpid()) == "getppid"
    assert found.name(address + 1, os.getpid()) == "getppid"
    assert found.name(16, os.getpid()) is None
    assert found.name(address, 2**22 + 1) is None  # there is no such process


@pytest.mark.parametrize("content", [None, b"", b"#!/bin/sh\n", b"\x7fELF" + b"\xff" * 200])
def test_files_without_functions(content: bytes | None, tmp_path: Path) -> None:
    """The file is gone, empty, or no program."""
    process = tmp_path / "7"
    process.mkdir()
    lines = [
        "00400000-00401000 r-xp 00000000 08:01 55                 /usr/bin/x",
        "7f0000000000-7f0000001000 rw-p 00000000 08:01 56         /usr/lib/y.so",
        "7f0000002000-7f0000003000 r-xp 00000000 00:00 0          [vdso]",
    ]
    (process / "maps").write_text("\n".join(lines) + "\n")
    if content is not None:
        (process / "root/usr/bin").mkdir(parents=True)
        (process / "root/usr/bin/x").write_bytes(content)
    found = ProcessSymbols(ARCH, tmp_path)
    for address in (0x400010, 0x7F0000000010, 0x7F0000002010, 0):
        assert found.name(address, 7) is None
