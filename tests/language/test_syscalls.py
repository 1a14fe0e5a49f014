# SPDX-License-Identifier: GPL-2.0-or-later
"""Arguments and results of system calls as text, beside strace's.

Each call of the library is made with usual and unusual arguments: a process makes them before strace, and our compiled
handlers read the same registers and memory in user space. Each argument is compared.
`python -m tests.language.test_syscalls [32] [TOPIC...]` prints all differences.
"""

from __future__ import annotations

import errno
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests import PROJECT
from tests.language.strace.calls import (
    ARCH,
    NO_STRACE,
    TABLE_32,
    TAPSET,
    WORLD,
    Call,
    calls,
    decode,
    kernel_source,
    probes,
    probes_32,
    table_32,
    topics,
    topics_32,
)
from tests.language.strace.compare import same, split
from tests.language.userspace import HostedRuntime, Outcome, Script
from tests.language.workbench import run

REGISTERS = WORLD + 0x80
NAMES = PROJECT / "compiler/tapset/x86_64/syscall_names.stp"
NUMBERS_32 = Path("/usr/include/x86_64-linux-gnu/asm/unistd_32.h")

# Reasons, and the arguments that differ for them: the call, and the argument's place or "count".
EXPLAINED = {
    "the order and the brackets are SystemTap's": ("clone count, execve count, execveat count"),
    "strace leaves out arguments that the command, the flags or the mode do not use": (
        "fcntl count, futex count, kcmp count, keyctl count, membarrier count, mknod count, mknodat count, mq_open count, mremap count, prctl count, ptrace count, reboot count, restart_syscall count, syslog count"
    ),
    "shown as a number: its meaning depends on others, or it is a number with parts": (
        "add_key 4, request_key 3, fanotify_mark 3, fcntl 2, futex 5, getsockopt 2, setsockopt 2, io_uring_register 1, ioctl 1, ioprio_set 2, keyctl 0, prctl 0, prctl 1, ptrace 0, ptrace 2, quotactl 0, quotactl_fd 1, personality 0, swapon 1, ustat 0, mknod 1, mknod 2, mknodat 2, mknodat 3, kexec_load 3, mmap 3, remap_file_pages 4, msgget 1, semget 2, shmget 2, memfd_create 1"
    ),
    "a name that newer kernels have and strace 6.1 has not": (
        "fallocate 1, fsmount 2, fcntl 1, landlock_add_rule 1, membarrier 0, move_mount 4, name_to_handle_at 4, pidfd_open 1, preadv2 4, pwritev2 4, statx 3, sched_get_priority_max 0, sched_get_priority_min 0, sched_setscheduler 1"
    ),
    "bits that the kernel's call does not have, or does not have as flags: one of both names them": (
        "open_tree 2, statx 2, dup3 2, pipe2 1, flock 1, fanotify_init 0, fanotify_mark 2, getsockopt 1, setsockopt 1, mbind 2, open_by_handle_at 0, recvfrom 3, recvmmsg 3, recvmsg 2, sendmmsg 3, sendmsg 2, sendto 3"
    ),
    "all names at once are more than the text holds": ("inotify_add_watch 2, mount 3"),
    "what it points to depends on another argument": (
        "fsconfig 2, fsconfig 3, mount 2, mount 4, setsockopt 3, semctl 2, shmctl 1, msgctl 1"
    ),
    "the kernel's parameter has another type than strace shows": (
        "iopl 0, rseq 1, rseq 2, rseq 3, kcmp 3, kcmp 4, msgget 0, semget 0, shmget 0, readlink 2, readlinkat 3, sethostname 1, setdomainname 1, sysfs 0"
    ),
    "strace leaves out the value's last NUL": ("setxattr 2, lsetxattr 2, fsetxattr 2"),
    "more bytes than can be read: the first are shown": ("sethostname 0, setdomainname 0"),
    "protocols are named, as in SystemTap": ("socket 2, socketpair 2"),
}

# The same for 32-bit programs, in addition.
EXPLAINED_32 = {
    "several calls in one: shown by its number, its arguments as they are": (
        "ipc 0, ipc 1, ipc count, socketcall count"
    ),
    "one probe for all forms of a call, whose arguments are those of the 64-bit one": (
        "fstatfs count, statfs count, umount count"
    ),
    "strace cannot read the arguments' memory either, and shows its address": (
        "mmap count, select count"
    ),
    "strace shows where the registers are saved": "sigreturn count",
    "the kernel reads a signed number": "ftruncate 1, truncate 1",
}
# Calls that have no probe in 64-bit programs either, or whose probe this test leaves out.
WITHOUT_PROBE = ("compat_sys_rt_sigreturn", "sys_exit_group")

