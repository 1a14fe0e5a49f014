# SPDX-License-Identifier: GPL-2.0-or-later
"""A flame graph as an SVG that needs no script: each function is a bar, as wide as its weight.

    svg({("cat", "vfs_read"): 17, ("cat", "vfs_write"): 3}, "reads.stp")

Callers are below, the whole is the lowest bar. A bar's tooltip says its name, weight and share. The same
stacks give the same text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Final
from zlib import crc32

from agent.session.stacks import Stack

_WIDTH: Final = 1200
_ROW: Final = 17
_MARGIN: Final = 10
_TITLE: Final = 34  # height
_LETTER: Final = 6.6  # width of one at 11 pixels
_NARROWEST: Final = 0.2  # pixels; narrower bars are left out
_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" \
font-family="monospace" font-size="11">
<rect width="100%" height="100%" fill="#fffdf7"/>
<text x="{middle}" y="22" font-size="15" text-anchor="middle">{title}</text>
"""


class _Bar:
    __slots__ = ("callees", "weight")

    def __init__(self) -> None:
        self.weight = 0
        self.callees: dict[str, _Bar] = {}


def svg(stacks: Mapping[Stack, int], title: str) -> str:
    """The graph as text. `stacks`: the outermost function first."""
    whole = _tree(stacks)
    bars = list(_placed(whole))
    rows = max((row for row, *_ in bars), default=0) + 1
    height = _TITLE + rows * _ROW + _MARGIN
    head = _HEAD.format(width=_WIDTH, height=height, middle=_WIDTH // 2, title=_text(title))
    scale = (_WIDTH - 2 * _MARGIN) / max(whole.weight, 1)
    lines = (
        _drawn(name, weight, _MARGIN + start * scale, weight * scale, row, height, whole.weight)
        for row, name, start, weight in bars
        if weight * scale >= _NARROWEST
    )
    return head + "".join(lines) + "</svg>\n"


def _tree(stacks: Mapping[Stack, int]) -> _Bar:
    whole = _Bar()
    for stack, weight in stacks.items():
        bar = whole
        bar.weight += weight
        for name in stack:
            bar = bar.callees.setdefault(name, _Bar())
            bar.weight += weight
    return whole


def _placed(whole: _Bar) -> Iterator[tuple[int, str, int, int]]:
    """Row, name, start and weight of each bar; bars side by side are in the order of their names."""
    left: list[tuple[int, str, int, _Bar]] = [(0, "all", 0, whole)]
    while left:
        row, name, start, bar = left.pop()
        yield row, name, start, bar.weight
        for callee in sorted(bar.callees):
            left.append((row + 1, callee, start, bar.callees[callee]))
            start += bar.callees[callee].weight


def _drawn(
    name: str, weight: int, x: float, width: float, row: int, height: int, whole: int
) -> str:
    y = height - _MARGIN - (row + 1) * _ROW
    share = 100 * weight / whole
    label = _label(name, width)
    text = f'<text x="{x + 3:.2f}" y="{y + 12}">{_text(label)}</text>' if label else ""
    return (
        f"<g><title>{_text(name)} ({weight:,}, {share:.2f} %)</title>"
        f'<rect x="{x:.2f}" y="{y}" width="{width:.2f}" height="{_ROW - 1}" rx="1" fill="{_colour(name)}"/>'
        f"{text}</g>\n"
    )


def _label(name: str, width: float) -> str:
    """As much of a name as a bar has room for; "" if that tells nothing."""
    room = int((width - 6) / _LETTER)
    if len(name) <= room:
        return name
    return f"{name[: room - 2]}.." if room >= 5 else ""


def _colour(name: str) -> str:
    """A warm one, the same for each bar of a function."""
    mixed = crc32(name.encode(errors="surrogateescape"))
    return f"rgb({205 + mixed % 50},{90 + (mixed >> 8) % 110},{40 + (mixed >> 16) % 50})"


def _text(text: str) -> str:
    """A name as text of XML, in which control characters and halves of characters have no form."""
    return escape("".join(c if c.isprintable() else "?" for c in text))
