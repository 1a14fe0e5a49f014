# SPDX-License-Identifier: GPL-2.0-or-later
"""What a script has lost, by reason, and whether its numbers are complete; and the page that explains it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.config.settings import LogSettings, ScriptSettings
from agent.config.yaml_tree import Position
from agent.daemon import losses
from agent.daemon.losses import LOSSES, PAGE_REASONS
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.exposition.render import Format
from agent.scripts.script import Script
from agent.scripts.script_log import ScriptLog
from runtime.abi import structs
from runtime.reader.device import Image
from runtime.reader.snapshot import Snapshot, SnapshotReader
from runtime.support.record import replace
from tests.agent.pages import parsed
from tests.runtime.images import Plan, Writer

DOCS = Path(__file__).resolve().parents[3] / "docs" / "losses.md"


class World:
    """One script with its module's image."""

    def __init__(self) -> None:
        plan = Plan(lanes=2)
        table = plan.array("t", {"k": None}, 4)
        total = plan.array("total", {"k": None}, 4)
        total = replace(total, monotonic=True, replaced=plan._room(total.storage, 8))
        plan.tables[-1] = total
        self.plan, self.t, self.total = plan, table, total
        self.image: Writer = plan.image()
        self.reader = SnapshotReader(Image(self.image.data))
        settings = ScriptSettings("s", Position("x.yaml", 1, 1))
        self.script = Script("s", settings, ScriptLog("s", LogSettings()))

    def probe(self, word: int, value: int) -> None:
        self.image.in_lane(1, 8 * word, value)

    @property
    def shot(self) -> Snapshot:
        return self.reader.read()

    def table(self) -> dict[str, int]:
        return {r: n for r, n in losses.table(self.script, self.shot).items() if n}

    @property
    def complete(self) -> bool:
        return losses.is_complete(self.script, self.shot)


def missed(world: World) -> None:
    struct.pack_into("<Q", world.image.data, world.image.shared, 3)


def disarmed(world: World) -> None:
    world.image.header[-2] = 3
    world.image.put_header()


def wrapped(world: World) -> None:
    for slot in range(3):
        world.image.slot(world.total, slot, 2, (slot,))
        world.image.row(world.total, 0, slot, -(1 << 63))


CAUSES: dict[str, Callable[[World], None]] = {
    "reentrant": lambda w: w.probe(1, 3),
    "lock": lambda w: w.probe(2, 3),
    "error": lambda w: w.probe(3, 3),
    "missed": missed,
    "disarmed": disarmed,
    "array_full": lambda w: w.image.in_lane(0, w.t.dropped or 0, 3),
    "array_replaced": lambda w: w.image.in_lane(0, w.total.replaced or 0, 3),
    "wrapped": wrapped,
    "event": lambda w: w.image.in_lane(0, w.plan.lane_counts, 9, 3),
    "string": lambda w: w.image.in_lane(1, w.plan.lane_counts + 16, 3),
    "log_rate": lambda w: w.script.log.limit.dropped.update({"x.stp:1:1": 3}),
    "log_full": lambda w: setattr(w.script.log.lines, "refused", 3),
    **{
        reason: lambda w, r=reason: losses.note_page({"s": w.script}, {r: {"s": 3}})  # type: ignore[misc]
        for reason in PAGE_REASONS
    },
}


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.reason)
def test_each_loss_is_counted_under_its_reason_and_no_other(loss: losses.Loss) -> None:
    world = World()
    assert (world.table(), world.complete) == ({}, True)
    CAUSES[loss.reason](world)
    assert world.table() == {loss.reason: 3}
    assert world.complete is not loss.numbers


def test_what_one_page_left_out_is_missing_on_that_page_only() -> None:
    world = World()
    for left_out, total in ((3, 3), (2, 5), (0, 5)):
        losses.note_page({"s": world.script}, {"series": {"s": left_out, "other script": 7}})
        assert (world.table()["series"], world.complete) == (total, not left_out)


def test_a_probe_that_is_not_attached_makes_numbers_incomplete() -> None:
    world = World()
    struct.pack_into("<QIi", world.image.data, world.image.shared, 0, 0, -2)
    assert not world.complete
    struct.pack_into("<QIi", world.image.data, world.image.shared, 0, 0, structs.WAITING)
    assert world.complete, "what is not loaded is not called"


def test_a_script_without_a_module_is_not_complete_and_keeps_the_agents_counts() -> None:
    world = World()
    losses.note_page({"s": world.script}, {"series": {"s": 3}})
    found = losses.table(world.script, None)
    assert found.keys() == {loss.reason for loss in LOSSES if loss.by_agent is not None}
    assert found["series"] == 3 and not losses.is_complete(world.script, None)


@pytest.mark.parametrize("form", list(Format), ids=lambda form: form.name.lower())
def test_every_reason_is_a_series_from_the_start(form: Format) -> None:
    world = World()
    metrics = SelfMetrics(Health(), {"s": world.script}, {"s": world.shot})
    families = parsed(metrics.render(form), form)
    name = "stapwatch_lost_total" if form is Format.TEXT else "stapwatch_lost"
    family = families.get(name) or families["stapwatch_lost"]
    assert {s.labels["reason"] for s in family.samples} == {loss.reason for loss in LOSSES}
    assert all(s.value == 0 for s in family.samples)
    assert [s.value for s in families["stapwatch_script_complete"].samples] == [1]


def test_the_documented_table_is_this_one() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \| (.*?) \|$", DOCS.read_text(), re.MULTILINE)
    assert rows == [
        (loss.reason, loss.of, loss.text, "yes" if loss.numbers else "no") for loss in LOSSES
    ]
