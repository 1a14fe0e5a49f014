# SPDX-License-Identifier: GPL-2.0-or-later
"""A hit in a real kernel executes at most 100 instructions for each of its actions, whatever it does.

The guest's clock counts instructions. Each script repeats one kind of work until its hit has no action left.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from compiler.codegen.costs import INSTRUCTIONS
from compiler.ir.options import Limits
from lab import Guest, Image, install_app
from tests import PROJECT
from tests.handlers.conftest import Case, compile_case, run_in_guest
from tests.handlers.test_language import MINE
from tests.lab_fixtures import skip_old_python
from tests.language.work import KINDS, Kind

TARGET = "/usr/bin/python3"  # runs charges.py, which is what is measured
LIMIT = Limits().MAXACTION * INSTRUCTIONS
_ARGUMENTS = '@cast(task_current(), "task_struct")->mm->arg_start'

# What only a kernel has.
KERNEL = (
    Kind("print_backtrace", "print_backtrace()"),
    Kind("sprint_backtrace", "s = sprint_backtrace()", "s", room=2048),
    Kind("backtrace", "s = backtrace()", "s"),
    Kind("stack", "n += stack(3)", "n"),
    Kind("print_ubacktrace", "print_ubacktrace()"),
    Kind("ustack", "n += ustack(3)", "n"),
    Kind("print_ubacktrace by tables", "print_ubacktrace()"),
    Kind("ustack by tables", "n += ustack(3)", "n"),
    Kind("symbols", "s = symname(addr()) . symdata(addr()) . modname(addr())", "s"),
    Kind("files of addresses", "s = usymdata(uaddr())", "s"),
    Kind("user_string", f"s = user_string({_ARGUMENTS})", "s"),
    Kind("user_string of a long one", f"s = user_string({_ARGUMENTS})", "s", room=65536),
    Kind("user_string_quoted", f"s = user_string_quoted({_ARGUMENTS})", "s"),
    Kind("user_buffer_quoted", f"s = user_buffer_quoted({_ARGUMENTS}, 4000)", "s", room=65536),
    Kind("user_string_utf16", f's = user_string_utf16({_ARGUMENTS}, "bad")', "s"),
    Kind("user memory", f'printf("%#.200m %#.200M\\n", {_ARGUMENTS}, {_ARGUMENTS})'),
    Kind("user memory as text", f's = sprintf("%#.200M", {_ARGUMENTS})', "s", room=4096),
    Kind("numbers of a process", f"n += user_long({_ARGUMENTS})", "n"),
    Kind("kernel_string", 's = kernel_string(&@cast(task_current(), "task_struct")->comm)', "s"),
    Kind("kernel_buffer_quoted", "s = kernel_buffer_quoted(task_current(), 500, 0)", "s"),
    Kind("kernel memory", 'printf("%.900m\\n", task_current())'),
    Kind("a chain of pointers", 'n += @cast(task_current(), "task_struct")->mm->owner->mm->owner->pid', "n"),
    Kind("task_ancestry", "s = task_ancestry(task_current(), 1)", "s"),
    Kind("pstrace", "s = pstrace(task_current())", "s"),
    Kind("cmdline_str", "s = cmdline_str()", "s"),
    Kind("env_var", 's = env_var("NOT_THERE")', "s"),
    Kind("paths", "s = fullpath_struct_file(task_current(), $file)", "s"),
    Kind("cgroups", "s = cgroup_path() . systemd_unit() . container_id()", "s"),
    Kind("open files", "n += task_open_file_handles(task_current())", "n"),
    Kind("tasks", "n += pid2task(pid()) + ppid() + pgrp() + sid() + ns_pid() + uid()", "n"),
    Kind("names of a task", 's = execname() . pid2execname(1)', "s"),
    Kind("flags", "s = _sys_open_flag_str(-1)", "s"),
    Kind("signals", "s = sigset_mask_str(-1)", "s"),
    Kind("dates", "s = tz_ctime(gettimeofday_s())", "s"),
    Kind("addresses", "s = ip_ntop(n++) . format_ipaddr(task_current(), 10)", "n, s"),
    Kind("registers", 'n += register("rax") + long_arg(2)', "n"),
    Kind("clocks", "n += gettimeofday_ns() + get_cycles() + jiffies()", "n"),
)  # fmt: skip

_TABLE = "for (i = 0; i < 1900; i++) a[i] = i * 37 % 1009"
FINDINGS = {
    "a table sorted 190 times": Case(
        "findings-sorted",
        f'global a, n probe begin {{ {_TABLE} }} probe kernel.function("vfs_read") {{ {MINE}'
        "for (i = 0; i < 190; i++) foreach (k in a+) n += k }",
        errors=("MAXACTION exceeded",),
    ),
    "a table sorted for its first elements": Case(
        "findings-first",
        f'global a, n probe begin {{ {_TABLE} }} probe kernel.function("vfs_read") {{ {MINE}'
        "for (i = 0; i < 190; i++) foreach (k in a+ limit 3) n += k }",
        errors=("MAXACTION exceeded, sorting 1900 elements",),
    ),
    "a table of tables deleted": Case(
        "findings-deleted",
        f'global a probe begin {{ {_TABLE} }} probe kernel.function("vfs_read") {{ {MINE}'
        "while (1) { delete a; a[1] = 1; a[2] = 2 } }",
        errors=("MAXACTION exceeded",),
    ),
}
MOST_MS = 3
LATE = Case(
    "late",
    f'global n probe kernel.function("vfs_read") {{ {MINE} while (1) n++ }}',
    defines={"MAXACTION": "1000000000", "MAXTIME": str(MOST_MS)},
)


def case_of(number: int, kind: Kind) -> Case:
    limits = {"MAXSTRINGLEN": str(kind.room), "MAXACTION_INTERRUPTIBLE": "10000000"}
    text = kind.script('kernel.function("vfs_read")', MINE)
    target = TARGET if kind.name.endswith("by tables") else ""
    return Case(f"kind-{number}", text, defines=limits, symbols=False, target=target)


CASES = [case_of(number, kind) for number, kind in enumerate((*KINDS, *KERNEL))]


@pytest.fixture(scope="module")
def counting_guest(image: Image) -> Iterator[Guest]:
    """A guest with one CPU whose clock counts instructions."""
    skip_old_python(image)
    with Guest.boot(image, icount=True) as started:
        install_app.install(started, PROJECT)
        yield started
        assert started.complaints() == []


@pytest.fixture(scope="module")
def costs(
    counting_guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("charges")
    (folder / "modules").mkdir()
    every = [*CASES, *FINDINGS.values(), LATE]
    with ThreadPoolExecutor(2) as pool:
        responses = list(pool.map(lambda c: compile_case(c, image, folder / "modules"), every))
    plan = []
    for case, response in zip(every, responses, strict=True):
        assert response["ok"], (case.script, [e["text"] for e in response["errors"]])
        path = f"/tmp/charges/modules/{response['module']}.ko"
        plan.append({"name": case.name, "module": response["module"], "path": path})
    (folder / "plan.json").write_text(json.dumps(plan))
    source = PROJECT / "tests/bench/guest/loop.c"
    subprocess.run(
        ["gcc", "-O2", "-shared", "-fPIC", "-pthread", "-o", folder / "loop.so", source], check=True
    )
    counting_guest.push(folder, "/tmp/charges")
    arguments = ["/tmp/charges/loop.so", "/tmp/charges/plan.json"]
    return run_in_guest(counting_guest, "charges.py", arguments, folder, 1200)


def test_each_kind_of_work_is_paid_for(costs: dict[str, Any]) -> None:
    told = []
    for case, kind in zip(CASES, (*KINDS, *KERNEL), strict=True):
        found = costs[case.name]
        took = found["instructions"]
        print(f"{kind.name}: {took / Limits().MAXACTION:.1f} instructions an action")
        if took > LIMIT:
            told.append(f"{kind.name}: {took} instructions")
        if not any("MAXACTION exceeded" in error for error in found["errors"]):
            told.append(f"{kind.name}: {found['errors']}, after {took} instructions")
    assert told == []


@pytest.mark.parametrize("name", FINDINGS)
def test_a_hit_ends(name: str, costs: dict[str, Any]) -> None:
    found = costs[FINDINGS[name].name]
    (error,) = found["errors"]
    (wanted,) = FINDINGS[name].errors
    assert error.startswith(wanted)
    assert found["instructions"] <= LIMIT


def test_time_ends_a_hit_that_has_actions_left(costs: dict[str, Any]) -> None:
    found = costs[LATE.name]
    (error,) = found["errors"]
    assert error.startswith(f"MAXTIME exceeded: the hit has taken {MOST_MS} ms, -D MAXTIME=ms")
    assert MOST_MS * 1_000_000 <= found["instructions"] < 2 * MOST_MS * 1_000_000
