# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages of this tree, built for a test.

built = build(tmp_path)
built.deb("stapwatch").fields["Depends"]   -> "systemd, python3:any, ..."
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests import PROJECT

DEBIAN = PROJECT / "packaging/debian"


@dataclass(frozen=True)
class Deb:
    """A binary package. Paths of its files begin without a slash, as in usr/bin/stapwatch."""

    path: Path

    @cached_property
    def fields(self) -> dict[str, str]:
        text = subprocess.run(
            ["dpkg-deb", "--field", self.path], check=True, capture_output=True, text=True
        ).stdout
        joined = re.sub(r"\n[ \t]+", " ", text)
        return dict(line.split(": ", 1) for line in joined.splitlines())

    @cached_property
    def members(self) -> dict[str, tarfile.TarInfo]:
        """All files, links and folders."""
        with self._tar("--fsys-tarfile") as tar:
            return {member.name.removeprefix("./"): member for member in tar.getmembers()}

    @property
    def files(self) -> set[str]:
        return {name for name, member in self.members.items() if not member.isdir()}

    def read(self, name: str) -> bytes:
        with self._tar("--fsys-tarfile") as tar:
            file = tar.extractfile(f"./{name}")
            assert file is not None
            return file.read()

    def control(self, name: str) -> str:
        """A file of its control archive, as "conffiles"; "" if it has none of that name."""
        with self._tar("--ctrl-tarfile") as tar:
            if f"./{name}" not in tar.getnames():
                return ""
            file = tar.extractfile(f"./{name}")
            assert file is not None
            return file.read().decode()

    def _tar(self, what: str) -> tarfile.TarFile:
        done = subprocess.run(["dpkg-deb", what, self.path], check=True, capture_output=True)
        return tarfile.open(fileobj=io.BytesIO(done.stdout))


@dataclass(frozen=True)
class Built:
    """What a build has left in its folder."""

    folder: Path

    def deb(self, package: str) -> Deb:
        [path] = self.folder.glob(f"{package}_*_all.deb")
        return Deb(path)

    @property
    def changes(self) -> Path:
        [path] = self.folder.glob("*.changes")
        return path

    def contents(self) -> dict[str, bytes]:
        """The packages and their source, by name."""
        kinds = (".deb", ".dsc", ".tar.xz")
        return {p.name: p.read_bytes() for p in self.folder.iterdir() if p.name.endswith(kinds)}


def build(
    folder: Path,
    version: str = "",
    project: Path = PROJECT,
    env: Mapping[str, str] | None = None,
    umask: int = -1,
) -> Built:
    """Build all packages. `version`: another one than the changelog's."""
    argv = [str(project / "packaging/build_deb.sh"), *(["-v", version] if version else [])]
    whole = {**os.environ, **(env or {})}
    done = subprocess.run(
        [*argv, str(folder)], capture_output=True, text=True, env=whole, umask=umask
    )
    assert done.returncode == 0, done.stderr
    return Built(folder)


def python_dependencies(control: str) -> tuple[str, ...]:
    """The Debian packages with Python code that the package `stapwatch` depends on."""
    [depends] = re.findall(r"(?ms)^Package: stapwatch\n.*?^Depends: (.*?)^\S", control)
    return tuple(re.findall(r"\bpython3-[\w-]+", depends))
