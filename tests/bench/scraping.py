# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of a scrape: from a module's memory to the page that Prometheus reads.

measure() -> Section("Scrape", (Row("100,000 counter series, 3 labels", "ns a sample", 63.0, ...), ...))

CPU time of one process, medians, after a first scrape that fills the caches. The memory is
laid out as a module maps it, and added up by the module's own C, compiled for the process; numbers change
between scrapes. A scrape ends with the pieces that the agent hands to the socket. The peer is
prometheus_client, with as many series of its own. All that runs natively in the root folder of a guest, with
the Python that its users have:

    python3 -m tests.bench.scraping 100000 1000 9  -> the rows, as JSON
    python3 -m tests.bench.scraping 1000000 9      -> those of many series, from a process of their own
"""

from __future__ import annotations

import array
import ctypes
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import ClassVar

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from agent.config.settings import Histograms, MetricSettings
from agent.config.yaml_tree import Position
from agent.exposition.families import Member, plan
from agent.exposition.render import Exposition, Format
from agent.web.http_server import pieces
from compiler.ir.options import histogram_of
from lab import Image as Root
from lab import install_app
from lab.host import say
from runtime.abi import manifest
from runtime.abi.histogram import ZERO_WORD
from runtime.abi.manifest import HistogramKind, Statistic, Storage, Table, ValueType
from runtime.abi.structs import DOUBLES
from runtime.reader.device import Image
from runtime.reader.doubles import Doubles
from runtime.reader.snapshot import SnapshotReader
from runtime.reader.table import TableValues
from runtime.support.footprint import avoid_huge_pages, trim_heap
from runtime.support.record import replace
from tests.bench.rows import Row, Section
from tests.runtime.images import Plan, Writer

PROJECT = Path(__file__).parents[2]
SERIES = 100_000
MANY = 1_000_000
SETS = 1_000
BUCKETS = 30
LANES = 2
ROUNDS = 9
PAGE = 512  # samples of a page
PEER = "prometheus_client"
LOG2 = manifest.Histogram(HistogramKind.LOG2, word=1, buckets=65)


@cache
def module_code() -> ctypes.CDLL:
    """The module's sums, as a library."""
    runtime = Path(manifest.__file__).parents[1] / "kernel"
    flags = ["-O2", "-std=gnu11", "-fPIC", "-shared", "-fvisibility=hidden", "-fwrapv"]
    flags += ["-fno-strict-aliasing", "-fno-tree-vectorize", "-DSW_USERSPACE"]
    flags += ["-ffunction-sections", "-Wl,--gc-sections"]
    flags += [f"-I{runtime / folder}" for folder in ("include", ".")]
    sources = [Path(__file__).parent / "lanes.c"]
    sources += [
        runtime / "lib" / f"{name}.c" for name in ("statistic", "int64", "doubles", "float64")
    ]
    with tempfile.TemporaryDirectory(prefix="stapwatch-bench-") as folder:
        output = Path(folder) / "lanes.so"
        subprocess.run(["gcc", *flags, *sources, "-o", output], check=True, timeout=120)
        return ctypes.CDLL(str(output))


class ModuleImage(Image):
    """An image that adds up its lanes as a module does when it is asked to."""

    def __init__(self, writer: Writer) -> None:
        super().__init__(writer.data)
        base = ctypes.addressof(ctypes.c_char.from_buffer(writer.data)) + writer.first_lane
        starts = [base + n * writer.lane_stride for n in range(self.header().nr_lanes)]
        self._lanes = (ctypes.c_void_p * len(starts))(*starts)

    def sums(self, offset: int, count: int) -> bytes:
        buffer = bytearray(8 * count)
        if count:
            to = ctypes.byref(ctypes.c_char.from_buffer(buffer))
            at, words = ctypes.c_uint64(offset), ctypes.c_uint64(count)
            module_code().add_lanes(self._lanes, len(self._lanes), to, at, words)
        return bytes(buffer)

    def doubles(self, offset: int, rows: int, row_words: int, first: int, count: int) -> Doubles:
        buffer = bytearray(8 * rows * row_words)
        to = ctypes.byref(ctypes.c_char.from_buffer(buffer))
        request = bytearray(DOUBLES.pack(offset, rows, row_words, first, count, 0, 0))
        at = ctypes.byref(ctypes.c_char.from_buffer(request))
        module_code().add_rows(self._lanes, len(self._lanes), to, at)
        *_, begin, end = DOUBLES.unpack(request)
        return Doubles(bytes(buffer), begin, end)


