# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of kernels that were prepared before their boot: a small file each in the state folder.

    kernels = PreparedKernels(Path("/var/lib/stapwatch"))
    kernels.save(PreparedKernel("6.1.0-57", State.FAILED, 4, {"vfs": "unknown function ..."}))
    kernels.all()   -> (PreparedKernel("6.1.0-57", ...),)

`stapwatch prepare` writes them and the agent's metrics show them. Both run as the same user. The agent cannot
start a unit: `ask()` makes a file that stapwatch-prepare.path waits for.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from compiler.kernel.release import RELEASE
from runtime.support import whole_file
from runtime.support.record import asdict, field, record
from runtime.support.str_enum import StrEnum

_FOLDER = "kernels"
OUTDATED = "outdated"  # in place of a release: all that were prepared for something else


class State(StrEnum):
    PREPARING = "preparing"  # or its end was never reached
    READY = "ready"  # every script that would run on it is compiled
    FAILED = "failed"
    NO_HEADERS = "no-headers"  # nothing can be compiled before they are installed


@record
class PreparedKernel:
    """`scripts`: how many would run on it. `failed`: the reasons, by script. `identities`: of the modules in
    the cache that were made for it. `basis`: a digest of what they were made of. `boot`: of which boot."""

    release: str
    state: State
    scripts: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    identities: tuple[str, ...] = ()
    basis: str = ""
    boot: str = ""


class PreparedKernels:
    """`state_folder`: the agent's."""

    def __init__(self, state_folder: Path) -> None:
        self._folder = state_folder / _FOLDER
        self._seen: int | None = None  # when the folder was last changed
        self._known: tuple[PreparedKernel, ...] = ()

    def all(self) -> tuple[PreparedKernel, ...]:
        """By release. A file that cannot be read is left out. Files are read again after a change only."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:
            return ()
        if changed != self._seen:
            found = (self.load(path.stem) for path in sorted(self._folder.glob("*.json")))
            self._known = tuple(kernel for kernel in found if kernel is not None)
            self._seen = changed
        return self._known

    def load(self, release: str) -> PreparedKernel | None:
        try:
            tree = json.loads(self._file(release).read_text())
            return PreparedKernel(
                str(tree["release"]),
                State(tree["state"]),
                int(tree["scripts"]),
                {str(name): str(reason) for name, reason in tree["failed"].items()},
                tuple(map(str, tree["identities"])),
                str(tree.get("basis", "")),
                str(tree.get("boot", "")),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def save(self, kernel: PreparedKernel) -> None:
        """Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        whole_file.write(self._file(kernel.release), json.dumps(asdict(kernel)).encode())

    def remove(self, release: str) -> None:
        """Raises OSError, but not for a kernel that is not known."""
        with contextlib.suppress(FileNotFoundError):
            self._file(release).unlink()

    def ask(self) -> None:
        """Have those that are out of date prepared again. Raises OSError."""
        (self._folder / OUTDATED).touch(mode=0o600)

    def take(self) -> None:
        """Somebody has asked, and what comes next answers it. Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            (self._folder / OUTDATED).unlink()

    def _file(self, release: str) -> Path:
        if not RELEASE.fullmatch(release):
            raise ValueError(f"'{release}' is no release of a kernel")
        return self._folder / f"{release}.json"
