# SPDX-License-Identifier: GPL-2.0-or-later
"""Values read from images with several lanes, deleted slots, wrapped numbers and damage."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.abi.histogram import upper_bounds
from runtime.abi.manifest import Histogram, HistogramKind, Statistic, Storage, Table, ValueType
from runtime.abi.structs import NO_PROBE, PROBE_COUNTS, Breach, State
from runtime.reader.device import Image
from runtime.reader.merge import StatValue
from runtime.reader.snapshot import SnapshotReader, TableReader, TableValues, read
from runtime.support.record import replace
from tests.runtime.images import Plan, Writer

S64 = st.integers(-(1 << 63), (1 << 63) - 1)


def table_of(image: Writer, table: Table) -> TableValues:
    values = read(Image(image.data)).tables
    return next(v for v in values if v.table.name == table.name)


def elements(image: Writer, table: Table) -> dict[tuple[int | str, ...], object]:
    found = table_of(image, table)
    assert len(found.keys) == len(found.values) == len(set(found.keys))
    return dict(zip(found.keys, found.values, strict=True))


def test_header_and_counts() -> None:
    plan = Plan(lanes=3)
    image = plan.image()
    for lane in range(3):
        image.in_lane(lane, 0, 10 + lane, 1, 2, 3, 4)
        image.in_lane(lane, PROBE_COUNTS.size, 100, 0, 0, 0, 0)
        image.in_lane(lane, plan.lane_counts, 5, 6, 7)
    struct.pack_into("<QIi", image.data, image.shared + 16, 9, 1, -2)
    found = read(Image(image.data))
    assert found.header.state is State.RUNNING
    assert (found.header.nr_lanes, found.header.memory, found.header.time_offset) == (3, 1 << 20, 7)
    first, second = found.probes
    assert first.probe is not second.probe
    assert (first.hits, first.skipped_reentrant, first.skipped_lock, first.errors) == (33, 3, 6, 9)
    assert first.cpu_ns == 12
    assert (first.missed, first.armed, first.error) == (0, False, 0)
    assert (second.hits, second.missed, second.armed, second.error) == (300, 9, True, -2)
    header = found.header
    assert (header.breach, header.breach_probe, header.disarms) == (Breach.NONE, NO_PROBE, 0)
    assert (found.lanes.events, found.lanes.events_lost, found.lanes.strings_cut) == (15, 18, 21)


def test_values_know_since_when_they_count() -> None:
    """The start that the module's header says, whoever reads it."""
    plan = Plan(lanes=1)
    plan.array("reads", {"pid": None}, 4)
    image = plan.image()
    started = struct.calcsize("<8sIIQQQQQQQQ")
    struct.pack_into("<Q", image.data, started, 1_700_000_000_000_000_001)
    found = read(Image(image.data))
    assert found.header.started_ns == 1_700_000_000_000_000_001
    assert [table.started_ns for table in found.tables] == [found.header.started_ns]


@given(st.lists(S64, min_size=1, max_size=12))
def test_scalar_is_the_wrapped_sum_of_its_lanes(lanes: list[int]) -> None:
    plan = Plan(lanes=len(lanes))
    total = plan.scalar("total")
    image = plan.image()
    for lane, value in enumerate(lanes):
        image.row(total, lane, 0, value)
    expected = struct.unpack("<q", struct.pack("<Q", sum(lanes) % (1 << 64)))[0]
    assert elements(image, total) == {(): expected}


def test_long_columns() -> None:
    """More rows than are added up at once, with carries everywhere, and partly idle lanes."""
    rows, lanes = 10_001, 5
    source = Random(rows)
    plan = Plan(lanes)
    table = plan.array("t", {"n": None}, capacity=rows)
    image = plan.image()
    expected = [0] * rows
    for n in range(rows):
        image.slot(table, n, 2, (n,))
        for lane in range(lanes):
            if n // 3000 != lane:
                value = source.getrandbits(64) - (1 << 63)
                image.row(table, lane, n, value)
                expected[n] += value
    found = table_of(image, table)
    assert found.keys == [(n,) for n in range(rows)]
    assert found.values == [(v + (1 << 63)) % (1 << 64) - (1 << 63) for v in expected]


