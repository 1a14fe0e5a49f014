# SPDX-License-Identifier: GPL-2.0-or-later
"""Cgroups' paths by their ids, in a real tree of folders, and what the paths of systemd and of containers say."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.labels import cgroups
from agent.labels.cgroups import Cgroups

ID = "0123456789abcdef" * 4
UID = "3b6b2f4c-1111-2222-3333-444455556666"
POD = (
    f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice"
)
# path -> unit, slice, container, pod
PATHS = {
    "/": ("", "-.slice", "", ""),
    "/init.scope": ("init.scope", "-.slice", "", ""),
    "/system.slice/ssh.service": ("ssh.service", "system.slice", "", ""),
    "/system.slice/system-getty.slice/getty@tty1.service": (
        "getty@tty1.service",
        "system-getty.slice",
        "",
        "",
    ),
    "/system.slice/demo.service/worker": ("demo.service", "system.slice", "", ""),
    "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service": (
        "user@1000.service",
        "user-1000.slice",
        "",
        "",
    ),
    "/user.slice/user-1000.slice/session-3.scope": ("session-3.scope", "user-1000.slice", "", ""),
    "/system.slice": ("", "system.slice", "", ""),
    "/_cgroup.service": ("cgroup.service", "-.slice", "", ""),
    f"/system.slice/docker-{ID}.scope": (f"docker-{ID}.scope", "system.slice", ID, ""),
    f"/docker/{ID}": ("", "-.slice", ID, ""),
    f"/docker/{ID}/nested": ("", "-.slice", ID, ""),
    f"{POD}/cri-containerd-{ID}.scope": (
        f"cri-containerd-{ID}.scope",
        POD.rsplit("/", 1)[1],
        ID,
        UID,
    ),
    f"{POD}/crio-{ID}.scope": (f"crio-{ID}.scope", POD.rsplit("/", 1)[1], ID, UID),
    f"{POD}/crio-conmon-{ID}.scope": (f"crio-conmon-{ID}.scope", POD.rsplit("/", 1)[1], "", UID),
    f"/kubepods/burstable/pod{UID}/{ID}": ("", "-.slice", ID, UID),
    f"/kubepods/pod{ID[:32]}/{ID}": ("", "-.slice", ID, ID[:32]),
    f"/system.slice/containerd.service/kubepods-burstable-pod{UID}.slice:cri-containerd:{ID}": (
        "containerd.service",
        "system.slice",
        ID,
        "",
    ),
    f"/machine.slice/libpod-{ID}.scope/container": (f"libpod-{ID}.scope", "machine.slice", ID, ""),
    f"/machine.slice/libpod-conmon-{ID}.scope": (
        f"libpod-conmon-{ID}.scope",
        "machine.slice",
        "",
        "",
    ),
    "/lxc.payload.web/system.slice/ssh.service": ("", "-.slice", "web", ""),
    "/lxc/web/ns": ("", "-.slice", "web", ""),
    "/lxc.monitor.web": ("", "-.slice", "", ""),
}


@pytest.mark.parametrize("path", PATHS)
def test_what_a_path_says(path: str) -> None:
    found = (
        cgroups.unit(path),
        cgroups.slice_(path),
        cgroups.container_id(path),
        cgroups.pod_uid(path),
    )
    assert found == PATHS[path]


def test_a_folder_s_inode_is_the_id(tmp_path: Path) -> None:
    inner = tmp_path / "system.slice" / "a.service"
    inner.mkdir(parents=True)
    (inner / "cgroup.procs").touch()
    found = Cgroups(tmp_path)
    assert found.path(inner.stat().st_ino) == "/system.slice/a.service"
    assert found.path(inner.parent.stat().st_ino) == "/system.slice"
    assert found.path(tmp_path.stat().st_ino) == "/"
    assert found.path((inner / "cgroup.procs").stat().st_ino) is None


def test_the_version_2_hierarchy_of_a_hybrid_host(tmp_path: Path) -> None:
    inner = tmp_path / "unified" / "init.scope"
    inner.mkdir(parents=True)
    assert Cgroups(tmp_path).path(inner.stat().st_ino) == "/init.scope"


def test_folders_are_listed_once_a_page_and_only_for_new_ids(tmp_path: Path) -> None:
    found = Cgroups(tmp_path)
    old = tmp_path / "old"
    old.mkdir()
    assert found.path(old.stat().st_ino) == "/old"
    new = tmp_path / "new"
    new.mkdir()
    number = new.stat().st_ino
    assert found.path(number) is None, "it is younger than the keys of this page can be"
    found.new_page()
    assert found.path(number) is None, "it had gone, so it is not looked for again"
    later = tmp_path / "later"
    later.mkdir()
    assert found.path(later.stat().st_ino) == "/later"


def test_what_has_gone_keeps_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "demo.service"
    folder.mkdir()
    number = folder.stat().st_ino
    found = Cgroups(tmp_path)
    assert found.path(number) == "/demo.service"
    folder.rmdir()
    other = tmp_path / "other"
    other.mkdir()
    found.new_page()
    found.path(1 << 40)  # lists the folders
    # A file system may give a removed folder's number to the next one; that of cgroups does not.
    assert found.path(number) == ("/other" if other.stat().st_ino == number else "/demo.service")


def test_a_host_without_cgroups(tmp_path: Path) -> None:
    assert Cgroups(tmp_path / "none").path(1) is None
