# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/reliability.md has the faults that tests/system/reliability/ does, and what was seen of each."""

from __future__ import annotations

from tests.system.reliability import document
from tests.system.reliability.fault import COUNTED, Fault
from tests.system.reliability.scene import Cost
from tests.system.reliability.table import FAULTS

FAULT = Fault(
    "a fault", lambda scene: None, "everything", "nothing", "nothing", says=("2 ... end",)
)
NONE = dict.fromkeys(COUNTED, 0)


def test_the_document_is_made_of_the_faults() -> None:
    text = document.FILE.read_text()
    assert document.render(FAULTS, document.seen(text)) == text, (
        "python -m tests.system.reliability --update"
    )
    assert all(all(row) for row in document.seen(text).values()), "a fault that nobody has done"


def test_what_was_seen_comes_back() -> None:
    made, counted = {**NONE, "calls": 4711}, {**NONE, "calls": 4700}
    row = document.outcome(Cost(made, counted, {"event": 11}, {"reads": 1}, ""))
    assert row == (
        "4,711 calls, 0 reads, 0 lines, 0 errors",
        "4,700, 0, 0, 0",
        "11 event",
        "1 of reads",
    )
    assert document.seen(document.render([FAULT], {FAULT.name: row})) == {FAULT.name: row}
    other = document.outcome(Cost(counted, counted, {"event": 1}, {"reads": 9}, ""))
    assert document.comparable(row) == document.comparable(other)
    nothing_lost = document.outcome(Cost(made, counted, {}, {}, ""))
    assert document.comparable(row) != document.comparable(nothing_lost)


def test_lines_are_found_by_their_parts() -> None:
    assert FAULT.unsaid("the first\nthese 2 ends end here\n") == []
    assert FAULT.unsaid("these 2\nend here\n") == ["2 ... end"]