@pytest.mark.parametrize("storage", [Storage.SHARED, Storage.CONSTANT])
def test_shared_scalars(storage: Storage) -> None:
    plan = Plan(lanes=2)
    number = plan.scalar("number", storage)
    text = plan.scalar("text", storage, ValueType.STRING, row_size=16)
    image = plan.image()
    image.row(number, 0, 0, -5)
    image.text(text, 0, b"caf\xc3\xa9 \xff\0junk")
    assert elements(image, number) == {(): -5}
    assert elements(image, text) == {(): "café \udcff"}


@pytest.mark.parametrize("lanes", [1, 2, 64])
def test_array_over_lanes(lanes: int) -> None:
    plan = Plan(lanes)
    # a second array after the first reveals a row that is read from the wrong offset
    reads = plan.array("reads", {"execname": 16, "fd": None}, capacity=4)
    writes = plan.array("writes", {"fd": None, "path": 24}, capacity=4)
    image = plan.image()
    image.slot(reads, 0, 2, ("sshd", 3))
    image.slot(reads, 1, 4, ("sixteen bytes ok", -1))
    image.slot(writes, 0, 2, (7, "/etc"))
    for lane in range(lanes):
        image.row(reads, lane, 0, 1)
        image.row(writes, lane, 0, 1000)
    image.row(reads, lanes - 1, 1, -9)
    image.in_lane(0, reads.dropped or 0, 5)
    assert elements(image, reads) == {("sshd", 3): lanes, ("sixteen bytes ok", -1): -9}
    assert elements(image, writes) == {(7, "/etc"): 1000 * lanes}
    assert (table_of(image, reads).dropped, table_of(image, writes).dropped) == (5, 0)


def test_keys_in_another_order_than_they_lie() -> None:
    plan = Plan(lanes=1)
    table = plan.array("t", {"b": None, "a": 8}, capacity=2)
    image = plan.image()
    image.slot(table, 0, 2, (1, "x"))
    turned = replace(table, keys=table.keys[::-1])
    view = Image(image.data)
    assert TableReader(turned).read(view).keys == [("x", 1)]


def test_only_live_slots_count() -> None:
    plan = Plan(lanes=1)
    table = plan.array("t", {"n": None}, capacity=8, storage=Storage.SHARED)
    image = plan.image()
    for slot, sequence in enumerate([2, 3, 0, 1, 0xFFFFFFFE, 6]):
        image.slot(table, slot, sequence, (slot,))
        image.row(table, 0, slot, 10 * slot)
    image.used(table, 5)
    assert elements(image, table) == {(0,): 0, (4,): 40}


def test_used_beyond_capacity_is_no_reason_to_read_on() -> None:
    plan = Plan(lanes=1)
    table = plan.array("t", {"n": None}, capacity=2)
    behind = plan.scalar("behind", Storage.SHARED)
    image = plan.image()
    image.slot(table, 0, 2, (1,))
    image.slot(table, 1, 2, (2,))
    image.row(behind, 0, 0, 2)  # a value that a live slot could begin with
    image.used(table, 3)
    assert elements(image, table) == {(1,): 0, (2,): 0}


def test_empty_array() -> None:
    plan = Plan(lanes=2)
    table = plan.array("t", {"n": None}, capacity=2)
    assert elements(plan.image(), table) == {}


