# SPDX-License-Identifier: GPL-2.0-or-later
"""What `stapwatch sync` has found at each store, for the agent's metrics: a small file in the spool folder.

    Looks(Path("/var/lib/stapwatch-sync")).note([Look(url, build_id, StoreState.READY)], now=1764520000.0)
    Looks(...).all()       -> {(url, build_id): Look(..., looked=1764520000.0, succeeded=1764520000.0)}
    Looks(...).refused()   -> {(url, "digest"): 2}

sync has no privileges, and whoever reads this file believes no more of it than that sync wrote it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent.store.refusals import Refusal
from runtime.support import bounded_file, whole_file
from runtime.support.record import asdict, record, replace
from runtime.support.str_enum import StrEnum

_FILE = "looks.json"
_MOST = 4 << 20  # bytes


class StoreState(StrEnum):
    NEVER = "never"  # nobody has looked for this kernel yet
    READY = "ready"  # what it has for this host is fetched
    NO_KERNEL = "no-kernel"  # it has nothing for this kernel
    UNAVAILABLE = "unavailable"  # it cannot be read
    REFUSED = "refused"  # what it shows is not what it should be


@record
class Look:
    """One store, for one kernel. `looked`, `succeeded`: the last time, and the last time that all was well,
    in seconds since 1970; 0: never. `modules`: of the store, for this host, in the spool folder. `absent`:
    scripts that it has none for. `refusal`: the reason, if something is refused."""

    url: str
    build_id: str
    state: StoreState = StoreState.NEVER
    problem: str = ""
    modules: int = 0
    absent: tuple[str, ...] = ()
    refusal: str = ""
    looked: float = 0.0
    succeeded: float = 0.0


Counts = dict[tuple[str, str], int]  # by store and reason
_Known = dict[tuple[str, str], Look]


class Looks:
    """`folder`: the spool folder. The file is read again after a change only."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._seen: tuple[int, int] | None = None
        self._looks: _Known = {}
        self._refused: Counts = {}

    def all(self) -> Mapping[tuple[str, str], Look]:
        """By store and build-id. Empty if nobody has looked, or the file is damaged."""
        self._read()
        return self._looks

    def refused(self) -> Mapping[tuple[str, str], int]:
        """How often something was refused, since the file was made."""
        self._read()
        return self._refused

    def note(self, looks: Iterable[Look], now: float) -> None:
        """Replace what is known: stores and kernels that are not among `looks` are forgotten. Raises
        OSError."""
        before, refused = self.all(), dict(self.refused())
        found: _Known = {}
        for look in looks:
            key = look.url, look.build_id
            older = before.get(key, look)
            if look.state is StoreState.READY:
                found[key] = replace(look, looked=now, succeeded=now)
            else:  # what was fetched before is still there
                kept = look.modules or older.modules
                found[key] = replace(look, looked=now, succeeded=older.succeeded, modules=kept)
            if look.refusal:
                counted = look.url, look.refusal
                refused[counted] = refused.get(counted, 0) + 1
        urls = {url for url, _ in found}
        tree = {
            "looks": [asdict(look) for look in found.values()],
            "refused": [[*key, count] for key, count in refused.items() if key[0] in urls],
        }
        whole_file.write(self._file, json.dumps(tree, indent=1).encode())

    def _read(self) -> None:
        try:
            found = self._file.stat()
        except OSError:
            self._seen, self._looks, self._refused = None, {}, {}
            return
        if (seen := (found.st_mtime_ns, found.st_ino)) == self._seen:
            return
        self._seen, self._looks, self._refused = seen, {}, {}
        with contextlib.suppress(
            OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError
        ):
            tree = json.loads(bounded_file.read(self._file, _MOST))
            looks = {(look.url, look.build_id): look for look in map(_look, tree["looks"])}
            self._refused = {
                (str(url), Refusal(reason).value): max(0, int(count))
                for url, reason, count in tree["refused"]
            }
            self._looks = looks


def _look(tree: Any) -> Look:
    return Look(
        str(tree["url"]),
        str(tree["build_id"]),
        StoreState(tree["state"]),
        str(tree["problem"]),
        max(0, int(tree["modules"])),
        tuple(map(str, tree["absent"])),
        str(tree["refusal"]),
        float(tree["looked"]),
        float(tree["succeeded"]),
    )
