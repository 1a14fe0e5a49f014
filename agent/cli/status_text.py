# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers and tables of `stapwatch status` for people.

duration(11_520)   -> "3 h"        cost(1530.0)  -> "1.53 us"      rate(4711.3) -> "4,711"
columns([["SCRIPT", "HITS/S"], ["vfs", "12"]], right={1})  -> ["SCRIPT  HITS/S", "vfs         12"]
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

NOTHING = "-"  # a number that nobody has
_INDENT = "    "


def duration(seconds: float) -> str:
    """In its largest unit: 12 s, 5 min, 3 h, 2 d."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {name}"
    return f"{max(0.0, seconds) // 1:.0f} s"


def rate(value: float | None) -> str:
    """A number a second: 4,711; a small one with a digit."""
    if value is None:
        return NOTHING
    return f"{value:.1f}" if 0 < value < 10 else f"{value:,.0f}"


def cost(ns: float | None) -> str:
    """Three digits with their unit: 96 ns, 1.53 us, 12 ms."""
    if ns is None:
        return NOTHING
    for size, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if ns >= size:
            return f"{ns / size:.3g} {name}"
    return f"{ns:.0f} ns"


def share(value: float | None) -> str:
    """A share of all CPUs' time, in percent: 12.3 %."""
    if value is None:
        return NOTHING
    return "<0.01 %" if 0 < value < 0.0001 else f"{100 * value:.3g} %"


def memory(size: int | None) -> str:
    if size is None:
        return NOTHING
    if size < 1 << 20:
        return f"{size / (1 << 10):,.0f} KiB"
    return f"{size / (1 << 20):,.1f} MiB"


def number(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def columns(rows: Sequence[Sequence[str]], right: AbstractSet[int] = frozenset()) -> list[str]:
    """Lines with columns of equal width; `right`: the columns of numbers."""
    if not rows:
        return []
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(_cells(row, widths, right)).rstrip() for row in rows]


def _cells(row: Sequence[str], widths: Sequence[int], right: AbstractSet[int]) -> list[str]:
    return [
        cell.rjust(width) if n in right else cell.ljust(width)
        for n, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]


def without_empty(
    rows: Sequence[Sequence[str]], right: AbstractSet[int] = frozenset()
) -> tuple[list[list[str]], set[int]]:
    """The rows, the first of which is the head, without columns that say nothing; what is `right` then."""
    kept = [n for n in range(len(rows[0])) if any(row[n] not in ("", NOTHING) for row in rows[1:])]
    return [[row[n] for n in kept] for row in rows], {at for at, n in enumerate(kept) if n in right}


def indented(text: str, width: int | None) -> list[str]:
    """A sentence below its row; None: on one line, however long."""
    text = " ".join(text.split("\n"))
    if width is None:
        return [f"{_INDENT}{text}"]
    return textwrap.wrap(
        text,
        max(40, width),
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
