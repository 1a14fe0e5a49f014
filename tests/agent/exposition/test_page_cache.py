# SPDX-License-Identifier: GPL-2.0-or-later
"""Scrapes of tables that change: the page cache must never serve stale values.

A long-lived reader with its pages is compared with a simple one that caches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.exposition.families import Member, plan
from agent.exposition.render import Exposition, Format
from agent.exposition.samples import escape
from runtime.abi.histogram import upper_bounds
from runtime.abi.manifest import Histogram, HistogramKind, Statistic, Storage, Table, ValueType
from runtime.reader.device import Image
from runtime.reader.merge import StatValue
from runtime.reader.snapshot import SnapshotReader, read
from runtime.reader.table import TableValues
from runtime.support.record import replace
from tests.agent.exposition.test_wire_families import rounded
from tests.agent.pages import samples
from tests.runtime.images import Plan, Writer

LANES, CAPACITY = 3, 300  # two pages of numbers, many of statistics
LOG2 = Histogram(HistogramKind.LOG2, 1, 65)
FIXED = Histogram(HistogramKind.BOUNDS, 2, 4, bounds=(-5, 0, 1 << 60))
NAMES = st.sampled_from(["sshd", 'a"b', "50%", "%d", "c\\n\n", "grün", ""])
# beyond 2^53 as well; small enough that three lanes do not wrap
LONGS = st.integers(-(1 << 61), 1 << 61)
Exact = dict[str, Decimal]


@dataclass
class World:
    """An image, and the reader and exposition that cache its pages between scrapes."""

    image: Writer = field(init=False)
    reader: SnapshotReader = field(init=False)
    exposition: Exposition = field(init=False)

    def __post_init__(self) -> None:
        new = Plan(LANES)
        new.array("reads", {"who": 16, "n": None}, CAPACITY)
        new.array("wait_ns", {"who": 16, "n": None}, CAPACITY, Storage.SHARED)
        new.array(
            "size", {"who": 16, "n": None}, CAPACITY, Storage.PERCPU, ValueType.STAT, 8 * 66,
            Statistic(sum=0, histogram=LOG2),
        )  # fmt: skip
        new.array(
            "took_us", {"who": 16, "n": None}, CAPACITY, Storage.SHARED, ValueType.STAT, 8 * 6,
            Statistic(count=0, sum=1, histogram=FIXED),
        )  # fmt: skip
        new.scalar("plain")
        new.array(
            "idle", {"who": 16, "n": None}, CAPACITY, Storage.PERCPU, ValueType.STAT, 16,
            Statistic(count=0, sum=1),
        )  # fmt: skip
        new.tables[0] = replace(new.tables[0], monotonic=True)
        self.image = new.image()
        self.reader = SnapshotReader(Image(self.image.data))
        families, problems = plan([("x", self.image.manifest, {})], set())
        assert not problems
        self.exposition = Exposition(families)

    def change(self, table: Table, slot: int, who: str, words: list[int]) -> None:
        """Add or replace an element, or change its values; slots are allocated in order."""
        slots = table.slots
        if slots is None:
            self.image.row(table, slot % LANES, 0, words[0])
            return
        used = self.used(table)
        slot = min(slot, used) if used < CAPACITY else slot % CAPACITY
        if slot == used or (table.storage is Storage.SHARED and words[0] % 3 == 0):
            self.image.slot(table, slot, self.sequence(table, slot) + 2 & ~1, (who, slot))
        elif table.storage is Storage.SHARED and words[0] % 3 == 1:
            self.image.sequence(table, slot, self.sequence(table, slot) | 1)
        layout = table.statistic
        row = [abs(w) for w in words[: table.row_size // 8]]
        row += [0] * (table.row_size // 8 - len(row))
        if layout is not None and layout.histogram is None and layout.sum is not None:
            row[layout.sum] = words[0]
        if layout is None:
            row = words[:1]
        self.image.row(table, slot % LANES, slot, *row)

    def grow(self, table: Table, count: int) -> None:
        for slot in range(self.used(table), min(count, CAPACITY)):
            self.image.slot(table, slot, 2, ("many", slot))

    def used(self, table: Table) -> int:
        assert table.slots is not None
        at = self.image.shared + table.slots.head
        return int.from_bytes(self.image.data[at : at + 4], "little")

    def sequence(self, table: Table, slot: int) -> int:
        assert table.slots is not None
        at = self.image.shared + table.slots.offset + slot * table.slots.stride
        return int.from_bytes(self.image.data[at : at + 4], "little")

    def page(self, form: Format) -> str:
        return self.bytes(form).decode()

    def bytes(self, form: Format) -> bytes:
        tables = {values.table.name: values for values in self.reader.read(spread=False).tables}

        def find(member: Member) -> TableValues | None:
            return tables[member.table.name]

        return b"".join(self.exposition.render(find, form))

    def expected(self, form: Format, low: int, high: int) -> Exact:
        """The same samples without a cache; `low`, `high`: buckets of LOG2 that are shown."""
        found: Exact = {}
        for values in read(Image(self.image.data)).tables:
            for key, value in zip(values.keys, values.values, strict=True):
                found |= sample(values.table, key, value, form, low, high, values)
        return found


def sample(
    table: Table,
    key: tuple[int | str, ...],
    value: object,
    form: Format,
    low: int,
    high: int,
    whole: TableValues,
) -> Exact:
    labels = f'who="{escape(str(key[0]))}",n="{key[1]}"' if key else ""
    one = f"{{{labels}}}" if labels else ""
    match table.name, value:
        case "plain", int():
            return {"stapwatch_x_plain": Decimal(value)}
        case "reads", int():
            return {f"stapwatch_x_reads_total{one}": Decimal(value)} if value >= 0 else {}
        case "wait_ns", int():
            return {f"stapwatch_x_wait_seconds{one}": value * Decimal("1e-9")}
        case "idle", StatValue(count=int() as count, sum=int() as total):
            name = "stapwatch_x_idle"
            found = {f"{name}_count{one}": Decimal(count)}
            if form is Format.TEXT or total >= 0:
                found[f"{name}_sum{one}"] = Decimal(total)
            return found
        case (("size" | "took_us"), StatValue(sum=int() as total, buckets=buckets)):
            fixed = table.name == "took_us"
            name = "stapwatch_x_took_seconds" if fixed else "stapwatch_x_size"
            scale = Decimal("1e-6") if fixed else Decimal(1)
            hist = FIXED if fixed else LOG2
            if fixed:
                low, high = 0, 3
            counts = list(accumulate(buckets))
            bounds = [float(b * scale) for b in upper_bounds(hist)[low:high]]
            found = {
                f'{name}_bucket{{{labels},le="{bound!r}"}}': Decimal(count)
                for bound, count in zip(bounds, counts[low:high], strict=True)
            }
            found[f'{name}_bucket{{{labels},le="inf"}}'] = Decimal(counts[-1])
            sums = [v.sum or 0 for v in whole.values if isinstance(v, StatValue)]
            negative = min(sums) < 0 or (low < high and upper_bounds(hist)[low] < 0)
            if form is Format.TEXT or not negative:
                found[f"{name}_sum{one}"] = total * scale
                found[f"{name}_count{one}"] = Decimal(counts[-1])
            return found
        case _:
            raise AssertionError(table.name)


def lines(page: str) -> Iterator[tuple[str, Decimal]]:
    """Samples with their exact values; bounds as a float reads them."""
    for line in page.splitlines():
        if not line.startswith("#"):
            series, _, number = line.rpartition(" ")
            start, le, bound = series.partition('le="')
            if le:
                series = f'{start}le="{float(bound[:-2])!r}"}}'
            yield series, Decimal(number)


CHANGES = st.tuples(
    st.integers(0, 5),
    st.integers(0, 9) | st.integers(0, CAPACITY),
    NAMES,
    st.lists(LONGS | st.integers(-9, 9), min_size=1, max_size=12),
)
STEPS = st.tuples(
    st.lists(CHANGES, min_size=4, max_size=12), st.sampled_from([Format.TEXT, Format.OPENMETRICS])
)


@settings(max_examples=8, deadline=None)
@given(
    grown=st.lists(st.integers(0, CAPACITY), min_size=6, max_size=6),
    steps=st.lists(STEPS, min_size=3, max_size=4),
)
def test_kept_pages_are_those_of_a_fresh_look(
    grown: list[int], steps: list[tuple[list[tuple[int, int, str, list[int]]], Format]]
) -> None:
    world = World()
    tables = world.image.manifest.tables
    for table, count in zip(tables, grown, strict=True):
        if table.slots is not None:
            world.grow(table, count)
    low, high = 64, 0
    for changes, form in steps:
        for number, slot, who, values in changes:
            world.change(tables[number], slot, who, values)
        page = world.page(form)
        for stat in next(
            t for t in read(Image(world.image.data)).tables if t.table.name == "size"
        ).values:
            assert isinstance(stat, StatValue)
            filled = [n for n, count in enumerate(stat.buckets[:64]) if count]
            low, high = min([low, *filled[:1]]), max([high, *(n + 1 for n in filled[-1:])])
        shown = low - 1 if low >= 2 else low
        got = dict(lines(page))
        assert got == world.expected(form, shown, max(shown, high))
        end = "# EOF\n" if form is Format.OPENMETRICS else ""
        assert len(samples((page + end).encode(), form)) == len(got)
        as_text = rounded(samples(world.bytes(Format.TEXT), Format.TEXT))
        wire = samples(world.bytes(Format.PROTOBUF), Format.PROTOBUF)
        assert wire.keys() == as_text.keys()
        # the words of these tables are anything at all, but a count on the wire has 63 bits
        counts = ("_bucket", "_count")
        assert all(
            wire[series] == value
            for series, value in as_text.items()
            if 0 <= value < 1 << 63 or not series[0].endswith(counts)
        )
