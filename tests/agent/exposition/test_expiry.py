# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements leave the page when they have not changed for their ttl, and come back when they do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.exposition.expiry import Expiry
from agent.exposition.selection import first
from runtime.abi.manifest import Storage, Table, ValueType, WhenFull
from runtime.reader.device import Image
from runtime.reader.snapshot import SnapshotReader
from runtime.reader.table import TableReader, TableValues
from runtime.support.record import replace
from tests.runtime.images import Plan, Writer

CAPACITY = 1200  # three pages


class World:
    def __init__(self, storage: Storage = Storage.PERCPU) -> None:
        plan = Plan(lanes=2)
        self.table = plan.array("t", {"k": None}, CAPACITY, storage)
        self.image: Writer = plan.image()
        self.reader = SnapshotReader(Image(self.image.data))
        self.expiry = Expiry(10)

    def put(self, slot: int, value: int, sequence: int = 2, key: int | None = None) -> None:
        self.image.slot(self.table, slot, sequence, (slot if key is None else key,))
        self.image.row(self.table, 1, slot, value)

    def shown(self, now: float) -> dict[int, object]:
        found = self.expiry.visible(self.reader.read().tables[0], now)
        return {int(k[0]): v for k, v in zip(found.keys, found.values, strict=True)}


@pytest.mark.parametrize("storage", [Storage.PERCPU, Storage.SHARED])
def test_an_element_is_hidden_until_it_changes(storage: Storage) -> None:
    world = World(storage)
    world.put(0, 5)
    world.put(1, 7)
    assert world.shown(100) == {0: 5, 1: 7}
    world.put(1, 8)
    assert world.shown(109) == {0: 5, 1: 8}
    assert world.shown(110) == {1: 8}, "ten seconds after it was first seen"
    world.put(0, 6)
    assert world.shown(115) == {0: 6, 1: 8}, "with its whole value"
    assert world.shown(119) == {0: 6}
    assert world.shown(200) == {}


def test_a_new_element_is_new_in_a_page_of_old_ones() -> None:
    world = World()
    for slot in range(600):
        world.put(slot, 1)
    assert len(world.shown(0)) == 600
    world.put(600, 1)
    assert len(world.shown(5)) == 601
    world.put(3, 2)
    assert world.shown(10) == {3: 2, 600: 1}


def test_another_element_in_a_slot_is_no_old_one() -> None:
    """With the same value, and the same key: it was deleted and added again."""
    world = World(Storage.SHARED)
    world.put(0, 5)
    world.put(1, 5)
    assert world.shown(0) == {0: 5, 1: 5}
    world.put(0, 5, sequence=4)
    world.put(1, 5, sequence=3)
    assert world.shown(9) == {0: 5}
    assert world.shown(12) == {0: 5}


def test_a_page_without_a_change_is_the_same_object() -> None:
    """What is cached for its keys holds."""
    world = World()
    for slot in range(600):
        world.put(slot, 1)
    found = world.reader.read().tables[0]
    shown = world.expiry.visible(found, 0)
    assert all(a is b for a, b in zip(found.key_pages, shown.key_pages, strict=True))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.integers(0, 9)), max_size=60))
def test_as_a_simple_model_does(steps: list[tuple[int, int, int]]) -> None:
    world = World()
    model: dict[int, tuple[int, float]] = {}
    now = 0.0
    for used, (slot, value, pause) in enumerate(steps):
        slot = min(slot, len(model))
        now += pause
        world.put(slot, value)
        if slot not in model or model[slot][0] != value:
            model[slot] = value, now
        expected = {s: v for s, (v, changed) in model.items() if changed > now - 10}
        assert world.shown(now) == expected, used


def overflowing(elements: int) -> TableValues:
    """With a row of all others, which holds 99."""
    plan = Plan(lanes=1)
    table = plan.array("t", {"k": None}, CAPACITY + 1)
    assert table.slots is not None
    slots = replace(table.slots, capacity=CAPACITY, when_full=WhenFull.OTHER)
    wanted: Table = replace(table, slots=slots)
    image = plan.image()
    for slot in range(elements):
        image.slot(table, slot, 2, (slot,))
        image.row(table, 0, slot, slot)
    image.row(table, 0, CAPACITY, 99)
    return TableReader(wanted).read(Image(image.data))


@pytest.mark.parametrize("elements", [0, 1, 512, 600, 1200])
@pytest.mark.parametrize("count", [0, 1, 2, 512, 513, 600, 1200, 1201, 5000])
def test_the_first_elements(elements: int, count: int) -> None:
    """The row of all others is one of them, as long as there is room for one."""
    found = first(overflowing(elements), count)
    expected: list[object] = [*range(min(elements, max(0, count - 1))), 99]
    assert found.values == (expected if count else [])
    assert len(found) == len(found.keys) == len(expected if count else [])
    assert sum(len(rows) for _, rows in found.pages()) == 8 * len(found)


def test_the_first_elements_of_pages_with_gaps() -> None:
    world = World(Storage.SHARED)
    for slot in range(600):
        world.put(slot, slot, sequence=2 + slot % 2)
    found = world.reader.read().tables[0]
    assert first(found, 3).values == [0, 2, 4]
    assert first(found, 257).values == [*range(0, 514, 2)]
    assert first(found, 300) is found


def test_the_row_of_all_others_never_expires() -> None:
    expiry = Expiry(1)
    for now in (0, 5):
        found = expiry.visible(overflowing(2), now)
    assert (found.keys, found.values) == ([()], [99])
    assert ValueType.LONG is found.table.value