class TestKeptReader:
    """One reader of a table that changes between readings."""

    @pytest.fixture
    def kept(self) -> Iterator[tuple[Writer, Table, SnapshotReader]]:
        plan = Plan(lanes=2)
        table = plan.array("t", {"s": 8, "n": None}, capacity=8, storage=Storage.SHARED)
        image = plan.image()
        for slot in range(3):
            image.slot(table, slot, 2, (f"k{slot}", slot))
            image.row(table, 0, slot, slot + 100)
        yield image, table, SnapshotReader(Image(image.data))

    def test_values_change(self, kept: tuple[Writer, Table, SnapshotReader]) -> None:
        image, table, reader = kept
        before = reader.read().tables[0]
        image.row(table, 0, 1, 7)
        after = reader.read().tables[0]
        assert before.values == [100, 101, 102]
        assert after.values == [100, 7, 102]
        assert after.key_pages[0] is before.key_pages[0]

    def test_keys_are_not_decoded_again(self, kept: tuple[Writer, Table, SnapshotReader]) -> None:
        image, table, reader = kept
        reader.read()
        # a key that changed without its sequence shows whether it was read
        image.slot(table, 1, 2, ("new", 9))
        assert reader.read().tables[0].keys[1] == ("k1", 1)
        image.sequence(table, 1, 4)
        assert reader.read().tables[0].keys == [("k0", 0), ("new", 9), ("k2", 2)]

    def test_delete_and_reuse(self, kept: tuple[Writer, Table, SnapshotReader]) -> None:
        image, table, reader = kept
        reader.read()
        image.sequence(table, 0, 3)
        found = reader.read().tables[0]
        assert (found.keys, found.values) == ([("k1", 1), ("k2", 2)], [101, 102])
        image.slot(table, 0, 4, ("again", 5))
        image.slot(table, 3, 2, ("k3", 3))
        image.row(table, 0, 0, 1)
        found = reader.read().tables[0]
        assert found.keys == [("again", 5), ("k1", 1), ("k2", 2), ("k3", 3)]
        assert found.values == [1, 101, 102, 0]
        for slot in range(4):
            image.sequence(table, slot, 9)
        assert reader.read().tables[0].keys == []


class Racing:
    """A region that is changed while it is read: a function runs before the nth slice."""

    def __init__(self, view: memoryview, actions: dict[int, object]) -> None:
        self.view = view
        self.actions = actions
        self.slices = 0

    def __getitem__(self, where: slice) -> memoryview:
        self.slices += 1
        action = self.actions.get(self.slices)
        if callable(action):
            action()
        return self.view[where]


class TestChangesWhileReading:
    """No write by a handler between two loads of the reader gives a key another key's value."""

    def outcomes(self, every: bool) -> Iterator[tuple[int, TableValues]]:
        """One read for each point in time at which the element in slot 0 can be replaced."""
        for moment in range(1, 12):
            plan = Plan(lanes=1)
            table = plan.array("t", {"s": 8}, capacity=4, storage=Storage.SHARED)
            image = plan.image()
            image.slot(table, 0, 2, ("old",))
            image.row(table, 0, 0, 1)
            image.slot(table, 1, 2, ("other",))
            image.row(table, 0, 1, 50)
            state = [2]

            def replace_element(
                image: Writer = image, table: Table = table, state: list[int] = state
            ) -> None:
                state[0] += 2
                image.slot(table, 0, state[0], (f"new{state[0]}",))
                image.row(table, 0, 0, state[0] * 1000)

            moments = range(moment, 200) if every else (moment,)
            view = Image(image.data)
            racing = Racing(view.shared, dict.fromkeys(moments, replace_element))
            reader = TableReader(table)
            view.__dict__["shared"] = racing
            yield moment, reader.read(view)

    @staticmethod
    def consistent(found: TableValues) -> bool:
        pairs: dict[object, object] = dict(
            zip((k[0] for k in found.keys), found.values, strict=True)
        )
        if pairs.pop("other", None) != 50:
            return False
        return all(
            value == (1 if key == "old" else int(str(key).removeprefix("new")) * 1000)
            for key, value in pairs.items()
        )

    def test_once(self) -> None:
        seen = set()
        for _, found in self.outcomes(every=False):
            assert self.consistent(found), found
            seen.add(found.keys[0][0])
        # the replacements were before, within and after the read
        assert seen == {"old", "new4"}

    def test_without_end(self) -> None:
        left_out = 0
        for _, found in self.outcomes(every=True):
            assert self.consistent(found), found
            left_out += len(found.keys) == 1
        assert left_out


ROW = Statistic(count=0, sum=1, min=2, max=3, mean=4, m2=5)


def stat_image(layout: Statistic, width: int, lanes: Sequence[Sequence[int]]) -> StatValue:
    plan = Plan(lanes=len(lanes))
    table = plan.scalar("s", value=ValueType.STAT, row_size=8 * width, statistic=layout)
    image = plan.image()
    for lane, words in enumerate(lanes):
        image.row(table, lane, 0, *words)
    (value,) = elements(image, table).values()
    assert isinstance(value, StatValue)
    return value


