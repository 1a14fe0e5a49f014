# SPDX-License-Identifier: GPL-2.0-or-later
"""Why something of a store is refused: a text for people, and a word of few for a metric.

raise RefusedError("sw_vfs_1.ko was changed: ...", Refusal.DIGEST)
COUNTS.add("https://modules.example.org/store", Refusal.DIGEST)     # of this process
COUNTS.taken()                     -> {("https://modules.example.org/store", "digest"): 1}
"""

from __future__ import annotations

import threading
from collections import Counter

from runtime.support.str_enum import StrEnum


class Refusal(StrEnum):
    SIGNATURE = "signature"  # there is none, or none that a trusted key has made
    STALE = "stale"  # older than what was seen
    KERNEL = "kernel"  # a catalogue of another kernel than it stands for
    DIGEST = "digest"  # bytes that are not those which the catalogue or a manifest names
    FORMAT = "format"  # damaged, too large, or of another format
    # what is signed does not fit this host: its script, its programs, its runtime
    MODULE = "module"


class RefusedError(Exception):
    """Something of a store is not what it should be; the text says what."""

    reason = Refusal.FORMAT

    def __init__(self, text: str, reason: Refusal | None = None) -> None:
        super().__init__(text)
        self.reason = reason or self.reason


class RefusalCounts:
    """By store and reason. Several threads may use one."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, url: str, reason: str, count: int = 1) -> None:
        with self._lock:
            self._counts[url, reason] += count

    def taken(self) -> dict[tuple[str, str], int]:
        """Those since the last call."""
        with self._lock:
            found, self._counts = dict(self._counts), Counter()
        return found


COUNTS = RefusalCounts()
