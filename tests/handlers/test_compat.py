# SPDX-License-Identifier: GPL-2.0-or-later
"""System calls of a 32-bit program in a real kernel: which they are, and their arguments and results as text.

What the program calls is known from calls_32.c. strace shows the same.
"""

from __future__ import annotations

import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir import syntax
from compiler.kernel import btf_types
from compiler.kernel.kernel import Kernel
from compiler.probes import Environment, ProbePointError
from compiler.probes.kernel_point import resolve
from lab import Guest, Image
from tests.handlers.conftest import HERE, Case, check, run_cases
from tests.language.strace.calls import library_calls, table_32

CONDITIONS = Conditions("6.1", "x86_64")
# functions that the kernel has and that no number leads to
UNUSED = ("compat_sys_recv", "sys_accept", "sys_kexec_file_load", "sys_semop", "sys_send")

# name, arguments, result; an address is AT, the process's id is PID, an open file is FD
CALLS = """\
getpid() = PID
getpid() = PID
getpid() = PID
open("/etc/passwd", O_RDONLY) = FD
read(FD, AT, 7) = 7
pread(FD, AT, 5, 4294967298) = 0
llseek(FD, 4294967298, AT, SEEK_SET) = 0
lseek(FD, -3, SEEK_END) = SIZE
ftruncate(-1, 4294967301) = -9 (EBADF)
fallocate(-1, FALLOC_FL_KEEP_SIZE, 4294967298, 4294967299) = -9 (EBADF)
sync_file_range(-1, 8589934593, 17179869187, SYNC_FILE_RANGE_WAIT_BEFORE|SYNC_FILE_RANGE_WRITE|SYNC_FILE_RANGE_WAIT_AFTER) = -9 (EBADF)
mmap(0x0, 4096, PROT_READ, MAP_PRIVATE, FD, 0) = AT
munmap(AT, 4096) = 0
mmap(0x0, 4096, PROT_READ, MAP_PRIVATE, -1, 12288) = -9 (EBADF)
stat("/etc/passwd", AT) = 0
openat(AT_FDCWD, "/no/such/file", O_RDONLY|O_CLOEXEC) = -2 (ENOENT)
nanosleep({0.000000250}, 0x0) = 0
clock_nanosleep(CLOCK_MONOTONIC, 0x0, {0.000000750}, 0x0) = 0
chown("/no/such/file", -1, 65534) = -2 (ENOENT)
kill(PID, 0) = 0
close(FD) = 0
"""
NAMES = {
    "getpid": 3, "open": 1, "read": 1, "pread64": 1, "_llseek": 1, "lseek": 1, "ftruncate64": 1,
    "fallocate": 1, "sync_file_range": 1, "mmap2": 2, "munmap": 1, "stat64": 1, "openat": 1,
    "nanosleep": 1, "clock_nanosleep_time64": 1, "chown": 1, "kill": 1, "close": 1, "exit_group": 1,
}  # fmt: skip
PROBED = (
    "getpid,open,read,pread,llseek,lseek,ftruncate,fallocate,sync_file_range,mmap,munmap,stat,openat,"
    "nanosleep,clock_nanosleep,chown,kill,close"
)
MINE = 'execname() == "calls_32"'
CASES = [
    Case(
        "texts",
        f"""probe syscall.{{{PROBED}}} {{ if ({MINE}) printf("%s(%s)", name, argstr) }}
        probe syscall.{{{PROBED}}}.return {{ if ({MINE}) printf(" = %s\\n", retstr) }}""",
        program="calls_32",
        trigger=".",
        output=None,
    ),
    Case(
        "names",
        f"""global any, of_process, numbers, left
        probe syscall_any {{ if ({MINE}) any[name]++ }}
        probe syscall_any.return {{ if ({MINE}) left[name]++ }}
        probe process.syscall {{ if ({MINE}) of_process[syscall_name($syscall)]++ }}
        probe kernel.trace("sys_enter") {{ if ({MINE}) numbers[syscall_name($id)]++ }}""",
        program="calls_32",
        trigger=".",
        # its execve() returns in a 32-bit program, with a number of 64-bit ones
        values={
            "any": NAMES,
            "of_process": NAMES,
            "numbers": NAMES,
            "left": {n: c for n, c in NAMES.items() if n != "exit_group"} | {"execve": 1},
        },
    ),
    Case(
        "arguments of a process's calls",
        f"""global n
        probe process.syscall {{ if ({MINE} && $syscall == 91) n[$arg2, $arg3, $arg1 < 1 << 32]++ }}
        probe process.syscall {{ if ({MINE} && $syscall == 19) n[$arg2, $arg3, $arg6]++ }}""",
        program="calls_32",
        trigger=".",
        values={"n": {(4096, 0, 1): 1, (0xFFFFFFFD, 2, 0): 1}},
    ),
    Case(
        "every call is seen once",
        f"""global seen, entered
        probe syscall.* {{ if ({MINE}) seen++ }}
        probe kernel.trace("sys_enter") {{ if ({MINE}) entered++ }}""",
        program="calls_32",
        trigger=".",
        values={"seen": sum(NAMES.values()), "entered": sum(NAMES.values())},
    ),
    Case(
        "64-bit programs' calls keep their names",
        """global n, called
        probe syscall.{read,mmap,getppid} { if (pid() == target() && execname() == "trigger") n[name, $sys_word]++ }
        probe syscall_any { if (pid() == target() && name =~ "^(read|getppid)$") called[name]++ }""",
        program="trigger",
        trigger="read 20 getppid 3",
        values={
            "n": {("read", 8): 20, ("getppid", 8): 3},
            "called": {"read": 20, "getppid": 3},
        },
    ),
]


