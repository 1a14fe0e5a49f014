# SPDX-License-Identifier: GPL-2.0-or-later
"""Tracepoints of real kernels."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.kernel.c_types import declaration
from compiler.kernel.errors import NoSuchTracepoint
from compiler.kernel.kernel import Kernel
from compiler.kernel.tracepoints import Tracepoints, systems_from_tracefs


def test_arguments_have_names_and_types(kernel: Kernel) -> None:
    found = kernel.tracepoints.find("sched_switch")
    written = [declaration(kernel.btf, param.type_id, param.name) for param in found.params]
    assert written[:3] == ["bool preempt", "struct task_struct *prev", "struct task_struct *next"]


def test_every_tracepoint_of_a_kernel(kernel: Kernel) -> None:
    names = kernel.tracepoints.names()
    assert len(names) > 500
    unnamed = 0
    for name in names:
        for index, param in enumerate(kernel.tracepoints.find(name).params, start=1):
            assert declaration(kernel.btf, param.type_id, param.name)
            unnamed += param.name == f"arg{index}"
    assert unnamed < 5


def test_systems_come_from_the_headers(debian: Kernel) -> None:
    points = debian.tracepoints
    assert points.find("sched:sched_switch").system == "sched"
    assert points.find("block:block_rq_issue").system == "block"
    assert points.find("raw_syscalls:sys_enter").params[1].name == "id"
    assert points.find("*:sched_switch") == points.find("sched_switch")
    some = points.names("sched:*_switch")
    assert some == ["sched_switch"]
    assert len(points.names("sched:*")) > 15
    assert set(points.names("s*:*")) > set(points.names("sched:*"))
    with pytest.raises(NoSuchTracepoint, match="not in system 'irq': write 'sched:sched_switch'"):
        points.find("irq:sched_switch")


def test_a_missing_tracepoint_brings_near_misses(kernel: Kernel) -> None:
    with pytest.raises(NoSuchTracepoint, match=r"'sched_swich'.*did you mean 'sched_switch'"):
        kernel.tracepoints.find("sched:sched_swich")
    with pytest.raises(NoSuchTracepoint, match="write 'name' or 'system:name'"):
        kernel.tracepoints.find("a b:sched_switch")


def test_systems_come_from_tracefs(debian: Kernel, tmp_path: Path) -> None:
    (tmp_path / "events" / "plan" / "sched_switch").mkdir(parents=True)
    (tmp_path / "events" / "enable").touch()
    systems = systems_from_tracefs(tmp_path)
    assert systems == {"sched_switch": "plan"}
    assert Tracepoints(debian.btf, systems).find("plan:sched_switch").system == "plan"
    assert systems_from_tracefs(tmp_path / "none") == {}


def test_a_modules_tracepoints(debian: Kernel) -> None:
    points = Tracepoints(debian.module_btf("xfs"))
    assert points.find("xfs_file_buffered_read").params[0].name == "iocb"
    assert "sched_switch" in points.names()
