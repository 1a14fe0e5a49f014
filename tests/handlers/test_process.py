# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of programs in a real kernel: each case is a script, its program's actions, and the expected
results."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from compiler.support.sysroot import inside
from lab import Guest, Image
from tests.handlers.conftest import HERE, Case, check, compile_case, run_cases, run_in_guest

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
        # a fork is a begin event, and so is an exec
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
        probe process.syscall.return { if ($syscall == 0) got[$return, returnval()]++ }
        probe process(1).syscall, process(99999).begin { got[-1, -1]++ delete got[-1, -1] }""",
        program="trigger",
        trigger="read 20",
        values={"n": {(1, 1, 1): 20}, "got": {(1, 1): 20}},
    ),
    Case(
        "a process that was there",
        "probe process(1).begin { println(pid(), execname()) exit() }",
        program="program",
        trigger="orphan 20",
        output="1systemd\n",
        until_exit=True,
    ),
    Case(
        "a process that was there is told of once",
        """global n, calls
        probe process(1).begin { n++ }
        probe process(1).syscall { if (n && ++calls == 10) exit() }""",
        program="program",
        trigger="orphan 20",
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
    Case(
        "functions",
        f"""global n, back, sums
        probe {MINE}.function("twice_of") {{
            n[probefunc(), user_string($arg2), user_string(pointer_arg(2)), user_mode(), uaddr() == addr()]++
            sums["in"] += long_arg(1) }}
        probe {MINE}.function("twice_of").return {{ sums["out"] += returnval(); sums["$"] += $return; back[probefunc(), pid() == target()]++ }}
        probe {MINE}.function("sum_of_eight") {{
            println(int_arg(1), " ", $arg6, " ", long_arg(7), " ", long_arg(8), " ", @uregister(5) == $arg1, " ", @defined($x)) }}""",
        program="program",
        trigger="call 10 sum 80",
        output="1 6 7 80 1 0\n",
        values={
            "n": {("twice_of", "inner", "inner", 1, 1): 10},
            "back": {("twice_of", 1): 10},
            "sums": {"in": 45, "out": 90, "$": 90},
        },
        guru=True,
    ),
    Case(
        "functions by pattern",
        f"""global n, m, back, here
        probe {MINE}.function("twice_*") {{ n[probefunc()]++ }}
        probe {MINE}.function("twice_*") {{ m++ }}
        probe {MINE}.function("twice_*").return {{ back[ppfunc(), returnval() & 1]++ }}
        probe {MINE}.function("no_such")?, {MINE}.function("no_such*")!, {MINE}.function("sum_of_e*") {{ here[$$name]++ }}""",
        program="program",
        trigger="call 20 sum 1",
        values={
            "n": {"twice_of": 20, "twice_and_one": 20},
            "m": 40,
            "back": {("twice_of", 0): 20, ("twice_and_one", 1): 20},
            "here": {"sum_of_eight": 1},
        },
    ),
    Case(
        "a hook that takes itself out",
        f"""global n
        probe {MINE}.function("twice_of") if (n < 5) {{ n++ }}""",
        program="program",
        trigger="call 1000",
        values={"n": 5},
    ),
    Case(
        "hooks that come and go while they are hit",
        f"""global on = 1, n, k
        probe {MINE}.function("twice_*") if (on) {{ n++ }}
        probe {MINE}.function("twice_*").return if (on) {{ k++ }}
        probe {MINE}.syscall {{ if ($syscall == {GETPPID}) on = !on }}
        probe end {{ if (n < 400 || k < 400) println(n, " ", k); else println("ok") }}""",
        program="program",
        trigger="call 200 getppid 1 " * 60,
        output="ok\n",
    ),
    *(
        Case(
            f"marks of {program}",
            f"""global n
            probe process("/tmp/cases/{program}").mark("simple") {{ n["simple"]++ }}
            probe process("/tmp/cases/{program}").provider("ours").mark("several") {{
                printf("%d %s %d %d %d %c %s %s\\n", $arg1, user_string($arg2), $arg3, $arg4, $arg5, $arg6, $$name, $$provider) }}
            probe process("/tmp/cases/{program}").provider("theirs").mark("sev*") {{ printf("%d %s\\n", $arg1, $$vars) }}
            probe process("/tmp/cases/{program}").mark("global") {{ n["global"] += $arg1 }}
            probe process("/tmp/cases/{program}").mark("*") {{ n[$$name]++ }}
            probe process("/tmp/cases/{program}").mark("busy") {{ n["busy"] += $arg1 }}""",
            program=program,
            trigger="mark 3",
            output="".join(
                f"{-i} a text 65535 -1 -7 t several ours\n-5 arg1=0xfffffffffffffffb\n"
                for i in range(3)
            ),
            values={"n": {"simple": 6, "several": 6, "busy": 6, "global": -15}},
        )
        for program in ("program", "movable")
    ),
    Case(
        "all functions",
        f"""global n
        probe {MINE}.function("*") {{ n[probefunc()]++ }}
        probe end {{ println(n["twice_of"], " ", n["twice_and_one"], " ", n["main"]) }}""",
        program="program",
        trigger="call 10",
        output="10 10 1\n",
    ),
    Case(
        "a mark that nobody looks at is not prepared",
        f"""global n
        probe {MINE}.mark("simple") {{ n["simple"]++ }}
        probe {MINE}.provider("theirs").mark("several") {{ n[$$name]++ }}""",
        program="program",
        trigger="mark 4",
        values={"n": {"simple": 4, "several": 4}},
    ),
    Case(
        "functions of a library in one program",
        """global n
        probe process("/tmp/cases/linked").library("libtriple.so").function("triple") { n[execname(), $arg1, "one"]++ }
        probe process("/tmp/cases/libtriple.so").function("tri*") { n[execname(), probefunc() == "triple", "all"]++ }
        probe process("/tmp/cases/other").library("lib*").function("triple").return { n[execname(), returnval(), "other"]++ }""",
        program="linked",
        trigger="now",
        values={
            "n": {
                **{("linked", i, "one"): 2 for i in range(1, 6)},
                ("linked", 1, "all"): 10,
            }
        },
    ),
    Case(
        "functions of the target",
        """global n, other
        probe process.function("twice_of"), process.mark("simple") { n[$$name]++ }
        probe process.library("lib*").function("*")? { other++ }""",
        program="program",
        trigger="call 4 mark 5",
        target=PROGRAM,
        values={"n": {"twice_of": 4, "simple": 5}},
    ),
    Case(
        "who called",
        f"""global ok, from
        probe {MINE}.function("twice_of") {{
            from = ustack(1)
            ok["name"] += umodname(uaddr()) == "program" && usymdata(uaddr()) =~ "^program.0x[0-9a-f]+$"
            ok["other"] += usymdata(16) == "0x10" && usymname(16) == "0x10" && stack(0) != uaddr()
            ok["lines"] += sprint_ubacktrace() =~ "^program.*program" }}
        probe {MINE}.function("twice_of").return {{ ok["back"] += from == uaddr() && ustack(0) == from }}
        probe {MINE}.end {{ ok["type"] += probe_type() == "process" }}""",
        program="program",
        trigger="call 4",
        values={"ok": {"name": 4, "other": 4, "lines": 4, "back": 4, "type": 1}},
    ),
    Case(
        "returns that are pending in one thread",
        f"""global back
        probe {MINE}.function("sum_up_to").return {{ back++ }}""",
        program="program",
        trigger="nest 63 nest 80 nest 3",
        values={"back": 64 + 64 + 4},
    ),
    Case(
        "a file that has changed",
        f"""global n
        probe process("/tmp/cases/changed").function("main")? {{ n++ }}
        probe {MINE}.function("main") {{ n++ }}""",
        program="program",
        trigger="call 1",
        output=None,
        values={"n": 1},
    ),
]


STORM = f"""
global n
probe {MINE}.function("twice_*") {{ n[probefunc()]++ }}
probe {MINE}.function("twice_of").return {{ n["return"]++ }}
probe {MINE}.mark("busy") {{ n["mark"]++ }}
probe {MINE}.begin {{ n["begin"]++ }}
probe {MINE}.end {{ n["end"]++ }}
probe {MINE}.thread.begin {{ n["thread"]++ }}
probe {MINE}.thread.end {{ n["thread"]-- }}
probe {MINE}.syscall {{ n["syscall"]++ }}
probe process.syscall.return {{ n["return"]++ }}
"""
ALONE = ("-O1", "-fPIC", "-nostdlib", "-nostartfiles")


def gcc(to: Path, source: str, *options: str | Path) -> None:
    """Build one of this folder's programs."""
    subprocess.run(["gcc", HERE / source, "-o", to, *options], check=True, timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cases")


@pytest.fixture(scope="module")
def results(guest: Guest, image: Image, trigger: Path, folder: Path) -> dict[str, Any]:
    shutil.copy(trigger, folder / "trigger")
    system = folder / "system"
    there = system / PROGRAM[1:]
    there.parent.mkdir(parents=True)
    here = folder / "program"
    made = there.parent
    gcc(here, "program.c", "-O1", "-static", "-pthread")
    shutil.copy(here, there)
    gcc(folder / "movable", "program.c", "-O1", "-static-pie", "-pthread")
    shutil.copy(folder / "movable", made)
    gcc(folder / "libtriple.so", "library.c", "-DLIBRARY", "-shared", *ALONE)
    for name in ("linked", "other"):
        linked = ("-L", folder, "-ltriple", "-Wl,-rpath,$ORIGIN", *ALONE)
        gcc(folder / name, "library.c", f"-Wl,--defsym,{name}=0", *linked)
    for name in ("libtriple.so", "linked", "other"):
        shutil.copy(folder / name, made)
    gcc(folder / "changed", "program.c", "-O1", "-static", "-pthread", "-DCHANGED")
    gcc(made / "changed", "program.c", "-O2", "-static", "-pthread")
    (system / "usr/bin").mkdir(parents=True)
    shutil.copy(inside(image.rootfs, "/bin/echo"), system / "usr/bin/echo")
    (system / "bin").symlink_to("usr/bin")
    return run_cases(CASES, guest, image, folder, system)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])


