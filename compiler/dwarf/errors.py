# SPDX-License-Identifier: GPL-2.0-or-later
"""The errors of this room."""

from __future__ import annotations


class DwarfError(Exception):
    """There is no usable DWARF, or it lacks what was asked for. `hint` says what to do, or is empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}: {hint}" if hint else message)
        self.message, self.hint = message, hint


class NoLocation(Exception):
    """A variable has no value that can be read at an address; `str()` says why."""
