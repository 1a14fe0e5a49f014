# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of the script language in Python: wrapped(1 << 63) -> -(1 << 63)."""


def wrapped(value: int) -> int:
    """A number as signed 64 bits, as the kernel would have it."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