@pytest.fixture(scope="module")
def results(
    guest: Guest, image: Image, trigger: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cases")
    (folder / "trigger").write_bytes(trigger.read_bytes())
    (folder / "trigger").chmod(0o755)
    options = ("-m32", "-O1", "-nostdlib", "-static", "-ffreestanding", "-fno-pic")
    made = folder / "calls_32"
    subprocess.run(["gcc", *options, "-o", made, HERE / "calls_32.c"], check=True)
    return run_cases(CASES, guest, image, folder)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])


def test_functions_that_are_hooked_are_those_of_the_kernel_s_table(image: Image) -> None:
    """Calls without arguments have one function for both kinds of programs."""
    (table,) = image.rootfs.glob(
        "usr/src/linux-headers-*/arch/x86/include/generated/asm/syscalls_32.h"
    )
    kernel = Kernel.from_root(image.rootfs, image.release)
    listed = {*table_32(table)}
    typed = {f for f in listed if kernel.btf.find_all(btf_types.Function, f)}
    environment = Environment(kernel)
    hooked: list[str] = []
    for name in library_calls():
        point = parse(f'probe kernel.syscall("{name}") {{}}', "x", conditions=CONDITIONS)
        (probe,) = point.items
        assert isinstance(probe, syntax.Probe)
        with suppress(ProbePointError):
            sites = resolve(probe.points[0].components, environment)
            hooked += [s.hook.symbol for s in sites if not s.hook.symbol.startswith("__x64_")]
    assert len(hooked) == len({*hooked})
    assert {*hooked} - listed == {f"__ia32_{name}" for name in UNUSED}
    assert len(typed - {*hooked}) < 40  # calls without a probe, of 64-bit programs either


def test_texts(results: dict[str, Any]) -> None:
    output = results["texts"]["output"]
    pid = re.search(r"getpid\(\) = (\d+)", output)
    file = re.search(r"O_RDONLY\) = (\d+)", output)
    assert pid and file, output
    output = re.sub(rf"\b{pid[1]}\b", "PID", output)
    output = re.sub(
        rf"(?<=\(){file[1]}\b|(?<=PRIVATE, ){file[1]}\b|(?<=O_RDONLY\) = ){file[1]}\b", "FD", output
    )
    output = re.sub(r"(?<=SEEK_END\) = )\d+", "SIZE", output)
    assert re.sub(r"0x[0-9a-f]{6,}", "AT", output) == CALLS
