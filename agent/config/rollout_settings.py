# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script's section says about its rollout: on which hosts it runs, when, and which variant of it.

RolloutSettings() -> every host, at once, armed

`rollout_schema.py` reads these records, and agent/rollout decides by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from agent.config.yaml_tree import Position
from runtime.support.record import field, record
from runtime.support.str_enum import StrEnum

AFTER_SECONDS = 300.0  # that another script must have run well, by default


class Arm(StrEnum):
    AUTOMATIC = "automatic"
    PAUSED = "paused"


@record
class Patterns:
    """Shell patterns: one must match, and none of those that begin with `!`."""

    texts: tuple[str, ...]

    def __str__(self) -> str:
        return " or ".join(f"'{text}'" for text in self.texts)


@record
class Bound:
    """`>=5.10`: a number with fewer parts is compared by these parts only, so 6.1.55 is not above 6.1."""

    operator: str
    number: tuple[int, ...]


@record
class Range:
    """Bounds that must all hold. `text`: as it was written."""

    text: str
    bounds: tuple[Bound, ...]

    def __str__(self) -> str:
        return f"'{self.text}'"


@record
class When:
    """Conditions on the host's facts; all must hold. The keys of `facts` are those of `when:`."""

    facts: Mapping[str, Patterns | Range] = field(default_factory=dict)
    labels: Mapping[str, Patterns] = field(default_factory=dict)


@record
class After:
    """Another script that must have run for so long without losses or breaches."""

    script: str
    seconds: float
    position: Position


@record
class Variant:
    """One way to write the script. Without a source of its own it has the script's, with other `defines`."""

    name: str
    file: Path | None = None
    text: str | None = None
    defines: Mapping[str, str] = field(default_factory=dict)


@record
class RolloutSettings:
    """Times are in seconds since 1970. `percent`: of all hosts; None: no limit."""

    when: When = When()
    percent: Decimal | None = None
    start: float | None = None
    end: float | None = None
    arm: Arm = Arm.AUTOMATIC
    after: After | None = None
    variants: tuple[Variant, ...] = ()
