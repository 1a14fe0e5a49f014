# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs by the names that scripts give them.

    Files().find("ls")              -> ["/usr/bin/ls"]          by $PATH
    Files().find("/usr/bin/py*")    -> ["/usr/bin/py3clean", ...]
    Files().inputs                  -> all that was looked at

Names lead to files with all links followed: those are what processes run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from compiler.support.globs import glob_regex, is_glob
from compiler.support.sysroot import inside
from runtime.support.lazy_regex import pattern

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Files:
    """The files of one system, `root` being what its processes see as `/`; `target`: the program of
    the process that is going to be target(), "" where that is not known."""

    def __init__(self, root: Path = Path("/"), target: str = "") -> None:
        self.root = root
        self.target = target
        self._looked: dict[Path, None] = {}

    @property
    def inputs(self) -> tuple[Path, ...]:
        """What the answers depend on, and where something might have been and was not."""
        return tuple(self._looked)

    def find(self, name: str) -> list[str]:
        """Files that a name or a shell pattern means; none if there is none."""
        if "/" not in name:
            folders = os.environ.get("PATH") or _PATH
            names: Iterable[str] = (f"{folder}/{name}" for folder in folders.split(":") if folder)
            candidates = (path for wanted in names for path in self._fitting(wanted))
            return next(([found] for found in candidates if self._runs(found)), [])
        if not name.startswith("/"):
            name = str(Path.cwd() / name)
        return sorted(set(self._fitting(name)))

    def of_process(self, pid: int) -> str | None:
        """The file that a process of this machine runs; None where that cannot be told."""
        if self.root != Path("/"):
            return None
        link = Path(f"/proc/{pid}/exe")
        self._looked[link] = None
        try:
            return str(link.readlink())
        except OSError:
            return None

    def here(self, path: str) -> Path:
        """Where this process finds a file of that system."""
        return inside(self.root, path)

    def read(self, path: str) -> Path:
        """The same, noted."""
        found = self.here(path)
        self._looked[found] = None
        return found

    def _runs(self, path: str) -> bool:
        return os.access(self.here(path), os.X_OK)

    def _fitting(self, name: str) -> Iterator[str]:
        paths = self._expanded(Path(name)) if is_glob(name) else [Path(name)]
        for path in paths:
            found = self.here(str(path))
            self._looked[self.root / path.relative_to("/")] = None
            self._looked[found] = None
            if found.is_file():
                yield f"/{found.relative_to(self.root)}"

    def _expanded(self, path: Path) -> list[Path]:
        """What a path with wildcards fits, folder by folder."""
        found = [Path("/")]
        for part in path.parts[1:]:
            if not is_glob(part):
                found = [at / part for at in found]
                continue
            regex = pattern(glob_regex(part))
            found = [
                at / name
                for at in found
                for name in self._names(at)
                if regex.fullmatch(name) and (name[0] != "." or part[0] == ".")
            ]
        return found

    def _names(self, folder: Path) -> list[str]:
        here = self.read(str(folder))
        return sorted(os.listdir(here)) if here.is_dir() else []  # noqa: PTH208 - names only
