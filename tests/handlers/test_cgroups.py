# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups, units, containers and namespaces as handlers see them, held against /proc, and against what the agent
makes of the same path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.labels import cgroups
from lab import Guest, Image
from tests.agent.labels.test_cgroups import PATHS
from tests.handlers.cgroups import NAME
from tests.handlers.conftest import Case, compile_case, run_in_guest

CASE = Case(
    "cgroups",
    f"""probe kernel.function("vfs_read") {{ if (execname() != "{NAME}") next
        me = task_current() parent = task_parent(me)
        printf("%d|%s|%s|%s|mnt:[%d]|net:[%d]|%d%d%d%d", cgroup_id(), cgroup_path(), systemd_unit(), container_id(),
            mntns(), netns_inum(), task_cgroup_id(me) == cgroup_id(), cgroup_path(me) == cgroup_path(),
            task_comm(me) == "{NAME}", mntns(parent) == mntns()) }}""",
    defines={"MAXACTION": "10000"},  # four texts of a deep path in one hit
)
DEEP = "/" + "/".join(f"level{n}" for n in range(31))
# The root cgroup takes processes; one with controllers for the cgroups below it does not.
FOLDERS = [p for p in PATHS if p != "/system.slice" and not p.startswith(("/init", "/user.slice"))]


@pytest.fixture(scope="module")
def found(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cgroups")
    (folder / "modules").mkdir()
    response = compile_case(CASE, image, folder / "modules")
    assert response["ok"], response["errors"]
    module = response["module"]
    plan = {
        "module": module,
        "path": f"/tmp/cgroups/modules/{module}.ko",
        "folders": [*FOLDERS, DEEP],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    guest.push(folder, "/tmp/cgroups")
    return run_in_guest(guest, "cgroups.py", ["/tmp/cgroups/plan.json"], folder, 300)


@pytest.mark.parametrize("path", [*FOLDERS, DEEP], ids=str)
def test_a_process_in_a_cgroup(path: str, found: dict[str, Any]) -> None:
    seen, line = found[path]
    assert seen["path"] == path
    own_namespaces = path == FOLDERS[1]
    unit, container = cgroups.unit(path), cgroups.container_id(path)
    fields = [seen["id"], path, unit, container, seen["mnt"], seen["net"]]
    assert line == "|".join(map(str, [*fields, "1110" if own_namespaces else "1111"]))
