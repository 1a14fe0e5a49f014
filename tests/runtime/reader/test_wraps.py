# SPDX-License-Identifier: GPL-2.0-or-later
"""Sums that grow beyond 64 bits are counted once each, by what a reader sees between two readings."""

from __future__ import annotations

import struct

import pytest

from runtime.abi.manifest import Statistic, Storage, Table, ValueType
from runtime.reader.device import Image
from runtime.reader.snapshot import SnapshotReader
from runtime.reader.wraps import WrapDetector
from runtime.support.record import replace
from tests.runtime.images import Plan

TOP = 1 << 63


def number(monotonic: bool = True) -> Table:
    plan = Plan(lanes=1)
    return replace(plan.array("t", {"k": None}, 8), monotonic=monotonic)


def rows(*values: int) -> bytes:
    return struct.pack(f"{len(values)}Q", *(v % (1 << 64) for v in values))


def test_each_sum_is_counted_once_a_lap() -> None:
    wraps = WrapDetector(number())
    assert wraps.seen(rows(TOP - 1, 5)) == 0
    assert wraps.seen(rows(TOP, 5)) == 1
    assert wraps.seen(rows(TOP + 7, 5, TOP)) == 2
    assert wraps.seen(rows(2 * TOP - 1, 5, TOP)) == 2, "near its end, and known"
    assert wraps.seen(rows(3, 5, 6)) == 2
    assert wraps.seen(rows(TOP, 5, 6)) == 3, "the next lap"


@pytest.mark.parametrize("value", [0, -1, -(1 << 62), TOP - 1, 1 << 62])
def test_other_values_are_no_wraps(value: int) -> None:
    """A counter that a script makes negative has its own metric."""
    assert WrapDetector(number()).seen(rows(value)) == 0


def test_a_gauge_may_have_every_value() -> None:
    assert WrapDetector(number(monotonic=False)).seen(rows(-TOP)) == 0


def test_the_sum_of_a_statistic_is_watched_and_nothing_else() -> None:
    plan = Plan(lanes=2)
    plan.array(
        "s", {"k": None}, 4, Storage.PERCPU, ValueType.STAT, 24, Statistic(count=0, sum=1, min=2)
    )
    image = plan.image()
    (table,) = plan.tables
    image.slot(table, 0, 2, (7,))
    reader = SnapshotReader(Image(image.data))
    image.row(table, 0, 0, 3, 1 << 62, -TOP)
    assert reader.read().tables[0].wrapped == 0
    image.row(table, 1, 0, 3, 1 << 62, -TOP)  # the two CPUs' sums together
    assert reader.read().tables[0].wrapped == 1
