# SPDX-License-Identifier: GPL-2.0-or-later
"""The newest serial that this machine has seen of each store's catalogue for each kernel.

    serials = Serials(Path("/var/lib/stapwatch-loader"))
    serials.check(catalogue)   # StaleError: it is older than one that was seen
    serials.note(catalogue)    # once it is verified

A server can so withhold new modules, but not bring old ones back.
"""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import datetime, timezone
from pathlib import Path

from agent.store.catalogue import Catalogue
from agent.store.refusals import Refusal, RefusedError
from runtime.support import whole_file

_FILE = "serials.json"


class StaleError(RefusedError):
    """A catalogue is older than one that was seen before; the text says how old."""

    reason = Refusal.STALE


class Serials:
    """`folder`: of this process alone, and created; if it cannot be written, only this process knows."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / _FILE
        self._lock = threading.Lock()
        self._seen: dict[str, int] | None = None

    def check(self, catalogue: Catalogue) -> None:
        """Raises StaleError."""
        with self._lock:
            seen = self._all().get(_key(catalogue), 0)
        if catalogue.serial < seen:
            raise StaleError(
                f"it is older than one that was seen here: {serial_text(catalogue.serial)}, and there was "
                f"{serial_text(seen)}; if '{catalogue.store}' is another store, build it with another --name"
            )

    def note(self, catalogue: Catalogue) -> None:
        with self._lock:
            seen, key = self._all(), _key(catalogue)
            if catalogue.serial <= seen.get(key, 0):
                return
            seen[key] = catalogue.serial
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                whole_file.write(self._file, json.dumps(seen, indent=1, sort_keys=True).encode())

    def _all(self) -> dict[str, int]:
        if self._seen is None:
            self._seen = {}
            with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
                found = json.loads(self._file.read_text())
                self._seen = {str(key): int(serial) for key, serial in found.items()}
        return self._seen


def serial_text(serial: int) -> str:
    """`1764520000 (2025-11-30 16:26:40 UTC)`; a small number is no time."""
    if not 1e9 < serial < 1e11:
        return f"serial {serial}"
    return f"serial {serial} ({datetime.fromtimestamp(serial, timezone.utc):%Y-%m-%d %H:%M:%S} UTC)"


def _key(catalogue: Catalogue) -> str:
    return f"{catalogue.kernel.build_id} {catalogue.store}"