OTHER_NAME = ("newfstatat", "pread64", "pwrite64", "umount2")
# The kernel answers ENOSYS, or the call is one that only the kernel's own trampoline makes.
NO_CALL = (
    *(
        "_sysctl",
        "afs_syscall",
        "create_module",
        "epoll_ctl_old",
        "epoll_wait_old",
        "get_kernel_syms",
    ),
    *(
        "getpmsg",
        "nfsservctl",
        "putpmsg",
        "query_module",
        "security",
        "tuxcall",
        "uprobe",
        "uretprobe",
    ),
    *("uselib", "vserver"),
)

# The script's globals are not named like anything in the library: a global hides a library's local.
STEP = """
global next_row, next_number
probe begin { next_row = FIRST - 1 }
probe kernel.function("next_call") {
    next_row++
    next_from = &@var("calls") + next_row * 56
    next_number = @cast(next_from, "unsigned long")[0]
    @cast($arg1, "pt_regs")->R1 = @cast(next_from, "unsigned long")[1]
    @cast($arg1, "pt_regs")->R2 = @cast(next_from, "unsigned long")[2]
    @cast($arg1, "pt_regs")->R3 = @cast(next_from, "unsigned long")[3]
    @cast($arg1, "pt_regs")->R4 = @cast(next_from, "unsigned long")[4]
    @cast($arg1, "pt_regs")->R5 = @cast(next_from, "unsigned long")[5]
    @cast($arg1, "pt_regs")->R6 = @cast(next_from, "unsigned long")[6]
}
"""
PRINT = """
probe syscall.NAME { if (next_number == NUMBER && ppfunc() == "FUNCTION") printf("%d %s\\x1e", next_row, argstr) }
"""


def texts(made: Mapping[str, list[Call]], folder: Path) -> list[str]:
    """What our handlers make of each call: the calls of a topic are the rounds of one script."""
    source = folder / "kernel.c"
    source.write_text(kernel_source([call for some in made.values() for call in some]))
    scripts, first = [], 0
    for topic, some in made.items():
        text = STEP.replace("FIRST", str(first))
        is_64 = some[0].probe.compat is None
        registers = ARCH.syscall_arguments if is_64 else ARCH.compat_arguments
        for number, register in enumerate(registers, 1):
            text = text.replace(f"->R{number} ", f"->{register} ")
        for probe in dict.fromkeys(call.probe for call in some):
            one = PRINT.replace("NAME", probe.name).replace("NUMBER", str(probe.number))
            text += one.replace("FUNCTION", probe.function)
        options = {"guru": True, "rounds": len(some), "lanes": 1, "kernel": source}
        scripts.append(Script(topic or "only", text, registers=hex(REGISTERS), **options))  # type: ignore[arg-type]
        first += len(some)
    with HostedRuntime.open(kernel=source) as hosted:
        rows: dict[str, str] = {}
        for outcome in hosted.run(scripts):
            rows |= _rows(outcome)
    return [rows[str(row)] for row in range(first)]


def _rows(outcome: Outcome) -> dict[str, str]:
    assert not outcome.fault, outcome.fault[:2000]
    assert not outcome.diagnostics, outcome.diagnostics[:2000]
    assert not outcome.errors, outcome.errors[:5]
    return dict(row.split(" ", 1) for row in outcome.output.split("\x1e")[:-1])


def differences(made: Mapping[str, list[Call]], folder: Path) -> dict[str, list[tuple[str, ...]]]:
    """By call and argument: (the call, strace's text, ours), for those that do not say the same."""
    every = [call for some in made.values() for call in some]
    found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for call, decoded, ours in zip(every, decode(every, folder), texts(made, folder), strict=True):
        theirs = split(decoded.partition("(")[2][:-1])
        mine = split(ours)
        if len(mine) != len(theirs):
            found[f"{call.probe.name} count"].append((str(call), decoded, ours))
            continue
        for place, (one, other) in enumerate(zip(mine, theirs, strict=True)):
            if not same(one, other):
                found[f"{call.probe.name} {place}"].append((str(call), other, one))
    return found


