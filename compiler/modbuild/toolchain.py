# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools that make modules, on this system or in another root folder, and the kernel headers they use.

    HostToolchain().run(["gcc", "--version"], folder="/tmp")           -> Ran(status=0, output="gcc (...")
    ChrootToolchain(root, shared).path(root / "usr/src/linux-headers") -> "/usr/src/linux-headers"

Commands get an environment of their own: the caller's environment does not influence a module.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from compiler.modbuild.errors import BuildError
from compiler.support.sysroot import inside
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

if TYPE_CHECKING:
    from compiler.modbuild.request import KernelFacts

_ENTER = Path(__file__).parent / "template" / "enter.sh"
_SHARED = "/mnt"  # the path of the shared folder inside another root
_SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_CHILD_KILLED = "Killed signal terminated program"  # gcc's words about cc1, as or ld
_COMPLAINT = pattern(r"error:|ERROR:|undefined!|: \w*error\w*$", re.IGNORECASE)


@record
class Ran:
    """A finished command: its exit status, and stdout with stderr as text."""

    status: int
    output: str


class Toolchain(Protocol):
    """`path` translates a path of this system to the path that commands see. `run` waits for a command.

    `find` returns a tool's file. `identity` changes when the tool is replaced; empty if it is missing.
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
class Headers:
    """The folder in which a kernel's modules are built: its path here, and its path for commands."""

    folder: Path
    seen: str

    @classmethod
    def of(cls, kernel: KernelFacts, toolchain: Toolchain) -> Headers:
        """Raises BuildError ("no-headers")."""
        package = f"apt install linux-headers-{kernel.release}"
        if kernel.headers is None:
            raise BuildError("no-headers", f"no headers for kernel {kernel.release}", package)
        folder = kernel.headers
        for needed in ("Makefile", ".config"):
            if not (folder / needed).is_file():
                message = f"the kernel headers in {folder} lack {needed}"
                raise BuildError("no-headers", message, f"{package}, or 'make modules_prepare'")
        return cls(folder, toolchain.path(folder))

    def option(self, name: str) -> str:
        """A configuration option's value, unquoted; empty if it is off."""
        text = (self.folder / ".config").read_text(errors="replace")
        found = re.search(rf'^{re.escape(name)}="?(.*?)"?$', text, re.MULTILINE)
        return found[1] if found else ""


@record
class HostToolchain:
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
class ChrootToolchain:
    """The compiler of another system, run natively inside its root folder. Needs root privileges.

    `shared` is the one folder outside that commands can reach, at /mnt; commands write nowhere else.
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
        # in a pid namespace of its own, whose processes all end with the command
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", str(_ENTER)]
        return _run([*enter, str(self.root), str(self.shared), folder, *argv], "/", env, timeout)


def first_complaint(output: str) -> str:
    """The first line of a tool's output that reports an error."""
    # make shows its commands, too: a command that could print an error is not one
    lines = [line.strip() for line in output.splitlines() if line.strip() and "echo" not in line]
    errors = [line for line in lines if _COMPLAINT.search(line)]
    before_make = [line for line in lines if not line.startswith("make")]
    return next(iter(errors or before_make[-1:] or lines[-1:]), "no output")


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
    # whole seconds: images and packages store no fractions
    seen = Path("/") / path.relative_to(root)
    return f"{seen}:{status.st_size}:{int(status.st_mtime)}"


def _run(argv: Sequence[str], folder: str, env: Mapping[str, str] | None, timeout: float) -> Ran:
    """Run a tool, and once more if it was killed: the machine may have had no memory for a moment."""
    ran = _run_once(argv, folder, env, timeout)
    return _run_once(argv, folder, env, timeout) if _was_killed(ran) else ran


def _was_killed(ran: Ran) -> bool:
    """Whether SIGKILL has ended the tool, or a program that gcc has started for it."""
    return ran.status == -signal.SIGKILL or _CHILD_KILLED in ran.output


def _run_once(
    argv: Sequence[str], folder: str, env: Mapping[str, str] | None, timeout: float
) -> Ran:
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
