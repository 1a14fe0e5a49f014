# SPDX-License-Identifier: GPL-2.0-or-later
"""What a compile can be told: limits (by SystemTap's names), export, and how statistics are kept."""

from __future__ import annotations

from collections.abc import Mapping

from runtime.manifest import Histogram
from runtime.record import dataclass, field, replace

MINIMUM_RING = 4096


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold in the kernel; sizes in bytes."""

    MAXACTION: int = 1000
    MAXACTION_INTERRUPTIBLE: int = 10000
    MAXNESTING: int = 10
    MAXSTRINGLEN: int = 512
    MAXMAPENTRIES: int = 2048
    MAXERRORS: int = 0
    MAXSKIPPED: int = 100
    KRETACTIVE: int = 0
    RINGSIZE: int = 262144


@dataclass(frozen=True, slots=True)
class Options:
    """`strict`: a full array is the script's error (a session's rule) and not only counted.

    `export`: statistics keep buckets for a reader. `histograms` and `capacities`: by global.
    """

    limits: Limits = Limits()
    strict: bool = False
    export: bool = True
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    capacities: Mapping[str, int] = field(default_factory=dict)


def with_defines(limits: Limits, defines: Mapping[str, str]) -> tuple[Limits, list[str]]:
    """Limits changed by `-D NAME=VALUE`; also the definitions that are no limit or no number."""
    known = {name: int(v, 0) for name, v in defines.items() if name in Limits.__slots__ and _is(v)}
    rest = [f"{name}={v}" for name, v in defines.items() if name not in known]
    return replace(limits, **known), rest


def _is(text: str) -> bool:
    try:
        return int(text, 0) >= 0
    except ValueError:
        return False
