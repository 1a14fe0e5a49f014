# SPDX-License-Identifier: GPL-2.0-or-later
"""Running compilers: on this system, or inside the root folder of another one.

    Here().run(["gcc", "--version"], folder="/tmp")          -> Ran(status=0, output="gcc (...")
    There(root, shared).path(root / "usr/src/linux-headers") -> "/usr/src/linux-headers"

Commands get an environment of their own: nothing of the caller's leaks into a module.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from compiler.modbuild.errors import BuildError
from compiler.support.sysroot import inside
from runtime.support.record import record

_ENTER = Path(__file__).parent / "template" / "enter.sh"
_SHARED = "/mnt"  # of another root: where the shared folder is seen
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@record
class Ran:
    """How a command ended: its exit status, and stdout with stderr as text."""

    status: int
    output: str


class Toolchain(Protocol):
    """`path` translates a path of this system to what commands see. `run` waits for a command.

    `find` gives a tool's file. `identity` changes when the tool is replaced; empty if there is none.
    """

    def path(self, here: Path) -> str: ...

    def find(self, tool: str) -> Path | None: ...

    def identity(self, tool: str) -> str: ...

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Ran: ...


@record
class Here:
    """This system's own compiler."""

    def path(self, here: Path) -> str:
        return str(here)

    def find(self, tool: str) -> Path | None:
        return _find(Path("/"), tool)

    def identity(self, tool: str) -> str:
        return _identity(Path("/"), tool)

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Ran:
        return _run(argv, folder, env, timeout)


@record
class There:
    """The compiler of another system, run natively inside its root folder. Needs root.

    `shared` is the one folder outside that commands can reach, at /mnt; nothing else of the root
    folder is written to.
    """

    root: Path
    shared: Path

    def path(self, here: Path) -> str:
        if here.is_relative_to(self.shared):
            return str(Path(_SHARED) / here.relative_to(self.shared))
        if here.is_relative_to(self.root):
            return str(Path("/") / here.relative_to(self.root))
        raise ValueError(f"{here} cannot be seen from inside {self.root}")

    def find(self, tool: str) -> Path | None:
        return _find(self.root, tool)

    def identity(self, tool: str) -> str:
        return _identity(self.root, tool)

    def run(
        self,
        argv: Sequence[str],
        *,
        folder: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Ran:
        # its own pid namespace: what a command starts ends with it
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", str(_ENTER)]
        return _run([*enter, str(self.root), str(self.shared), folder, *argv], "/", env, timeout)


def _find(root: Path, tool: str) -> Path | None:
    for folder in ("",) if tool.startswith("/") else _SYSTEM_PATH.split(":"):
        path = inside(root, f"{folder}/{tool}")
        if path.is_file():
            return path
    return None


def _identity(root: Path, tool: str) -> str:
    path = _find(root, tool)
    if path is None:
        return ""
    status = path.stat()
    # whole seconds: images and packages keep no more
    seen = Path("/") / path.relative_to(root)
    return f"{seen}:{status.st_size}:{int(status.st_mtime)}"


def _run(argv: Sequence[str], folder: str, env: Mapping[str, str] | None, timeout: float) -> Ran:
    scrubbed = {"PATH": _SYSTEM_PATH, "LC_ALL": "C", "HOME": "/nonexistent", **(env or {})}
    try:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=scrubbed,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        return Ran(127, f"{error.filename}: not found")
    with process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                message = f"'{Path(argv[0]).name}' did not end within {timeout:.0f} s"
                raise BuildError("build-timeout", message) from None
            raise
    return Ran(process.returncode, output.decode(errors="replace"))