class Scraped:
    """One module's table, scraped repeatedly with the agent's reader and exposition."""

    metrics: ClassVar[dict[str, MetricSettings]] = {}

    def __init__(self, table: Table, writer: Writer) -> None:
        self.table, self.writer = table, writer
        self._image = ModuleImage(writer)
        self._reader = SnapshotReader(self._image)
        families, problems = plan([("bench", writer.manifest, self.metrics)], set())
        assert not problems
        self._exposition = Exposition(families)

    def scrape(self) -> int:
        """The length of a scrape's page. Nothing joins its pieces, as in the agent."""
        return sum(map(len, pieces(self.parts())))

    def page(self) -> bytes:
        return b"".join(self.parts())

    def parts(self, form: Format = Format.OPENMETRICS) -> list[bytes]:
        wanted = self._exposition.doubles(form).get("bench", ())
        snapshot = self._reader.read(spread=False, doubles=wanted)
        tables = {table.table.name: table for table in snapshot.tables}

        def read(member: Member) -> TableValues | None:
            return tables[member.table.name]

        return list(self._exposition.render(read, form))

    def renumber(self, seed: int) -> None:
        """Give every counter another number, in every lane."""
        chosen = random.Random(seed)
        slots, header = self.table.slots, self._image.header()
        assert slots
        bases = [header.shared_offset]
        if self.table.storage is Storage.PERCPU:
            lanes = range(header.nr_lanes)
            bases = [header.lanes_offset + lane * header.lane_stride for lane in lanes]
        for base in (base + self.table.rows for base in bases):
            words = array.array("I", chosen.randbytes(4 * slots.capacity))
            rows = array.array("q", map((1 << 30).__rmod__, words))
            self.writer.data[base : base + len(rows) * rows.itemsize] = rows.tobytes()


def counters(series: int, lanes: int, storage: Storage = Storage.PERCPU) -> Scraped:
    """Counters with three labels: two texts and a number."""
    layout = Plan(lanes)
    table = layout.array("requests", {"handler": 32, "method": 16, "code": None}, series, storage)
    made = layout.manifest()
    made = replace(made, tables=(replace(table, monotonic=True),))
    writer = layout.image(made)
    for n in range(series):
        writer.slot(table, n, 2, key_of(n))
    scraped = Scraped(made.tables[0], writer)
    scraped.renumber(0)
    return scraped


def key_of(n: int) -> tuple[str, str, int]:
    return (f"/api/v1/handler{n // 20:05}", ("get", "put", "post", "head")[n % 4], n % 5)


class Latencies(Scraped):
    """Histograms of powers of two, with one label, filled in BUCKETS of them."""

    empty = 8  # words before the buckets that are filled

    def renumber(self, seed: int) -> None:
        chosen = random.Random(seed)
        filled = BUCKETS - 2  # the one below the first is shown as well, and so is +Inf
        assert self.table.slots
        for n in range(self.table.slots.capacity):
            for lane in range(self._image.header().nr_lanes):
                counts = [0] * self.empty + [chosen.randrange(1, 1 << 20) for _ in range(filled)]
                self.writer.row(self.table, lane, n, sum(counts), *counts)


def histograms(sets: int, lanes: int) -> Scraped:
    layout = Plan(lanes)
    kept = Statistic(sum=0, histogram=LOG2)
    table = layout.array(
        "latency", {"handler": 32}, sets, value=ValueType.STAT, row_size=8 * 66, statistic=kept
    )
    writer = layout.image()
    for n in range(sets):
        writer.slot(table, n, 2, (f"/api/v1/handler{n:05}",))
    scraped = Latencies(table, writer)
    scraped.renumber(0)
    return scraped


class NativeLatencies(Latencies):
    """The same as native histograms."""

    empty = ZERO_WORD + 8
    metrics: ClassVar[dict[str, MetricSettings]] = {
        "latency": MetricSettings("latency", Position("", 1, 1), histograms=Histograms.NATIVE)
    }


