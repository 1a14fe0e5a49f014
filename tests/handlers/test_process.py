# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of programs in a real kernel: each case a script, what its program does, and what must come out."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from compiler.kernel.sysroot import inside
from lab import Guest, Image
from tests.handlers.conftest import HERE, Case, check, run_cases

PROGRAM = "/tmp/cases/program"
GETPPID = 110
MINE = f'process("{PROGRAM}")'

CASES = [
    Case(
        "processes begin and end",
        f"""global n
        probe {MINE}.begin {{ n["begin", execname(), pid() == target(), pid() == tid()]++ }}
        probe {MINE}.end {{ n["end", execname(), pid() == target(), pid() == tid()]++ }}""",
        program="program",
        trigger="forks 3 threads 2",
        values={
            "n": {
                ("begin", "program", 1, 1): 1,
                ("begin", "program", 0, 1): 3,
                ("end", "program", 1, 1): 1,
                ("end", "program", 0, 1): 3,
            }
        },
    ),
    Case(
        "threads begin and end",
        f"""global n
        probe {MINE}.thread.begin {{ n["begin", pid() == target(), pid() == tid()]++ }}
        probe {MINE}.thread.end {{ n["end", pid() == target(), pid() == tid()]++ }}""",
        program="program",
        trigger="forks 2 threads 5",
        values={"n": {("begin", 1, 0): 5, ("end", 1, 0): 5}},
    ),
    Case(
        "the target and what it starts",
        """global n
        probe process.begin { n["begin", execname()]++ }
        probe process.end { n["end", execname()]++ }""",
        program="trigger",
        trigger="spawn 3",
        # a fork is a beginning, and an exec
        values={
            "n": {
                ("begin", "trigger"): 4,
                ("begin", "echo"): 3,
                ("end", "echo"): 3,
                ("end", "trigger"): 1,
            }
        },
    ),
    Case(
        "a program that others start",
        """global n
        probe process("/usr/bin/echo").begin { n["begin", execname(), ppid() == target()]++ }
        probe process("/bin/echo").end { n["end", execname(), ppid() == target()]++ }
        probe process("echo").syscall { n["write", execname(), 0] += $syscall == 1 }""",
        program="trigger",
        trigger="spawn 3",
        values={"n": {("begin", "echo", 1): 3, ("end", "echo", 1): 3, ("write", "echo", 0): 3}},
    ),
    Case(
        "system calls",
        f"""global n, back
        probe {MINE}.syscall {{ if ($syscall == {GETPPID}) n[tid() == pid()]++ }}
        probe process("{PROGRAM[:-3]}*").syscall.return {{ if ($syscall == {GETPPID}) back[$return == ppid()]++ }}""",
        program="program",
        trigger="getppid 7 threads 2",
        values={"n": {1: 7, 0: 2}, "back": {1: 9}},
    ),
    Case(
        "arguments of system calls",
        """global n, got
        probe process.syscall { if ($syscall == 0) n[$arg3, user_mode(), uaddr() != 0]++ }
        // the target reads once before it becomes the program: it waits for the start
        probe process.syscall.return { if ($syscall == 0 && execname() == "trigger") got[$return, returnval()]++ }
        probe process(1).syscall, process(99999).begin { got[-1, -1]++ delete got[-1, -1] }""",
        program="trigger",
        trigger="read 20",
        values={"n": {(1, 1, 1): 20}, "got": {(1, 1): 20}},
    ),
    Case(
        "a process that was there",
        "probe process(1).begin { println(pid(), execname()) exit() }",
        program="program",
        trigger="orphan 3",
        output="1systemd\n",
        until_exit=True,
    ),
    Case(
        "a process that was there is told of once",
        """global n, calls
        probe process(1).begin { n++ }
        probe process(1).syscall { if (n && ++calls == 10) exit() }""",
        program="program",
        trigger="orphan 3",
        values={"n": 1},
        until_exit=True,
    ),
    Case(
        "conditions",
        f"""global on = 1, n
        probe {MINE}.syscall if (on) {{ if ($syscall == {GETPPID}) {{ n++; if (n == 3) on = 0 }} }}""",
        program="program",
        trigger="getppid 9",
        values={"n": 3},
    ),
]


@pytest.fixture(scope="module")
def results(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cases")
    system = folder / "system"
    there = system / PROGRAM[1:]
    there.parent.mkdir(parents=True)
    options = ["-O1", "-static", "-pthread"]
    subprocess.run(["gcc", *options, "-o", there, HERE / "program.c"], check=True)
    shutil.copy(there, folder / "program")
    (system / "usr/bin").mkdir(parents=True)
    shutil.copy(inside(image.rootfs, "/bin/echo"), system / "usr/bin/echo")
    (system / "bin").symlink_to("usr/bin")
    return run_cases(CASES, guest, image, folder, system)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])


def test_the_kernel_is_unhurt(guest: Guest, results: dict[str, Any]) -> None:
    assert results
    assert guest.complaints() == []
