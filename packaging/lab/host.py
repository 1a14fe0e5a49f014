# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's use of the machine it runs on: packages, a cache folder, locks, progress.

ensure_host_packages()      # apt-get installs qemu, mmdebstrap, ... where a tool is missing
with locked(path): ...      # one builder at a time
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# tool -> the Debian package that brings it
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "zstd": "zstd",
    "unshare": "util-linux",
}
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class LabError(Exception):
    """The lab cannot do what was asked; the text names the thing and gives a hint."""


def say(text: str) -> None:
    """Print one progress line; never on stdout, which belongs to the guest's command."""
    print(f"[lab] {text}", file=sys.stderr, flush=True)


def cache_root() -> Path:
    """Return the folder of everything downloaded and built, made if it is missing."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    root = Path(base) / "stapwatch-lab"
    root.mkdir(parents=True, exist_ok=True)
    return root


@contextlib.contextmanager
def locked(path: Path, waiting_for: str = "") -> Iterator[None]:
    """Hold an exclusive lock on `path`; print `waiting_for` if another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process: {waiting_for or path.name}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def remove_all_but(count: int, paths: Iterable[Path]) -> None:
    """Remove all but the `count` files and folders that were used last. Errors are ignored."""
    for old in sorted(paths, key=lambda p: p.stat().st_mtime, reverse=True)[count:]:
        if old.is_dir():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.unlink(missing_ok=True)


def run_logged(
    argv: Sequence[str], log: Path, *, what: str, env: dict[str, str] | None = None
) -> None:
    """Run a long step with its output in `log`; print a line every 20 s.

    Raises LabError with the end of the log if it fails.
    """
    started = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
        )
        try:
            while True:
                try:
                    status = process.wait(timeout=20)
                    break
                except subprocess.TimeoutExpired:
                    say(f"{what}: {time.monotonic() - started:.0f} s ...")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if status != 0:
        tail = log.read_text(errors="replace").splitlines()[-15:]
        raise LabError(
            f"{what} failed (exit status {status}); the end of {log}:\n" + "\n".join(tail)
        )


def missing_packages() -> list[str]:
    """The Debian packages of the tools that this machine lacks."""
    packages = {package for tool, package in TOOLS.items() if find_tool(tool) is None}
    if not KEYRING.exists():
        packages.add("debian-archive-keyring")
    return sorted(packages)


def find_tool(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def ensure_host_packages() -> None:
    """Install what is missing. Raises LabError if that is not possible."""
    missing = missing_packages()
    if not missing:
        return
    if os.geteuid() != 0:
        raise LabError(f"missing: {' '.join(missing)}; install them, or run as root once")
    if find_tool("apt-get") is None:
        raise LabError(f"missing: {' '.join(missing)}; this is no Debian: install them by hand")
    say(f"installing {' '.join(missing)}")
    log = cache_root() / "host-packages.log"
    log.unlink(missing_ok=True)
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q", "-y"]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run_logged([*apt, "update"], log, what="apt-get update", env=env)
    install = [*apt, "--no-install-recommends", "install", *missing]
    run_logged(install, log, what="apt-get install", env=env)
    if missing := missing_packages():
        raise LabError(f"apt-get installed nothing that brings: {' '.join(missing)}")
