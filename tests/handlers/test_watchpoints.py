# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.data in a real kernel: the processor reports each read and write of a variable once.

No two watchpoints have the same address: the lab's emulator reports only the first of them. In it, Linux 5.10 gets
each access of its own twice from a watchpoint of reads and writes; perf's own counters show the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import Case, check

MINE = "if (pid() != target()) next\n"
# variables that only their files in /proc/sys read or write in normal operation
ONE, TWO = "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_warn"
VALUE = 'kernel_int(&@var("panic_timeout"))'
ADDRESS = "0xPANIC_TIMEOUT"  # replaced by the address in the guest
TWICE = ("reads, too", "some bytes")

CASES = [
    Case(
        "writes",
        f'global n; probe kernel.data("panic_timeout").write {{ {MINE} n[{VALUE}]++ }}',
        trigger=f"set {ONE} 30 7 set {ONE} - 5 set {ONE} 0 4",
        values={"n": {30: 7, 0: 4}},
    ),
    Case(
        "reads, too",
        f'global n; probe kernel.data("panic_timeout").rw {{ {MINE} n++ }}',
        trigger=f"set {ONE} 30 3 set {ONE} - 5 set {ONE} 0 1",
        values={"n": 9},
    ),
    Case(
        "an address",
        f"global n; probe kernel.data({ADDRESS}).write {{ {MINE} n++ }}",
        trigger=f"set {ONE} 0 6",
        values={"n": 6},
    ),
    Case(
        "some bytes",
        f"global n; probe kernel.data({ADDRESS}).length(3).rw {{ {MINE} n++ }}",
        trigger=f"set {ONE} 0 6",
        values={"n": 6},
    ),
    Case(
        "several variables",
        f"""global n
        probe kernel.data("panic_timeout").write {{ {MINE} n["one"]++ }}
        probe kernel.data("panic_on_warn").write {{ {MINE} n["two"]++ }}""",
        trigger=f"set {ONE} 0 6 set {TWO} 0 5",
        values={"n": {"one": 6, "two": 5}},
    ),
    Case(
        "context",
        f"""global seen
        probe kernel.data("panic_timeout").write {{ {MINE} if (seen++) next
            println(pp(), " ", execname(), " ", registers_valid(), user_mode())
            println(symname(addr()) =~ "proc_.*int", isinstr(sprint_backtrace(), "vfs_write"))
            println(symname(stack(0)) == symname(addr())) }}""",
        trigger=f"set {ONE} 0 2",
        output='kernel.data("panic_timeout").write trigger 10\n11\n1\n',
    ),
    Case(
        "a hit inside a handler is skipped and counted",
        f"""global n
        probe kernel.function("ksys_read") {{ {MINE} n["reads"]++
            set_kernel_int(&@var("panic_timeout"), {VALUE}) }}
        probe kernel.data("panic_timeout").write {{ {MINE} n["inner"]++ }}""",
        trigger=f"read 8 set {ONE} 0 3",
        guru=True,
        values={"n": {"reads": 8, "inner": 3}},
    ),
    Case(
        "a condition takes the watchpoint out",
        f"""global on = 1, n
        probe kernel.data("panic_timeout").write if (on) {{ {MINE} n++; if (n == 3) on = 0 }}""",
        trigger=f"set {ONE} 0 9",
        values={"n": 3},
    ),
    Case(
        "four at most",
        f"""global n
        probe kernel.data("panic_timeout").write ?, kernel.data("panic_on_oops").write ?,
            kernel.data("panic_on_warn").write ?, kernel.data("vm_swappiness").write ?,
            kernel.data("panic_timeout").rw ? {{ {MINE} n[pp()]++ }}""",
        trigger=f"set {ONE} 0 2 set {TWO} 0 3 set /proc/sys/kernel/panic_on_oops 0 4 set /proc/sys/vm/swappiness 60 5",
        values={
            "n": {
                f'kernel.data("{name}").write': count
                for name, count in {
                    "panic_timeout": 2,
                    "panic_on_warn": 3,
                    "panic_on_oops": 4,
                    "vm_swappiness": 5,
                }.items()
            }
        },
    ),
    Case(
        "what cannot be watched",
        """probe kernel.data("no_such_variable").write ?, kernel.data(0x1000).rw ?,
            kernel.data(0xffffffff81000001).length(8).rw ? { println("no") } probe end { println("end") }""",
        symbols=False,
        output="end\n",
    ),
]


@pytest.fixture(scope="module")
def cases(guest: Guest) -> list[Case]:
    """CASES with the addresses of the watched variables in the guest's kernel."""
    found = guest.run("grep ' panic_timeout$' /proc/kallsyms").check().stdout.split()
    return [replace(case, script=case.script.replace(ADDRESS, f"0x{found[0]}")) for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, image: Image, results: dict[str, Any]) -> None:
    if case.name in TWICE and image.release.startswith("5.10."):
        case = replace(case, values={name: 2 * count for name, count in case.values.items()})
    check(case, results[case.name])


def test_skips_are_counted(results: dict[str, Any]) -> None:
    counts = results["a hit inside a handler is skipped and counted"]["probes"]
    assert [skipped for _, skipped, *_ in counts] == [0, 8]


def test_refusals_are_told_with_a_reason(results: dict[str, Any]) -> None:
    assert results["four at most"]["transcript"] == (
        "WARNING: cannot probe panic_timeout: error -28, the processor has no watchpoint left\n"
    )
    assert results["what cannot be watched"]["transcript"] == (
        "WARNING: cannot probe no_such_variable: error -2, the kernel has no such variable\n"
        "WARNING: cannot probe 0x1000: error -14, this is no address of the kernel\n"
        "WARNING: cannot probe 0xffffffff81000001: error -22, the processor cannot watch this place\n"
        "end\n"
    )
