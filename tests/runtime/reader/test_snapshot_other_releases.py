# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules of other releases, whose structures are shorter or longer than those of this one."""

from __future__ import annotations

import struct

import pytest

from runtime.abi import structs
from runtime.abi.manifest import Argument, ValueType
from runtime.abi.structs import FIRST_SIZES, EventKind, Header, Sizes
from runtime.events.decode import decode
from runtime.reader import snapshot
from runtime.reader.device import Image
from runtime.support.record import replace
from tests.runtime.images import HERE, Plan, Writer, encoded, event, packed, with_print

GROWN = Sizes(HERE.header + 64, HERE.probe_counts + 16, HERE.probe_status + 8,
              HERE.lane_counts + 24, HERE.event + 8, HERE.start + 40)  # fmt: skip
SHORTER = replace(HERE, probe_counts=HERE.probe_counts - 8, lane_counts=HERE.lane_counts - 8)


def image(sizes: Sizes) -> Writer:
    """An image as a release with such structures makes it: two probes, a scalar and an array behind them."""
    plan = Plan(lanes=2)
    plan.lane_counts = 2 * sizes.probe_counts
    plan.lane_size = plan.lane_counts + sizes.lane_counts
    plan.shared_size = 2 * sizes.probe_status
    plan.scalar("total")
    by_name = plan.array("by_name", {"name": 16}, capacity=4)
    writer = plan.image()
    writer.header[21] = packed(sizes)
    writer.put_header()
    for lane in range(2):
        words = sizes.probe_counts // 8
        for probe in range(2):
            counts = [100 * probe + 10 * (n + 1) for n in range(words)]
            writer.in_lane(lane, probe * sizes.probe_counts, *counts)
        counts = list(range(1, sizes.lane_counts // 8 + 1))
        writer.in_lane(lane, plan.lane_counts, *counts)
        writer.row(plan.tables[0], lane, 0, 21)
        writer.row(by_name, lane, 0, 5)
    for probe in range(2):
        status = struct.pack("<QIi", probe + 7, 1, 0).ljust(sizes.probe_status, b"\xff")
        at = writer.shared + probe * sizes.probe_status
        writer.data[at : at + len(status)] = status
    writer.slot(by_name, 0, 2, ("sshd",))
    return writer


@pytest.mark.parametrize("sizes", [HERE, GROWN, SHORTER], ids=["same", "longer", "shorter"])
def test_all_numbers_are_read(sizes: Sizes) -> None:
    with Image(image(sizes).data) as found:
        assert found.sizes == sizes
        shot = snapshot.read(found)
    known = min(sizes.probe_counts, HERE.probe_counts) // 8
    first, second = shot.probes
    assert [first.hits, first.skipped_reentrant, first.skipped_lock, first.errors] == [
        20,
        40,
        60,
        80,
    ]
    assert second.hits == 220
    assert first.cpu_ns == (100 if known == 5 else 0), "0: that release did not count it"
    assert [p.missed for p in shot.probes] == [7, 8]
    assert all(p.armed and not p.error for p in shot.probes)
    cut = 6 if sizes.lane_counts >= HERE.lane_counts else 0
    assert (shot.lanes.events, shot.lanes.events_lost, shot.lanes.strings_cut) == (2, 4, cut)
    assert [list(table.values) for table in shot.tables] == [[42], [10]]


def test_a_header_without_sizes_is_of_the_first_release() -> None:
    writer = Plan(lanes=1).image()
    writer.header[21] = b""
    writer.put_header()
    assert Header.unpack(bytes(writer.data)).sizes == FIRST_SIZES


def test_what_is_sent_has_the_size_that_the_module_asks_for() -> None:
    start = structs.START.pack(3, 0, 0, b"UTC", b"", b"", 0)
    assert structs.fitted(start, GROWN.start) == start + bytes(40)
    assert structs.fitted(start, 24) == start[:24]
    assert structs.start_request(structs.START.size) == structs.IOC_START


@pytest.mark.parametrize("more", [0, 8])
def test_events_with_a_longer_head(more: int) -> None:
    manifest = with_print(Plan(lanes=1).manifest(), "%d\n", Argument("n", ValueType.LONG))
    record = event(EventKind.PRINT, bytes(more) + encoded(4711), time_ns=9)
    [found] = decode(record + record, manifest, structs.EVENT.size + more)[:1]
    assert (found.time_ns, found.args) == (9, (4711,))