def test_statistic_over_lanes() -> None:
    # an idle lane's min and max are 0 and must not count
    value = stat_image(ROW, 6, [(2, 30, 10, 20, 15, 50), (0,) * 6, (1, -7, -7, -7, -7, 0)])
    assert (value.count, value.sum, value.min, value.max, value.avg) == (3, 23, -7, 20, 7)
    positive = stat_image(ROW, 6, [(0,) * 6, (2, 30, 10, 20, 15, 50)])
    assert (positive.min, positive.max, positive.variance) == (10, 20, 50)


def test_empty_statistic() -> None:
    value = stat_image(ROW, 6, [(0,) * 6] * 2)
    assert value == StatValue(0, 0, None, None, None)
    assert value.avg is None


@pytest.mark.parametrize(("sum_", "avg"), [(7, 3), (-7, -3), (-8, -4)])
def test_avg_rounds_towards_zero(sum_: int, avg: int) -> None:
    assert stat_image(ROW, 6, [(2, sum_, 0, 0, 0, 0)]).avg == avg


@given(st.lists(st.lists(st.integers(-(1 << 20), 1 << 20), max_size=20), min_size=1, max_size=6))
def test_variance_of_exact_parts(lanes: list[list[int]]) -> None:
    """Lanes with exact mean and m2 merge to the variance of all values together."""
    shift = 20
    values = [v for lane in lanes for v in lane]
    rows = []
    for lane in lanes:
        mean = sum(lane) / len(lane) if lane else 0.0
        m2 = round(sum((v - mean) ** 2 for v in lane) * 4**shift) if lane else 0
        # a row holds s64; larger ones have another test
        rows.append((len(lane), sum(lane), 0, 0, round(mean * 2**shift), m2))
    if any(abs(word) >= 1 << 63 for row in rows for word in row):
        return
    found = stat_image(replace(ROW, shift=shift), 6, rows).variance
    if len(values) < 2:
        assert found == (0 if values else None)
        return
    mean = sum(values) / len(values)
    squares = sum((v - mean) ** 2 for v in values)
    if squares * 4**shift >= 1 << 62:  # the kernel adds up in 64 bits
        return
    exact = squares / (len(values) - 1)
    assert found is not None
    assert abs(found - exact) <= 1 + exact * 1e-5


LOG2 = Histogram(HistogramKind.LOG2, word=1, buckets=65)


def test_histogram_adds_up_and_counts() -> None:
    layout = Statistic(sum=0, histogram=LOG2)
    a, b = [0] * 66, [0] * 66
    a[0], a[1 + 2], a[1 + 5] = 100, 3, 4
    b[0], b[1 + 5], b[1 + 64] = 11, 1, 2
    value = stat_image(layout, 66, [a, b, [0] * 66])
    assert (value.count, value.sum) == (10, 111)
    assert [n for n in enumerate(value.buckets) if n[1]] == [(2, 3), (5, 5), (64, 2)]


def test_histogram_tells_which_lanes_counted() -> None:
    layout = Statistic(min=0, histogram=LOG2)
    row = [5] + [0] * 65
    row[4] = 1
    assert stat_image(layout, 66, [[0] * 66, row]).min == 5


def test_statistic_array() -> None:
    plan = Plan(lanes=2)
    table = plan.array(
        "s", {"n": None}, 4, value=ValueType.STAT, row_size=48, statistic=ROW
    )  # fmt: skip
    image = plan.image()
    for slot in range(3):
        image.slot(table, slot, 2, (slot,))
        image.row(table, 0, slot, 1, slot, slot, slot, slot, 0)
        image.row(table, 1, slot, 1, slot + 2, slot + 2, slot + 2, slot + 2, 0)
    assert elements(image, table) == {(n,): StatValue(2, 2 * n + 2, n, n + 2, 2) for n in range(3)}


def log2_word(v: int) -> int:
    return 0 if v < 0 else 1 + v.bit_length()