def native_histograms(sets: int, lanes: int) -> Scraped:
    layout = Plan(lanes)
    shape = histogram_of({"kind": "exponential", "schema": 0, "scale": "1"})
    kept = Statistic(sum=0, histogram=replace(shape, word=1))
    size = 8 * (1 + shape.buckets)
    table = layout.array(
        "latency", {"handler": 32}, sets, value=ValueType.STAT, row_size=size, statistic=kept
    )
    writer = layout.image()
    for n in range(sets):
        writer.slot(table, n, 2, (f"/api/v1/handler{n:05}",))
    scraped = NativeLatencies(table, writer)
    scraped.renumber(0)
    return scraped


def measure(
    root: Root, series: int = SERIES, sets: int = SETS, rounds: int = ROUNDS, many: int = MANY
) -> Section:
    """Run the measurements in the root folder of a guest."""
    place = "/mnt/stapwatch"
    binds = {PROJECT: place, install_app.ensure_vendor(PROJECT, root): "/mnt/vendor"}
    env = {"PYTHONPATH": f"{place}:{place}/packaging:/mnt/vendor"}
    rows: list[Row] = []
    for numbers in ((series, sets, rounds), (many, rounds)):
        argv = ["python3", "-P", "-m", __name__, *map(str, numbers)]
        say(f"scrape: natively, {numbers[0]:,} series")
        done = root.chroot_run(argv, binds=binds, env=env, timeout=1800)
        rows += [Row(**tree) for tree in json.loads(done.stdout)]
    note = "CPU time, medians; steady state, two CPUs' memory, OpenMetrics. Ratios have a tolerance for noise."
    return Section("Scrape", tuple(rows), (note,))


def measured(series: int, sets: int, rounds: int) -> list[Row]:
    """Run the measurement in this process."""
    page = counters(series, LANES)
    lines = [line for line in page.page().splitlines() if not line.startswith(b"#")]
    assert len(lines) == series, f"{len(lines)} samples of {series}"
    floor = formatting(lines, rounds)
    del lines  # an agent holds no such list

    def steady(n: int) -> float:
        page.renumber(n)
        return cpu(page.scrape)

    whole = median(steady, rounds)
    peer = peer_counters(series)
    rows = [
        Row(
            f"{series:,} counter series, 3 labels",
            "ns a sample",
            round(1e9 * whole / series, 1),
            {
                PEER: round(1e9 * median(lambda n: cpu(peer), 3) / series),
                "its `%` alone": round(1e9 * floor / series, 1),
            },
            100,
        )
    ]
    table = histograms(sets, LANES)
    text = table.page()
    assert text.count(b"_bucket{") == sets * BUCKETS, text[:3000]
    other = peer_histograms(sets)

    def filled(n: int) -> float:
        table.renumber(1 + n)
        return cpu(table.scrape)

    rows.append(
        Row(
            f"{sets:,} label sets x {BUCKETS} buckets",
            "ms",
            round(1e3 * median(filled, rounds), 2),
            {PEER: round(1e3 * median(lambda n: cpu(other), 3), 1)},
            10,
        )
    )
    rows += native(table, sets, rounds)
    rows.append(one_change(series, rounds))
    return rows + linear(series, rounds)


def measured_many(series: int, rounds: int) -> list[Row]:
    """Very many series: the time of a scrape, and the agent's own memory, as the first scrape finds none."""
    avoid_huge_pages()  # as the agent does
    page = counters(series, LANES)
    trim_heap()
    before = own_memory()
    page.scrape()

    def steady(n: int) -> float:
        page.renumber(n)
        return cpu(page.scrape)

    whole = median(steady, rounds)
    held = own_memory() - before
    name = f"{series:,} counter series"
    return [
        Row(name, "ns a sample", round(1e9 * whole / series, 1), {}, 150),
        Row(f"memory for {name}", "bytes a series", round(held / series), {}, 300),
    ]


