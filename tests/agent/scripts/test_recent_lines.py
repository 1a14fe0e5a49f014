# SPDX-License-Identifier: GPL-2.0-or-later
"""The last lines of a script: bounded, numbered, and given once."""

from __future__ import annotations

from agent.scripts.recent_lines import RecentLine, RecentLines


def filled(count: int) -> RecentLines:
    lines = RecentLines()
    for number in range(1, count + 1):
        lines.add("info", number * 1_500_000_000, "begin", f"line {number}")
    return lines


def test_only_new_lines_are_given() -> None:
    lines = filled(3)
    assert lines.after(0)[0] == RecentLine(1, 1.5, "info", "begin", "line 1")
    assert [line.number for line in lines.after(1)] == [2, 3]
    assert lines.after(3) == []


def test_a_number_of_another_agent_gives_all() -> None:
    assert [line.number for line in filled(2).after(17)] == [1, 2]


def test_they_are_bounded() -> None:
    lines = filled(1000)
    assert [line.number for line in lines.after(0)] == list(range(801, 1001))
    lines.add("info", 0, "", "x" * 10_000)
    assert len(lines.after(1000)[0].text) == 500
