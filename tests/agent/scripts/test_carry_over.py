# SPDX-License-Identifier: GPL-2.0-or-later
"""Which tables go on in a changed script's module, and what is handed over. The module's side: the lab."""

from __future__ import annotations

import pytest

from agent.scripts.carry_over import CarryOver, difference
from agent.scripts.script import LoadedModule, Owner
from agent.scripts.turns import Turns
from runtime.abi.manifest import (
    Histogram,
    HistogramKind,
    Statistic,
    Storage,
    Table,
    ValueType,
)
from runtime.reader.device import DeviceError
from runtime.support.record import replace
from tests.agent.standin import StandInDevice, StandInKernel
from tests.runtime.images import Plan, Writer

COUNTS = Statistic(count=0, sum=1)


class Taking(StandInDevice):
    """Notes what it is given; `room` is how many elements of an array it takes."""

    room = 10

    def carry(self, table: Table, key: bytes, row: bytes) -> bool:
        taken.append((table.name, key, row))
        return sum(name == table.name for name, _, _ in taken) <= self.room


taken: list[tuple[str, bytes, bytes]] = []


def plan() -> Plan:
    """Rows are where the tables that came before leave room."""
    made = Plan(lanes=2)
    made.scalar("hits")
    made.array("reads", {"name": 8, "cpu": None}, 4)
    made.scalar("limit", Storage.SHARED)
    return made


def loaded(writer: Writer, name: str) -> LoadedModule:
    kernel = StandInKernel()
    return LoadedModule(Taking(kernel, name, writer), Owner(), Turns())


def lockable(writer: Writer) -> Writer:
    tables = [replace(t, lock=0) if t.slots is not None else t for t in writer.manifest.tables]
    return Writer(replace(writer.manifest, tables=tuple(tables)), 2)


@pytest.fixture
def writer() -> Writer:
    taken.clear()
    return lockable(plan().image())


def test_lanes_are_added_up_and_shared_rows_come_first(writer: Writer) -> None:
    hits, reads, limit = writer.manifest.tables
    writer.row(hits, 0, 0, 5)
    writer.row(hits, 1, 0, 2)
    writer.used(reads, 2)
    writer.slot(reads, 0, 2, ("a", 1))
    writer.slot(reads, 1, 2, ("b", 2))
    writer.row(reads, 0, 1, 7)
    writer.row(reads, 1, 1, 1)
    assert limit.storage is Storage.SHARED
    carry = CarryOver(loaded(writer, "old"), loaded(writer, "new"), {"hits", "reads", "limit"})
    carry.shared()
    assert taken == [("limit", b"", bytes(8))]
    taken.clear()
    carry.lanes()
    assert taken == [
        ("hits", b"", number(7)),
        ("reads", b"a".ljust(8, b"\0") + number(1), number(0)),
        ("reads", b"b".ljust(8, b"\0") + number(2), number(8)),
    ]
    assert carry.problems == {}


def test_only_what_is_to_go_on_does(writer: Writer) -> None:
    carry = CarryOver(loaded(writer, "old"), loaded(writer, "new"), {"hits", "gone"})
    carry.shared()
    carry.lanes()
    assert [name for name, _, _ in taken] == ["hits"]


def test_a_smaller_array(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Taking, "room", 1)
    reads = writer.manifest.tables[1]
    writer.used(reads, 3)
    for slot in range(3):
        writer.slot(reads, slot, 2, (f"p{slot}", 1))
    carry = CarryOver(loaded(writer, "old"), loaded(writer, "new"), {"reads"})
    carry.lanes()
    assert len(taken) == 2
    assert carry.problems == {"reads": "it is full: some elements start anew"}


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


def test_a_module_of_an_older_release(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It knows no such request: its values start anew, and it runs all the same."""

    def refuse(device: Taking, table: Table, key: bytes, row: bytes) -> bool:
        raise DeviceError(25, "cannot carry: inappropriate ioctl")

    monkeypatch.setattr(Taking, "carry", refuse)
    carry = CarryOver(loaded(writer, "old"), loaded(writer, "new"), {"hits", "limit"})
    carry.shared()
    carry.lanes()
    assert carry.problems == dict.fromkeys(("limit", "hits"), "cannot carry: inappropriate ioctl")


def test_the_first_version_has_nothing_to_go_on_from(writer: Writer) -> None:
    carry = CarryOver(None, loaded(writer, "new"), {"hits"})
    carry.shared()
    assert carry.is_empty and taken == []


def changed(table: Table, **what: object) -> Table:
    return replace(table, **what)


def test_what_cannot_go_on() -> None:
    hits, reads, limit = lockable(plan().image()).manifest.tables
    assert reads.slots is not None
    other = changed(reads, rows=800, slots=replace(reads.slots, capacity=99, head=640))
    assert difference(reads, other) == "", "where a table is, and how many it can hold, may differ"
    assert difference(reads, changed(reads, keys=reads.keys[:1])) == "its keys differ"
    longer = tuple(replace(key, size=16) for key in reads.keys)
    assert difference(reads, changed(reads, keys=longer)) == "its keys differ"
    assert difference(hits, changed(hits, value=ValueType.STRING)) == "its type differs"
    assert "buckets" in difference(
        changed(hits, value=ValueType.STAT, statistic=COUNTS),
        changed(
            hits,
            value=ValueType.STAT,
            statistic=replace(COUNTS, histogram=Histogram(HistogramKind.LOG2, 2, 4)),
        ),
    )
    assert "one version" in difference(hits, changed(hits, storage=Storage.SHARED))
    counter = changed(limit, monotonic=True)
    assert "cannot be added to while they run" in difference(counter, counter)
    spread = changed(hits, value=ValueType.STAT, statistic=replace(COUNTS, min=2))
    assert "minimum" in difference(spread, spread)
    assert "older release" in difference(changed(reads, lock=None), changed(reads, lock=None))
    assert difference(limit, limit) == ""
