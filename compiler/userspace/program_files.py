# SPDX-License-Identifier: GPL-2.0-or-later
"""The files of programs, by the names that scripts use.

    Files().find("ls")              -> ["/usr/bin/ls"]          by $PATH
    Files().find("/usr/bin/py*")    -> ["/usr/bin/py3clean", ...]
    Files().inputs                  -> every path that was looked up

All links are followed: the files found are those that processes execute.
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
    """The files of one system; its processes see `root` as `/`. `target`: the program of the process that
    target() will return; "" if it is not known. `seen_at`: where the kernel finds `root` when the module
    starts, if that is not at `/`; the paths found begin with it."""

    def __init__(self, root: Path = Path("/"), target: str = "", seen_at: str = "") -> None:
        self.root = root
        self.target = target
        self.seen_at = seen_at
        self._looked: dict[Path, None] = {}

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The paths that the results depend on, those without a file included."""
        return tuple(self._looked)

    def find(self, name: str) -> list[str]:
        """The files that a name or a shell pattern matches; may be empty."""
        return [f"{self.seen_at}{path}" for path in self._found(self._inner(name))]

    def _inner(self, path: str) -> str:
        """A path as the system's processes write it."""
        inner = path.removeprefix(self.seen_at)
        return inner if inner.startswith("/") or not self.seen_at else path

    def _found(self, name: str) -> list[str]:
        if "/" not in name:
            folders = os.environ.get("PATH") or _PATH
            names: Iterable[str] = (f"{folder}/{name}" for folder in folders.split(":") if folder)
            candidates = (path for wanted in names for path in self._matching(wanted))
            return next(([found] for found in candidates if self._runs(found)), [])
        if not name.startswith("/"):
            name = str(Path.cwd() / name)
        return sorted(set(self._matching(name)))

    def of_process(self, pid: int) -> str | None:
        """The file that a process of this machine executes; None if it cannot be read."""
        if self.root != Path("/") and not self.seen_at:
            return None
        link = Path(f"/proc/{pid}/exe")
        self._looked[link] = None
        try:
            return f"{self.seen_at}{link.readlink()}"
        except OSError:
            return None

    def here(self, path: str) -> Path:
        """The path at which this process finds a file of that system."""
        return inside(self.root, self._inner(path))

    def read(self, path: str) -> Path:
        """The same; the path becomes one of the inputs."""
        return self.noted(self.here(path))

    def noted(self, path: Path) -> Path:
        """The path itself, which becomes one of the inputs."""
        self._looked[path] = None
        return path

    def _runs(self, path: str) -> bool:
        return os.access(self.here(path), os.X_OK)

    def _matching(self, name: str) -> Iterator[str]:
        paths = self._expanded(Path(name)) if is_glob(name) else [Path(name)]
        for path in paths:
            found = self.here(str(path))
            self._looked[self.root / path.relative_to("/")] = None
            self._looked[found] = None
            if found.is_file():
                yield f"/{found.relative_to(self.root)}"

    def _expanded(self, path: Path) -> list[Path]:
        """The paths that a path with wildcards matches, folder by folder."""
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