def own_memory() -> int:
    """Resident bytes of this process that are no file's. The modules' tables are a file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon"))


def formatting(lines: list[bytes], rounds: int) -> float:
    """The floor: the numbers of these samples, as integers, into the text of their pages."""
    pages = []
    for start in range(0, len(lines), PAGE):
        parts = [line.rpartition(b" ") for line in lines[start : start + PAGE]]
        template = b"".join(b"%b %%d\n" % name.replace(b"%", b"%%") for name, _, _ in parts)
        pages.append((template, tuple(int(number) for _, _, number in parts)))

    def fill() -> None:
        for template, numbers in pages:
            template % numbers

    return median(lambda n: cpu(fill), rounds)


def native(classic: Scraped, sets: int, rounds: int) -> list[Row]:
    """Native histograms of as many buckets, in protobuf, over the classic page."""
    table = native_histograms(sets, LANES)

    def size(scraped: Scraped, form: Format) -> int:
        return sum(map(len, scraped.parts(form)))

    smaller = size(table, Format.PROTOBUF) / size(classic, Format.OPENMETRICS)

    def took(n: int) -> float:
        classic.renumber(1 + n)
        table.renumber(1 + n)
        before = cpu(lambda: size(classic, Format.OPENMETRICS))
        return cpu(lambda: size(table, Format.PROTOBUF)) / before

    name = f"{sets:,} native histograms of {BUCKETS} buckets"
    return [
        Row(name, "bytes over those of the classic page", round(smaller, 2), {}, 0.2),
        Row(
            name,
            "time over that of the classic page",
            round(median(took, rounds), 2),
            target=0.2,
            note="half of it is reading: rows are read whole, with the words of negative values, and copied "
            "three times",
        ),
    ]


def one_change(series: int, rounds: int) -> Row:
    """One element is deleted and another takes its slot: compared with no change, and with a reading of all.

    In a table that handlers delete from: slots of others never change.
    """
    page = counters(series, LANES, Storage.SHARED)
    cold = cpu(page.scrape)

    def changed(n: int) -> float:
        page.renumber(n)
        slot = (n + 1) * series // (rounds + 2)
        page.writer.slot(page.table, slot, 4 + 2 * n, (f"/changed{n}", "get", 1))
        took = cpu(page.scrape)
        assert f'handler="/changed{n}"'.encode() in page.page()
        return took

    def unchanged(n: int) -> float:
        page.renumber(100 + n)
        return cpu(page.scrape)

    # alternately, so that other load on the machine affects both
    pairs = [(changed(n), unchanged(n)) for n in range(rounds)]
    whole = statistics.median(pair[1] for pair in pairs)
    return Row(
        f"a change of 1 key in {series:,}",
        "scrape over one without a change",
        round(statistics.median(pair[0] for pair in pairs) / whole, 2),
        {"all keys anew": round(cold / whole, 1)},
        1.2,
    )


def linear(series: int, rounds: int) -> list[Row]:
    """Scaling: twice the series or CPUs take at most twice the time."""

    def took(series: int, lanes: int) -> float:
        scraped = counters(series, lanes)
        scraped.scrape()

        def steady(n: int) -> float:
            scraped.renumber(n)
            return cpu(scraped.scrape)

        return median(steady, rounds)

    half, lanes = series // 2, 16
    by_series = took(series, LANES) / took(half, LANES)
    by_lanes = took(half, 2 * lanes) / took(half, lanes)
    unit = "times the time"
    return [
        Row(f"{series:,} series over {half:,}", unit, round(by_series, 2), {}, 2.2),
        Row(f"{2 * lanes} CPUs over {lanes}", unit, round(by_lanes, 2), {}, 2.2),
    ]


def peer_counters(series: int) -> Callable[[], bytes]:
    registry = CollectorRegistry()
    counter = Counter("requests", "Requests.", ("handler", "method", "code"), registry=registry)
    for n in range(series):
        counter.labels(*map(str, key_of(n))).inc(n)
    return lambda: generate_latest(registry)


def peer_histograms(sets: int) -> Callable[[], bytes]:
    registry = CollectorRegistry()
    bounds = [float(1 << n) for n in range(BUCKETS - 1)]
    histogram = Histogram("latency", "Latency.", ("handler",), registry=registry, buckets=bounds)
    for n in range(sets):
        histogram.labels(f"/api/v1/handler{n:05}").observe(n)
    return lambda: generate_latest(registry)


def cpu(work: Callable[[], object]) -> float:
    """Seconds of CPU time that it takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def median(measured: Callable[[int], float], rounds: int) -> float:
    return statistics.median(measured(n) for n in range(rounds))


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    made = measured(*numbers) if len(numbers) == 3 else measured_many(*numbers)
    print(json.dumps([asdict(row) for row in made]))
