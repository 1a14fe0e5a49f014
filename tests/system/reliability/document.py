# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/reliability.md: an introduction, a row for each fault, and a row for what was seen of it.

render(faults, {"kill -9 of the agent": Seen("420 calls, ...", ...)})   -> the document
seen(document)                                                          -> the second argument
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tests import PROJECT
from tests.system.reliability.fault import COUNTED, Fault
from tests.system.reliability.scene import Cost

FILE = PROJECT / "docs/reliability.md"
HEAD = """\
# Reliability

What becomes of counts, lines and scripts when something goes wrong. `tests/system/reliability/` does each of these
faults to one running service, in a guest with a real kernel and systemd, as a part of `make test`:

- A program makes system calls, reads and failed opens all the time, and counts them. Scripts count the same, print a line
  for each open, keep a histogram of the reads, and fail on purpose.
- A Prometheus server scrapes every second. When a fault is over the load pauses, and all samples that Prometheus has
  stored are added up, resets included. The sum must be what the program has made, less what `stapwatch_lost_total` counts
  (docs/losses.md). Each line must be in the journal or be counted as lost.
- When a reload replaces a script's module, an event of those microseconds may find both versions or none.
- The kernel's log must have no complaint, and the journal must have the lines that are quoted here; `...` stands for what
  varies.

| fault | what goes on | what may be lost, and where it is counted | what you see | what to do |
|---|---|---|---|---|
"""
SEEN = """
## Seen

What the program has made, what Prometheus and the journal had of it, and how often Prometheus saw a counter begin anew.
`python -m tests.system.reliability --update` has written this table; each run of the test compares it, except for the
numbers and the resets.

| fault | made | counted | counted as lost | resets |
|---|---|---|---|---|
"""
Row = tuple[str, ...]  # the columns of the second table after the fault


def render(faults: Iterable[Fault], outcomes: Mapping[str, Row]) -> str:
    """`outcomes`: by the fault's name."""
    rows = [
        (fault.name, fault.goes_on, fault.lost, _quoted(fault.visible), fault.recovery)
        for fault in faults
    ]
    found = [(fault.name, *outcomes.get(fault.name, ("",) * 4)) for fault in faults]
    return f"{HEAD}{_table(rows)}{SEEN}{_table(found)}"


def _quoted(texts: Iterable[str]) -> str:
    return "; ".join(f"`{text}`" for text in texts) or "nothing"


def _table(rows: Iterable[Row]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def seen(document: str) -> dict[str, Row]:
    """The rows of the second table."""
    lines = document.partition(SEEN)[2].splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    return {row[0].strip(): tuple(text.strip() for text in row[1:]) for row in rows}


def outcome(cost: Cost) -> Row:
    """`("420 calls, 105 reads, 21 lines, 0 errors", "420, 105, 21, 0", "none", "none")`"""
    made = ", ".join(f"{cost.made[name]:,} {name}" for name in COUNTED)
    counted = ", ".join(f"{cost.counted[name]:,}" for name in COUNTED)
    lost = ", ".join(f"{count:,} {reason}" for reason, count in sorted(cost.lost.items()))
    resets = ", ".join(f"{count} of {name}" for name, count in cost.resets.items() if count)
    return made, counted, lost or "none", resets or "none"


def comparable(row: Row) -> Row:
    """Without numbers, and without resets: whether Prometheus sees one depends on the moment of a scrape."""
    return tuple(re.sub(r"\d[\d,]*", "N", text) for text in row[:-1])
