# SPDX-License-Identifier: GPL-2.0-or-later
"""Backtraces of a program without frame pointers in a real kernel, compared with what the program itself finds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import HERE, Case, check, run_cases

PROGRAM = "/tmp/cases/nested"
MINE = f'process("{PROGRAM}")'
LIBRARIES = "/lib/x86_64-linux-gnu"
TURNS = "300"  # millions
GETPPID = 110

# The callers of the innermost function, as the program's own backtrace() has found them.
KNOWN = f"""
global callers, ok, bad, on
probe {MINE}.function("known") {{
    callers = ""
    for (i = 1; i < int_arg(2); i++) callers .= sprintf(" 0x%x", user_uint64(pointer_arg(1) + 8 * i))
}}
function compare(where, frames) {{
    text = ubacktrace()
    from = strlen(text) - strlen(callers)
    if (strlen(callers) > 100 && from > 0 && substr(text, from, strlen(callers)) == callers
        && frames == words(substr(text, 0, from))) ok[where]++
    else {{ bad[where]++ if (bad[where] < 4) println(where, " ", text, " |", callers) }}
}}
function words(text) {{
    n = 0
    for (i = 0; i < strlen(text); i = __after_address(text, i)) n++
    return n
}}
"""
DEFINES = {"MAXACTION": "100000"}

CASES = [
    Case(
        "a call, a system call and a timer",
        KNOWN
        + f"""
        probe {MINE}.function("called") {{ compare("call", 2) on = 1 }}
        probe {MINE}.function("done") {{ compare("done", 2) on = 0 }}
        probe {MINE}.syscall {{ if ($syscall == {GETPPID}) compare("syscall", 2) }}
        probe timer.profile {{ if (on && pid() == target() && user_mode()) compare("timer", 1) }}
        probe end {{ println(ok["timer"] >= 5) delete ok["timer"] }}""",
        program="nested",
        trigger=TURNS,
        output="1\n",
        values={"ok": {"call": 2, "done": 2, "syscall": 2}, "bad": {}},
        defines=DEFINES,
    ),
    Case(
        "below calls whose returns are probed",
        KNOWN
        + f"""
        global back
        probe {MINE}.function("returning").return {{ back++ }}
        probe {MINE}.function("called") {{ compare("call", 2) }}""",
        program="nested",
        trigger="0",
        values={"ok": {"call": 2}, "bad": {}, "back": 3},
        defines=DEFINES,
    ),
    Case(
        "the target's stacks without a probe in it",
        """global whole
        probe timer.profile { if (pid() == target() && user_mode()) {
            text = ubacktrace()
            if (strlen(text) > 150 && !(text =~ " 0x0$")) whole++ } }
        probe end { println(whole >= 5) }""",
        program="nested",
        trigger=TURNS,
        target=PROGRAM,
        output="1\n",
        defines=DEFINES,
    ),
]


@pytest.fixture(scope="module")
def results(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cases")
    argv: list[str | Path] = [
        "gcc",
        HERE / "nested.c",
        "-O2",
        "-fomit-frame-pointer",
        "-o",
        folder / "nested",
    ]
    subprocess.run(argv, check=True, timeout=60)
    system = folder / "system"
    there = system / PROGRAM[1:]
    there.parent.mkdir(parents=True)
    shutil.copy(folder / "nested", there)
    libraries = system / LIBRARIES[1:]
    libraries.mkdir(parents=True)
    for name in ("libc.so.6", "ld-linux-x86-64.so.2"):
        shutil.copy(image.rootfs / f"usr{LIBRARIES}" / name, libraries / name)
    return run_cases(CASES, guest, image, folder, system)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])
