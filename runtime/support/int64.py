# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers of the script language, which have 64 bits: wrapped(1 << 63) -> -(1 << 63)."""


def wrapped(value: int) -> int:
    """A number as a signed 64-bit integer, with the overflow of the kernel's arithmetic."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)