def signed_word(v: int) -> int:
    return 64 - (-v).bit_length() if v < 0 else 64 + v.bit_length()


def linear_word(v: int, low: int, high: int, interval: int) -> int:
    if v < low:
        return 0
    return 1 + min((v - low) // interval, (high - low) // interval + 1)


class TestUpperBounds:
    """A value's bucket, as the kernel picks it, is the first whose bound is not below the value."""

    @staticmethod
    def first_bound(bounds: tuple[int, ...], value: int) -> int:
        return next((n for n, bound in enumerate(bounds) if value <= bound), len(bounds))

    @given(st.one_of(S64, st.integers(-5, 70), st.integers(0, 63).map(lambda k: (1 << k) - 1)))
    def test_log2(self, value: int) -> None:
        plain = Histogram(HistogramKind.LOG2, 0, 65)
        assert self.first_bound(upper_bounds(plain), value) == log2_word(value)
        signed = Histogram(HistogramKind.LOG2, 0, 128, negative=True)
        assert self.first_bound(upper_bounds(signed), value) == signed_word(value)

    def test_log2_starts(self) -> None:
        bounds = upper_bounds(Histogram(HistogramKind.LOG2, 0, 65))
        assert bounds[:6] == (-1, 0, 1, 3, 7, 15)
        assert (len(bounds), bounds[-1]) == (64, (1 << 62) - 1)

    @given(st.integers(-100, 100), st.integers(0, 50), st.integers(1, 20), st.data())
    def test_linear(self, low: int, span: int, interval: int, data: st.DataObject) -> None:
        high = low + span
        hist = Histogram(
            HistogramKind.LINEAR, 0, span // interval + 3, low=low, high=high, interval=interval
        )
        value = data.draw(st.integers(low - 30, high + 30))
        expected = linear_word(value, low, high, interval)
        assert self.first_bound(upper_bounds(hist), value) == expected

    def test_bounds(self) -> None:
        hist = Histogram(HistogramKind.BOUNDS, 0, 4, bounds=(1, 5, 10))
        assert upper_bounds(hist) == (1, 5, 10)


class TestDamage:
    """A manifest and an image that do not fit are refused, not read."""

    @pytest.mark.parametrize(
        "change",
        [
            {"rows": 1 << 30},
            {"rows": 4},
            {"row_size": 12},
            {"dropped": 1 << 40},
            {"keys": ()},
            {"value": ValueType.STAT},
            {"value": ValueType.STRING},
            {"statistic": Statistic(count=0)},
        ],
    )
    def test_table(self, change: dict[str, object]) -> None:
        plan = Plan(lanes=1)
        table = plan.array("t", {"n": None}, capacity=2)
        plan.tables[0] = replace(table, **change)
        with pytest.raises(ValueError, match="table 't'"):
            read(Image(plan.image().data))

    @pytest.mark.parametrize(
        "layout",
        [
            Statistic(count=6),
            Statistic(min=0),
            Statistic(count=0, mean=1),
            Statistic(histogram=Histogram(HistogramKind.LOG2, 0, 65)),
            Statistic(histogram=Histogram(HistogramKind.LINEAR, 0, 6, low=0, high=9, interval=9)),
            Statistic(histogram=Histogram(HistogramKind.BOUNDS, 0, 3, bounds=(2, 1))),
        ],
    )
    def test_statistic(self, layout: Statistic) -> None:
        plan = Plan(lanes=1)
        plan.scalar("s", value=ValueType.STAT, row_size=48, statistic=layout)
        with pytest.raises(ValueError, match="table 's'"):
            read(Image(plan.image().data))

    def test_image(self, tmp_path: Path) -> None:
        data = bytes(Plan(lanes=2).image().data)
        path = tmp_path / "image"
        path.write_bytes(data)
        with Image(path.read_bytes()) as image:
            assert len(image.lanes) == 2
        for bad in (b"", data[:100], data[:-1], b"x" + data[1:]):
            path.write_bytes(bad)
            with pytest.raises(ValueError, match=r"image|module"):
                Image(path.read_bytes())
        damaged = bytearray(data)
        damaged[4096] = ord("[")
        with pytest.raises(ValueError):
            Image(damaged).manifest()