def test_returns_beyond_what_the_kernel_keeps_are_counted(results: dict[str, Any]) -> None:
    (counts,) = results["returns that are pending in one thread"]["probes"]
    assert counts[0] == 64 + 64 + 4 and counts[4] == 81 - 64


def test_a_file_that_has_changed_is_told(results: dict[str, Any]) -> None:
    assert "its file is not the one that the script was made for" in str(
        results["a file that has changed"]["transcript"]
    )


def test_a_program_that_has_changed_is_compiled_for_anew(
    image: Image, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/program"
    gcc(program, "program.c", "-O1", "-static", "-pthread")
    case = Case("anew", f'probe process("/bin/*").function("twice_of") {{ println("{tmp_path}") }}')

    def cached() -> bool:
        made = compile_case(case, image, folder, None, tmp_path)
        assert made["ok"], made["errors"]
        return bool(made["cached"])

    assert [cached(), cached()] == [False, True]
    with program.open("ab") as file:
        file.write(b"more")
    assert [cached(), cached()] == [False, True]
    shutil.copy(program, tmp_path / "bin/another")
    assert [cached(), cached()] == [False, True]


def test_modules_come_and_go_in_a_storm(
    results: dict[str, Any],
    folder: Path,
    guest: Guest,
    image: Image,
) -> None:
    assert results  # the programs are in the guest
    made = compile_case(Case("storm", STORM), image, folder, None, folder / "system")
    assert made["ok"], made["errors"]
    module = Path(made["path"])
    guest.push(module, f"/tmp/{module.name}")
    words = [f"/tmp/{module.name}", PROGRAM, "6"]
    found = run_in_guest(guest, "storm.py", words, folder, 600)
    assert found["alive"] == 3
    assert all(all(hits) for hits in found["rounds"]), found["rounds"]
    assert guest.complaints() == []
