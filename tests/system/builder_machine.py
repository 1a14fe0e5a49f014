# SPDX-License-Identifier: GPL-2.0-or-later
"""The builder, the registry and the Prometheus of a fleet: this machine, with folders of /etc and /srv of its own.

    with BuilderMachine(folder, {"bookworm": image.rootfs}, {"registry.example.org": "127.77.1.5"}) as here:
        here.run("stapwatch build ...")           # in its folder, as docs/fleet.md has it
        here.start(["docker-registry", "serve", "/etc/docker/registry/config.yml"])

Each command has a mount namespace, so that names and paths are those which a reader types, and nothing of this
machine is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import PROJECT

# mounted over those of this machine
_PLACES = "etc/containers etc/docker/registry etc/prometheus var/cache var/lib/docker-registry"
# $1 the folder with what is mounted, one folder for each place; the command follows
_ENTER = rf"""
set -e
cd "$1"; shift
mount --bind hosts /etc/hosts
mount -t tmpfs tmpfs /srv
mkdir /srv/roots
for root in roots/*; do
    [ -e "$root" ] || continue
    mkdir "/srv/$root"
    mount --rbind "$(readlink -f "$root")" "/srv/$root"
done
for place in {_PLACES}; do
    mount --bind "at/$place" "/$place"
done
cd work
exec "$@"
"""


class BuilderMachine:
    """`roots`: root folders of kernels, by the names that they have in /srv/roots. `addresses`: of hosts."""

    def __init__(
        self, folder: Path, roots: Mapping[str, Path], addresses: Mapping[str, str]
    ) -> None:
        self._folder, self.work = folder, folder / "work"
        self._running: list[subprocess.Popen[bytes]] = []
        for place in ("work", "roots", "bin", *(f"at/{place}" for place in _PLACES.split())):
            (folder / place).mkdir(parents=True)
        names = "".join(f"{address} {name}\n" for name, address in addresses.items())
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")
        shutil.copy("/etc/containers/policy.json", self.at("etc/containers"))
        for name, root in roots.items():
            self.add_root(name, root)
        launcher = folder / "bin/stapwatch"
        launcher.write_text(
            f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -P -m agent "$@"\n'
        )
        launcher.chmod(0o755)

    def at(self, place: str) -> Path:
        """Where a folder of this machine is outside, `etc/prometheus` for one."""
        return self._folder / "at" / place

    def add_root(self, name: str, root: Path) -> None:
        (self._folder / "roots" / name).symlink_to(root)

    def run(self, script: str, timeout: float = 300) -> str:
        """What a script of the shell prints. It ends at the first command that fails."""
        done = subprocess.run(
            self._entered(["bash", "-eu", "-o", "pipefail", "-c", script]),
            capture_output=True,
            text=True,
            env=self._environment,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def start(self, argv: Sequence[str]) -> None:
        """A service, until the machine ends. Its log is next to the folder of the commands."""
        with (self._folder / f"{Path(argv[0]).name}.log").open("wb") as log:
            process = subprocess.Popen(
                self._entered(argv), stdout=log, stderr=log, env=self._environment
            )
        self._running.append(process)

    def __enter__(self) -> BuilderMachine:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.terminate()
            process.wait(timeout=60)

    def _entered(self, argv: Sequence[str]) -> list[str]:
        unshare = ["unshare", "--mount", "--propagation", "private"]
        return [*unshare, "sh", "-c", _ENTER, "sh", str(self._folder), *argv]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}"}
