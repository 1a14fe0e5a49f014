# SPDX-License-Identifier: GPL-2.0-or-later
"""The paths of cgroups by their ids, and what a path says: unit, slice, container, pod.

    cgroups = Cgroups()
    cgroups.path(4711)                            -> "/system.slice/ssh.service"
    unit("/system.slice/ssh.service")             -> "ssh.service"
    container_id("/system.slice/docker-0123….scope")  -> "0123…"

A cgroup's id is the inode number of its folder, and no other cgroup ever gets it. So the folders are listed
when an id is new, at most once a page, and never otherwise: a watch of each folder would cost kernel memory
and a wake-up for each cgroup that comes, also where no script looks at it. What one listing does not find
has gone, for a key is read before the folders are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runtime.support.lazy_regex import pattern

ROOT: Final = Path("/sys/fs/cgroup")
_MOST: Final = (
    65_536  # paths that are remembered; those of cgroups that have gone longest ago leave first
)
_CONTAINER = pattern(r"(?:.*[-:.])?([0-9a-f]{64})(?:\.scope)?")
_UNITS: Final = (".service", ".scope", ".mount", ".socket", ".swap")
_LXC = pattern(r"lxc\.payload\.(.+)")
_POD = pattern(
    r"(?:.*-)?pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?"
)


class Cgroups:
    """`root`: where the version-2 hierarchy is, or the folder with `unified` in it."""

    def __init__(self, root: Path = ROOT) -> None:
        unified = root / "unified"
        self._root = unified if unified.is_dir() else root
        self.paths: dict[
            int, str
        ] = {}  # of cgroups that have been seen, those that have gone included
        self._gone: set[int] = set()
        self._is_listed = False

    def new_page(self) -> None:
        """Keys have been read: ids that are not known yet may be looked for."""
        self._is_listed = False

    def path(self, cgroup: int) -> str | None:
        """None if it has gone, or if this process may not see it."""
        found = self.paths.get(cgroup)
        if found is None and cgroup not in self._gone:
            if not self._is_listed:
                self._list()
                found = self.paths.get(cgroup)
            if found is None:
                self._gone.add(cgroup)
        return found

    def _list(self) -> None:
        self._is_listed = True
        for cgroup, path in _folders(self._root):
            self.paths.pop(cgroup, None)
            self.paths[cgroup] = path
        for known in list(self.paths)[: max(0, len(self.paths) - _MOST)]:
            del self.paths[known]
        if len(self._gone) > _MOST:
            self._gone.clear()


def _folders(root: Path) -> Iterator[tuple[int, str]]:
    """Each cgroup's id and path. Those that go meanwhile are left out."""
    try:
        yield root.stat().st_ino, "/"
    except OSError:
        return
    left = [""]
    while left:
        path = left.pop()
        try:
            with os.scandir(f"{root}{path}") as entries:
                inner = [(e.inode(), e.name) for e in entries if e.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        for cgroup, name in inner:
            yield cgroup, f"{path}/{name}"
            left.append(f"{path}/{name}")


def unit(path: str) -> str:
    """The systemd unit as in the journal: user@UID.service for all services of a user."""
    found = next((part for part in _parts(path) if not part.endswith(".slice")), "")
    return found if found.endswith(_UNITS) else ""


def slice_(path: str) -> str:
    """The innermost slice around the unit; the root slice is -.slice."""
    found = "-.slice"
    for part in _parts(path):
        if not part.endswith(".slice"):
            break
        found = part
    return found


def container_id(path: str) -> str:
    """The id that Docker, containerd, CRI-O or Podman gave: 64 hex digits; the name that LXC gave."""
    parts = _parts(path)
    for number in range(len(parts) - 1, -1, -1):
        part = parts[number]
        if "conmon" not in part and (found := _CONTAINER.fullmatch(part)):
            return found[1]
        if found := _LXC.fullmatch(part):
            return found[1]
        if number and parts[number - 1] in ("lxc", "lxc.payload"):
            return part
    return ""


def pod_uid(path: str) -> str:
    """The UID of a Kubernetes pod, with hyphens."""
    found = (_POD.fullmatch(part) for part in _parts(path))
    return next((match[1].replace("_", "-") for match in found if match), "")


def _parts(path: str) -> list[str]:
    """systemd puts a "_" in front of a name that would be one of the kernel's files."""
    return [part.removeprefix("_") for part in path.split("/") if part]
