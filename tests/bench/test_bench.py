# SPDX-License-Identifier: GPL-2.0-or-later
"""The bench measures every row, with few rounds, and refuses results of work that was not done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab import DEFAULT_KERNEL, Image, LabError
from tests.bench import compiling, events, metering, scraping
from tests.bench.rows import Row, Section, to_json, to_markdown, with_tables
from tests.bench.shapes import SHAPES

ROWS = (
    Row("count", "instructions", 46.8, {"hand-written": 36.1}, 100),
    Row("late", "ms", 12.0, {"peer": 313.0}, 10, note="it waits"),
    Row("free", "ms", 1234.5),
    Row("endless", "s", None, target=1),
)


def test_json_has_exactly_these_fields() -> None:
    assert json.loads(to_json([Section("One", ROWS)])) == {
        "rows": [
            {
                "name": "count",
                "unit": "instructions",
                "ours": 46.8,
                "peers": {"hand-written": 36.1},
                "target": 100,
                "met": True,
            },
            {
                "name": "late",
                "unit": "ms",
                "ours": 12.0,
                "peers": {"peer": 313.0},
                "target": 10,
                "met": False,
            },
            {
                "name": "free",
                "unit": "ms",
                "ours": 1234.5,
                "peers": {},
                "target": None,
                "met": None,
            },
            {
                "name": "endless",
                "unit": "s",
                "ours": None,
                "peers": {},
                "target": 1,
                "met": False,
            },
        ]
    }


def test_markdown_tells_what_is_not_met() -> None:
    assert to_markdown([Section("One", ROWS, ("a note",))]) == (
        "| One | unit | ours | target | hand-written | peer |\n"
        "| --- | --- | --: | --: | --: | --: |\n"
        "| count | instructions | **46.8** | <= 100 | 36.1 |  |\n"
        "| late | ms | **12** (not met) | <= 10 |  | 313 |\n"
        "| free | ms | **1,234** |  |  |  |\n"
        "| endless | s | - (not met) | <= 1 |  |  |\n"
        "\n"
        "- a note\n"
        "- late: it waits\n"
    )


def test_tables_go_between_the_marks() -> None:
    text = "a\n<!-- bench -->\nold\n<!-- /bench -->\nb\n"
    assert with_tables(text, "new\n") == "a\n<!-- bench -->\nnew\n<!-- /bench -->\nb\n"
    with pytest.raises(ValueError, match="no <!-- bench -->"):
        with_tables("a", "new\n")


@pytest.mark.parametrize(
    ("counted", "fits"), [(200, True), (203, True), (199, False), (204, False), (0, False)]
)
def test_what_was_not_counted_is_no_figure(counted: int, fits: bool) -> None:
    step = events.step(SHAPES[0], "x", "script", 200, 200, 203)
    base = {"ns": 10.0, "counted": 0, "fault": None}
    found = {SHAPES[0].base: base, "x": {"ns": 11.0, "counted": counted, "fault": None}}
    if fits:
        good, notes = events.check([step], found)
        assert good["x"]["cost"] == 1.0
        assert notes == []
    else:
        with pytest.raises(LabError, match=f"counted {counted} events, not 200 to 203"):
            events.check([step], found)


def test_a_peer_that_fails_stops_nothing() -> None:
    ours = events.step(SHAPES[0], "ours", "script", 200, 200, 203)
    peer = events.step(SHAPES[0], "peer", "command", 200, 200, 400)
    done = {"ns": 11.0, "counted": 200, "fault": None}
    base = {"ns": 10.0, "counted": 0, "fault": None}
    failed: dict[str, Any] = {"fault": "Traceback:\nRuntimeError: it never got ready"}
    found = {SHAPES[0].base: base, "ours": done, "peer": failed}
    good, notes = events.check([ours, peer], found)
    assert good.keys() == {"ours"}
    assert notes == ["peer: no figure: RuntimeError: it never got ready"]


def test_a_sample_costs_what_a_second_has_more() -> None:
    shape = next(shape for shape in SHAPES if shape.sampled)
    step = events.step(shape, "x", "script", 200, 1, 9)
    # a tenth of the time goes into 1,000 samples a second
    assert events.cost(step, {"ns": 10_000.0}, {"ns": 9_000.0}) == 100_000


def test_events(tmp_path: Path) -> None:
    section = events.measure("6.1", tmp_path / "events", with_peers=False, reads=20_000)
    units = (events.UNIT, events.EMULATED)
    rows = [row for row in section.rows if row.unit in units]
    starts = [row for row in section.rows if row.unit not in units]
    assert len(rows) == len(SHAPES) and len(starts) == sum(shape.starts for shape in SHAPES)
    for row, shape in zip(rows, SHAPES, strict=True):
        # a tick of the clock that falls into a window weighs an instruction or two a read
        hook = row.peers.get("hook alone", 10) - 5
        assert row.ours is not None and 0 < hook < row.ours < 20_000, row
        assert not shape.hand or hook < row.peers["hand-written"], row
    assert all(row.ours is not None and 0 < row.ours < 10 for row in starts), starts
    explained = events.explained(rows[0], SHAPES[0], tmp_path / "events")
    assert "probe_0" in explained.note


def test_metering(tmp_path: Path) -> None:
    """With few hits a sample more or less is some percent."""
    section = metering.measure("6.1", tmp_path / "metering", reads=30_000)
    assert [row.name.split(" (")[0] for row in section.rows] == [k.name for k in metering.KINDS]
    for row in section.rows:
        assert row.ours is not None and row.ours < (25 if row.target else 75), row


def test_scrapes() -> None:
    section = scraping.measure(
        Image.ensure(DEFAULT_KERNEL), series=1280, sets=20, rounds=2, many=2000
    )
    assert len(section.rows) == 9
    assert all(row.ours is not None and row.ours > 0 for row in section.rows)


@pytest.mark.long
def test_compiling(tmp_path: Path) -> None:
    wildcard = 'kernel.function("vfs_rea*")'
    section = compiling.measure(tmp_path / "compile", rounds=1, many=2, wildcards=wildcard)
    assert len(section.rows) == 9
    assert all(row.ours is not None and row.ours > 0 for row in section.rows)
