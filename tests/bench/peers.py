# SPDX-License-Identifier: GPL-2.0-or-later
"""The peers that Debian packages: SystemTap and bpftrace, doing each shape's work their own way.

steps("7.2", ["count"], image, folder, reads) -> steps "stap count", "bpftrace count" of a plan

SystemTap's modules are built by the guest's own stap, natively; bpftrace compiles in the guest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lab import Image


def packages(kernel: str) -> tuple[str, ...]:
    return ()


def names(kernel: str, shape: str) -> Iterator[tuple[str, str]]:
    """(title of the column, name of the step)."""
    yield from ()


def steps(
    kernel: str, shapes: Sequence[str], image: Image, folder: Path, reads: int
) -> list[dict[str, Any]]:
    return []