def explained(reasons: Mapping[str, str] = EXPLAINED) -> Iterator[str]:
    for names in reasons.values():
        yield from names.split(", ")


@pytest.mark.host
@pytest.mark.skipif(NO_STRACE, reason="strace is not installed")
def test_arguments_are_those_that_strace_shows(tmp_path: Path) -> None:
    found = differences({topic: list(calls(probes(topic))) for topic in topics()}, tmp_path)
    for name in explained():
        found.pop(name, None)
    assert not {name: rows[:3] for name, rows in found.items()}


@pytest.mark.host
@pytest.mark.skipif(NO_STRACE or TABLE_32 is None, reason="strace or the kernel's table is missing")
def test_arguments_of_32_bit_programs_are_those_that_strace_shows(tmp_path: Path) -> None:
    made = {topic: list(calls(probes_32(topic))) for topic in topics_32()}
    found = differences(made, tmp_path)
    for name in (*explained(), *explained(EXPLAINED_32)):
        found.pop(name, None)
    assert not {name: rows[:3] for name, rows in found.items()}


def test_every_call_has_a_probe() -> None:
    """The table of names has those of the newest kernel, and those that no kernel has any more."""
    table = NAMES.read_text().partition("names_32[")[0]
    hooked = {
        name
        for file in TAPSET.glob("*.stp")
        for name in re.findall(r"^probe syscall\.(\w+) = ", file.read_text(), re.M)
    }
    assert set(re.findall(r'"(\w+)"', table)) - hooked == set(OTHER_NAME) | set(NO_CALL)


@pytest.mark.host
@pytest.mark.skipif(TABLE_32 is None, reason="the kernel's table is missing")
def test_every_call_of_32_bit_programs_has_a_probe() -> None:
    hooked = {probe.function for topic in topics_32() for probe in probes_32(topic)}
    assert {*table_32()} - hooked == {f"__ia32_{name}" for name in WITHOUT_PROBE}


@pytest.mark.host
@pytest.mark.skipif(not NUMBERS_32.exists(), reason="the kernel's numbers are missing")
def test_names_of_32_bit_programs_calls_are_the_kernel_s() -> None:
    """From 424 on both kinds of programs have the same numbers."""
    text = NAMES.read_text().partition("names_32[424][24] = {")[2].partition("};")[0]
    found: dict[int, str] = {}
    number = 0
    for place, name in re.findall(r'(?:\[(\d+)\] = )?"(\w+)",', text):
        number = int(place) if place else number
        found[number] = name
        number += 1
    rows = re.findall(r"#define __NR_(\w+) (\d+)", NUMBERS_32.read_text())
    wanted = {int(number): name for name, number in rows if int(number) < 424}
    assert wanted.pop(423) == "sched_rr_get_interval_time64"  # too long
    assert found.pop(423) == "sched_rr_get_interval"
    assert found == wanted


def test_results_are_numbers_and_the_names_of_errors() -> None:
    names = {-number: name for number, name in errno.errorcode.items()}
    names |= {-133: "EHWPOISON", -134: "EFTYPE"}  # not known to Python before 3.14
    names |= {-35: "EDEADLK", -95: "EOPNOTSUPP", -512: "ERESTARTSYS", -516: "ERESTART_RESTARTBLOCK"}
    values = [
        *sorted(names),
        0,
        1,
        4096,
        -4095,
        -4096,
        -41,
        -58,
        -135,
        -511,
        -517,
        1 << 62,
        -1 << 63,
    ]
    script = "".join(f"println(__retstr({value}))\n" for value in values)
    wanted = [f"{value} ({names[value]})" if value in names else str(value) for value in values]
    assert run(f"probe begin {{ {script} }}").output.splitlines() == wanted


if __name__ == "__main__":
    of, every = (probes_32, topics_32) if "32" in sys.argv else (probes, topics)
    wanted_topics = [word for word in sys.argv[1:] if word != "32"] or every()
    with TemporaryDirectory() as name:
        shown = differences({topic: list(calls(of(topic))) for topic in wanted_topics}, Path(name))
    known = {*explained(), *(explained(EXPLAINED_32) if of is probes_32 else ())}
    for argument, rows in sorted(shown.items()):
        print(argument, len(rows), "(explained)" if argument in known else "")
        for row in rows[:4]:
            print("   ", *row, sep="\t")
