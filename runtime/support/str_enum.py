# SPDX-License-Identifier: GPL-2.0-or-later
"""enum.StrEnum, which Python 3.10 does not have yet.

class Tier(StrEnum):
    FAST = "fast"

Tier.FAST == "fast", str(Tier.FAST) == "fast", f"{Tier.FAST}" == "fast"
"""

from __future__ import annotations

from enum import Enum


class StrEnum(str, Enum):
    """An enumeration whose members are strings; they compare, print and format as these."""

    _value_: str
    __str__ = str.__str__

    def __format__(self, form: str) -> str:
        return str.__format__(self, form)
