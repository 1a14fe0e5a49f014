# SPDX-License-Identifier: GPL-2.0-or-later
"""Arguments and results of system calls as text, beside strace's.

Each call of the library is made with usual and unusual arguments: a process makes them before strace, and our compiled
handlers read the same registers and memory in user space. Each argument is compared.
`python -m tests.language.test_syscalls [TOPIC...]` prints all differences.
"""

from __future__ import annotations

import errno
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.language.strace.calls import (
    NO_STRACE,
    WORLD,
    Call,
    calls,
    decode,
    kernel_source,
    probes,
    topics,
)
from tests.language.strace.compare import same, split
from tests.language.userspace import HostedRuntime, Outcome, Script
from tests.language.workbench import run

REGISTERS = WORLD + 0x80

# Reasons, and the arguments that differ for them: the call, and the argument's place or "count".
EXPLAINED = {
    "the order and the brackets are SystemTap's": ("clone count, execve count, execveat count"),
    "strace leaves out arguments that the command, the flags or the mode do not use": (
        "fcntl count, futex count, kcmp count, keyctl count, membarrier count, mknod count, mknodat count, mq_open count, mremap count, prctl count, ptrace count, reboot count, restart_syscall count, syslog count"
    ),
    "shown as a number: its meaning depends on others, or it is a number with parts": (
        "add_key 4, request_key 3, fanotify_mark 3, fcntl 2, futex 5, getsockopt 2, setsockopt 2, io_uring_register 1, ioctl 1, ioprio_set 2, keyctl 0, prctl 0, prctl 1, ptrace 0, ptrace 2, quotactl 0, personality 0, swapon 1, ustat 0, mknod 1, mknod 2, mknodat 2, mknodat 3, kexec_load 3, mmap 3, remap_file_pages 4, msgget 1, semget 2, shmget 2, memfd_create 1"
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
        "iopl 0, kcmp 3, kcmp 4, msgget 0, semget 0, shmget 0, readlink 2, readlinkat 3, sethostname 1, setdomainname 1, sysfs 0"
    ),
    "strace leaves out the value's last NUL": ("setxattr 2, lsetxattr 2, fsetxattr 2"),
    "more bytes than can be read: the first are shown": ("sethostname 0, setdomainname 0"),
    "protocols are named, as in SystemTap": ("socket 2, socketpair 2"),
}

# The script's globals are not named like anything in the library: a global hides a library's local.
STEP = """
global next_row, next_number
probe begin { next_row = FIRST - 1 }
probe kernel.function("next_call") {
    next_row++
    next_from = &@var("calls") + next_row * 56
    next_number = @cast(next_from, "unsigned long")[0]
    @cast($arg1, "pt_regs")->di = @cast(next_from, "unsigned long")[1]
    @cast($arg1, "pt_regs")->si = @cast(next_from, "unsigned long")[2]
    @cast($arg1, "pt_regs")->dx = @cast(next_from, "unsigned long")[3]
    @cast($arg1, "pt_regs")->r10 = @cast(next_from, "unsigned long")[4]
    @cast($arg1, "pt_regs")->r8 = @cast(next_from, "unsigned long")[5]
    @cast($arg1, "pt_regs")->r9 = @cast(next_from, "unsigned long")[6]
}
"""
PRINT = """
probe syscall.NAME { if (next_number == NUMBER) printf("%d %s\\x1e", next_row, argstr) }
"""


def texts(made: Mapping[str, list[Call]], folder: Path) -> list[str]:
    """What our handlers make of each call: the calls of a topic are the rounds of one script."""
    source = folder / "kernel.c"
    source.write_text(kernel_source([call for some in made.values() for call in some]))
    scripts, first = [], 0
    for topic, some in made.items():
        text = STEP.replace("FIRST", str(first))
        for probe in probes(topic):
            text += PRINT.replace("NAME", probe.name).replace("NUMBER", str(probe.number))
        options = {"guru": True, "rounds": len(some), "lanes": 1, "kernel": source}
        scripts.append(Script(topic, text, registers=hex(REGISTERS), **options))  # type: ignore[arg-type]
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


def explained() -> Iterator[str]:
    for names in EXPLAINED.values():
        yield from names.split(", ")


@pytest.mark.host
@pytest.mark.skipif(NO_STRACE, reason="strace is not installed")
def test_arguments_are_those_that_strace_shows(tmp_path: Path) -> None:
    found = differences({topic: list(calls(topic)) for topic in topics()}, tmp_path)
    for name in explained():
        found.pop(name, None)
    assert not {name: rows[:3] for name, rows in found.items()}


def test_results_are_numbers_and_the_names_of_errors() -> None:
    names = {-number: name for number, name in errno.errorcode.items()}
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
        -133,
        -511,
        -517,
        1 << 62,
        -1 << 63,
    ]
    script = "".join(f"println(__retstr({value}))\n" for value in values)
    wanted = [f"{value} ({names[value]})" if value in names else str(value) for value in values]
    assert run(f"probe begin {{ {script} }}").output.splitlines() == wanted


if __name__ == "__main__":
    wanted_topics = sys.argv[1:] or topics()
    with TemporaryDirectory() as name:
        shown = differences({topic: list(calls(topic)) for topic in wanted_topics}, Path(name))
    known = set(explained())
    for argument, rows in sorted(shown.items()):
        print(argument, len(rows), "(explained)" if argument in known else "")
        for row in rows[:4]:
            print("   ", *row, sep="\t")
