# SPDX-License-Identifier: GPL-2.0-or-later
"""The results of the bench: rows, as a Markdown table and as JSON.

Row("count calls", "instructions", 97.2, {"hand-written": 95.0}, 100).met   -> True
markdown("One event", [row])   -> "| work | unit | ours | ..."
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


@dataclass(frozen=True, slots=True)
class Row:
    """`ours` must not exceed `target`; None: not measured, or none is set. `note`: the reason why a target is
    not met."""

    name: str
    unit: str
    ours: float | None
    peers: dict[str, float] = field(default_factory=dict)
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.ours is not None and self.ours <= self.target


@dataclass(frozen=True, slots=True)
class Section:
    """One table; `notes` are printed below it."""

    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def to_json(sections: Iterable[Section]) -> str:
    rows = []
    for section in sections:
        for row in section.rows:
            tree = asdict(row)
            del tree["note"]
            rows.append({**tree, "met": row.met})
    return json.dumps({"rows": rows}, indent=2) + "\n"


def to_markdown(sections: Sequence[Section]) -> str:
    return "\n".join(_section(section) for section in sections)


def with_tables(text: str, tables: str) -> str:
    """A text with the part between its two marks replaced. Raises ValueError without them."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"no {BEGIN} ... {END}")
    return f"{before}{begin}\n{tables}{end}{after}"


def _section(section: Section) -> str:
    peers = list(dict.fromkeys(name for row in section.rows for name in row.peers))
    head = [section.title, "unit", "ours", "target", *peers]
    lines = [_line(head), _line(["---", "---", *["--:"] * (len(head) - 2)])]
    for row in section.rows:
        found = [number(row.peers.get(name)) for name in peers]
        lines.append(_line([row.name, row.unit, _ours(row), _target(row), *found]))
    notes = [*section.notes, *(f"{row.name}: {row.note}" for row in section.rows if row.note)]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), *([""] if notes else [])])


def _ours(row: Row) -> str:
    figure = "-" if row.ours is None else f"**{number(row.ours)}**"
    return figure if row.met is not False else f"{figure} (not met)"


def _target(row: Row) -> str:
    return "" if row.target is None else f"<= {number(row.target)}"


def number(value: float | None) -> str:
    """Three digits at least: 1,234 and 97.2 and 0.123."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
