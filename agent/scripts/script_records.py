# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent remembers of each script across restarts and crashes: a small file in the state folder.

    records = ScriptRecords(Path("/var/lib/stapwatch"))
    records.load("vfs")   -> Record(proven="", starting=Starting("ab12...", boot="3f9e..."))

A record is replaced as a whole and synced, file and folder: when `save` has returned, a crash of the machine
leaves it. All calls block: use a thread.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from runtime.support.record import asdict, record

_FOLDER = "scripts"


@record
class Starting:
    """A module that was started, and has not yet run for a minute. `boot`: the kernel's boot_id then."""

    identity: str
    boot: str


@record
class Quarantine:
    """The script is not to be armed. `budgets`: those that it breached, as text; "" after a crash.

    A script with another text or other budgets is not meant any more. If its revision is not known, that is
    a script with another identity.
    """

    identity: str
    budgets: str
    budget: str  # the name of the one that was breached, for metrics
    reason: str


@record
class Record:
    """`proven`: the identity of the last module that ran for a minute. An identity covers the kernel.

    The others are revisions, digests of the script's text: the one that `quarantine` is about, the one that
    a person armed, and the one that has waited long enough for another script. `held`: a person disarmed the
    script, whatever its text.
    """

    proven: str = ""
    starting: Starting | None = None
    quarantine: Quarantine | None = None
    revision: str = ""
    armed: str = ""
    passed: str = ""
    held: bool = False


class ScriptRecords:
    """The records of all scripts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _FOLDER

    def load(self, script: str) -> Record:
        """An empty record if there is none, or a damaged one."""
        try:
            return _decoded(json.loads(self._file(script).read_text()))
        except (OSError, ValueError, TypeError, KeyError):
            return Record()

    def save(self, script: str, found: Record) -> None:
        """Raises OSError: a full disk, a read-only one. The record before it stays then.

        No mark must stay on a full disk: a record that says nothing but `proven` is removed instead.
        """
        file = self._file(script)
        try:
            self._write(file, found)
        except OSError:
            if found.starting or found.quarantine or found.armed or found.passed or found.held:
                raise
            self._remove(file)

    def _write(self, file: Path, found: Record) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}")
        try:
            with new.open("w") as stream:
                json.dump(asdict(found), stream)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(file)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        self._sync()

    def _remove(self, file: Path) -> None:
        if file.exists():
            file.unlink()
            self._sync()

    def _sync(self) -> None:
        """Sync the folder: which files it has is data of its own."""
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _file(self, script: str) -> Path:
        return self._folder / f"{script}.json"


def _decoded(tree: dict[str, Any]) -> Record:
    starting, quarantine = tree["starting"], tree["quarantine"]
    return Record(
        str(tree["proven"]),
        Starting(**starting) if starting else None,
        Quarantine(**quarantine) if quarantine else None,
        **{key: str(tree.get(key, "")) for key in ("revision", "armed", "passed")},
        held=bool(tree.get("held", False)),
    )
