# SPDX-License-Identifier: GPL-2.0-or-later
"""Which boot of the machine this is.

boot_id()  -> "3f9e0b52-..."
"""

from __future__ import annotations

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Changes at each boot; "" if the kernel does not tell it."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
