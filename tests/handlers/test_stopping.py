# SPDX-License-Identifier: GPL-2.0-or-later
"""A stop waits for the kernel as often for many hooks as for a few, a start of many functions takes no longer than
the kernel needs, and can be killed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import Guest, Image
from runtime.abi.structs import State
from tests.handlers.conftest import Case, compile_case, run_in_guest

TRACEPOINTS = [
    "sched_switch",
    "sched_wakeup",
    "sched_waking",
    "sched_process_exec",
    "sched_process_exit",
    "sched_process_fork",
    "sched_process_wait",
    "sched_migrate_task",
    "sys_enter",
    "sys_exit",
    "signal_generate",
    "signal_deliver",
    "timer_start",
    "timer_cancel",
    "irq_handler_entry",
]
RETURNS = [
    "vfs_read",
    "vfs_write",
    "vfs_open",
    "vfs_getattr",
    "vfs_statx",
    "vfs_fsync",
    "vfs_unlink",
    "vfs_rmdir",
    "vfs_mkdir",
    "vfs_rename",
    "vfs_link",
    "vfs_symlink",
    "vfs_mknod",
    "vfs_create",
    "vfs_readlink",
]


def script(tracepoints: list[str], returns: list[str], functions: list[str]) -> str:
    """Each probe has a handler of its own, and so a hook of its own."""
    points = [f'kernel.trace("{name}")' for name in tracepoints]
    points += [f'kernel.function("{name}").return' for name in returns]
    points += [f'kernel.function("{name}")' for name in functions]
    return "global n " + " ".join(f"probe {p} {{ n[{i}]++ }}" for i, p in enumerate(points))


SCRIPTS = {
    "few": script(TRACEPOINTS[:2], RETURNS[:2], []),
    "many": script(TRACEPOINTS, RETURNS, []),
    "few functions": script([], [], RETURNS[:2]),
    "many functions": script([], [], RETURNS),
}
STARTED = 'global n probe module("loop").function("*") { n++ }'
KILLED = {
    "names": 'global n probe module("loop").function("*") { n++ }',
    "returns": 'global n probe kernel.function("vfs_*").return { n++ }',
}


@pytest.fixture(scope="module")
def result(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stopping")

    def made(name: str, text: str) -> str:
        response = compile_case(Case(name, text), image, folder)
        assert response["ok"], response["errors"]
        return f"/tmp/stopping/{response['module']}.ko"

    plan: dict[str, Any] = {"stopped": {name: made(name, text) for name, text in SCRIPTS.items()}}
    plan["started"] = made("started", STARTED)
    plan["killed"] = {name: made(name, text) for name, text in KILLED.items()}
    (folder / "plan.json").write_text(json.dumps(plan))
    guest.push(folder, "/tmp/stopping")
    return run_in_guest(guest, "stopping.py", ["/tmp/stopping/plan.json"], folder, 600)


def test_the_waits_of_a_stop_do_not_grow_with_its_hooks(result: dict[str, Any]) -> None:
    waits = result["waits"]
    assert waits["many"] == waits["few"], result["seconds"]
    assert waits["many functions"] == waits["few functions"], result["seconds"]
    assert sum(waits["few functions"].values()) >= 2


def test_ftrace_keeps_nothing_of_what_has_gone(result: dict[str, Any]) -> None:
    assert result["trampolines"] == 0


def test_the_functions_of_a_module_are_not_looked_up_one_by_one(result: dict[str, Any]) -> None:
    """ftrace takes a quarter of a second for each name, by the guest's clock."""
    assert result["started"] < 3


@pytest.mark.parametrize("name", KILLED)
def test_a_start_can_be_killed(name: str, result: dict[str, Any]) -> None:
    killed = result["killed"][name]
    assert killed == {"state": State.STOPPED, "failed": True, "armed": 0}
