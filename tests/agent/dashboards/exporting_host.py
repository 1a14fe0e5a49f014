# SPDX-License-Identifier: GPL-2.0-or-later
"""A host whose agent exports all that dashboards show, without a kernel: images of modules, which grow with each scrape.

with served(ExportingHost("web-1", scripts, folder, loses=True)) as port: ...

All of the page is made by the agent's own code.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client.core import Metric

from agent.config.settings import LogSettings, ScriptSettings
from agent.config.yaml_tree import Position
from agent.daemon import info_metrics, losses
from agent.daemon.info_metrics import ScriptInfo
from agent.daemon.labelled_values import LabelledValues
from agent.daemon.self_metrics import Health, SelfMetrics
from agent.daemon.store_metrics import StoreReports
from agent.dashboards.files import ScriptMetrics
from agent.exposition.families import plan
from agent.exposition.render import Exposition, Format
from agent.rollout.host_facts import HostFacts
from agent.scripts.prepared_kernels import PreparedKernel, State
from agent.scripts.script import Script, ScriptState
from agent.scripts.script_log import ScriptLog
from agent.store.looks import Look, Looks, StoreState
from agent.store.refusals import Refusal, RefusalCounts
from runtime.abi.manifest import Manifest, Storage, Table, ValueType
from runtime.reader.device import Image
from runtime.reader.snapshot import Snapshot, SnapshotReader
from runtime.support.record import replace
from tests.runtime.images import Plan, Writer

KERNEL = "ab" * 20
STORE = "https://modules.example.org/store"
_ELEMENTS = 3


class Module:
    """The image of a script's module, with the tables of its manifest. `grow` is what handlers do."""

    def __init__(self, name: str, manifest: Manifest) -> None:
        plan = Plan(lanes=2)
        plan.tables = [_laid_out(plan, table) for table in manifest.tables]
        self.plan, self.image = plan, plan.image(replace(plan.manifest(), name=name))
        self._reader = SnapshotReader(Image(self.image.data))
        self.image.header[11] = 1_700_000_000 * 10**9
        self.image.put_header()

    @property
    def manifest(self) -> Manifest:
        return self.image.manifest

    def snapshot(self) -> Snapshot:
        return self._reader.read()

    def grow(self, step: int) -> None:
        self.image.in_lane(0, 0, 1000 * step)  # hits
        self.image.in_lane(0, 32, 500_000 * step)  # ns
        self.image.in_lane(0, self.plan.lane_counts, 10 * step)  # events
        for table in self.manifest.tables:
            count = _ELEMENTS if table.slots else 1
            for slot in range(count):
                if table.slots:
                    self.image.slot(table, slot, 2, _key(table, slot))
                _fill(self.image, table, slot, step * (slot + 1))

    def lose(self, step: int) -> None:
        """All that a module can lose, each time."""
        image, counts = self.image, self.plan.lane_counts
        image.in_lane(0, 8, step, step, step)  # reentrant, lock, errors
        image.in_lane(0, counts + 8, step, step)  # records and texts
        struct.pack_into(
            "<QIi", image.data, image.shared, step, 0, -2
        )  # missed; one is not attached
        for table in self.manifest.tables:
            for at in (table.dropped, table.replaced):
                if at is not None:
                    image.in_lane(0, at, step)
        image.header[-2] = step  # disarms
        image.put_header()


class ExportingHost:
    """`loses`: it has everything that goes wrong; else nothing does."""

    def __init__(
        self, name: str, scripts: Sequence[ScriptMetrics], folder: Path, *, loses: bool
    ) -> None:
        self.name, self._loses, self._step = name, loses, 0
        self._modules = {script: Module(script, manifest) for script, manifest, _ in scripts}
        self._metrics = {script: metrics for script, _, metrics in scripts}
        self._scripts = {script: _script(script) for script in self._modules}
        self._looks, self._refused = Looks(folder), RefusalCounts()
        self._stores = StoreReports(Looks(folder), self._refused, lambda: KERNEL)
        self._health = Health(reload_successful=not loses, reload_time=1_700_000_000.0)
        self._own = SelfMetrics(
            self._health,
            self._scripts,
            more=self._info,
            kernels=self._kernels,
            stores=lambda: self._stores.families([STORE] if loses else []),
        )
        families, _ = plan(
            [(s, m.manifest, self._metrics[s]) for s, m in self._modules.items()], self._own.names()
        )
        self._exposition = Exposition(families)
        self._labelled = LabelledValues({})
        self._lock = threading.Lock()

    def page(self) -> bytes:
        with self._lock:
            self._step += 1
            self._health.scrapes, self._health.scrape_seconds = self._step, self._step / 100
            for script, module in self._modules.items():
                module.grow(self._step)
                if self._loses:
                    module.lose(self._step)
                    self._lose(self._scripts[script])
            if self._loses:
                self._refused.add(STORE, Refusal.DIGEST)
                self._looks.note([Look(STORE, KERNEL, StoreState.REFUSED, "it was changed")], 100.0)
            shots = {script: module.snapshot() for script, module in self._modules.items()}
            self._own.snapshots = shots
            read = {(s, t.table.name): t for s, shot in shots.items() for t in shot.tables}
            values = self._labelled.apply(self._exposition, read)
            parts = self._exposition.render(
                lambda member: values.get((member.script, member.table.name)), Format.TEXT
            )
            return b"".join([*parts, self._own.render(Format.TEXT)])

    def _lose(self, script: Script) -> None:
        """All that the agent can lose, each time."""
        script.state = ScriptState.QUARANTINED
        script.rearming.counts["cpu"] += 1
        script.log.limit.dropped["x.stp:1:1"] += 1
        script.log.lines.refused += 1
        script.series_left_out = 7
        losses.note_page({script.name: script}, {r: {script.name: 1} for r in losses.PAGE_REASONS})

    def _info(self) -> Iterable[Metric]:
        state = "quarantined" if self._loses else "running"
        infos = [ScriptInfo(s, "3f9e12ab34cd", "", "", state) for s in self._modules]
        facts = HostFacts(self.name, kernel="6.1.0-57", arch="x86_64", cpus=4, build_id=KERNEL)
        return info_metrics.families(infos, facts)

    def _kernels(self) -> tuple[PreparedKernel, ...]:
        failed = PreparedKernel("6.1.0-58", State.FAILED, 4, {"vfs_latency": "it has no vfs_read"})
        return (failed,) if self._loses else ()


@contextmanager
def served(host: ExportingHost) -> Iterator[int]:
    """Each request for its page is a scrape. Yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = host.page()
            self.send_response(200)
            self.send_header("Content-Type", Format.TEXT.value)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _laid_out(plan: Plan, table: Table) -> Table:
    """The same table with a place in this plan."""
    keys = {key.name: 16 if key.type is ValueType.STRING else None for key in table.keys}
    size, kind = _row_size(table), (table.storage, table.value)
    if keys:
        made = plan.array(table.name, keys, 8, *kind, size, table.statistic)
    else:
        made = plan.scalar(table.name, *kind, size, table.statistic)
    replaced = plan._room(Storage.PERCPU, 8) if made.slots else None
    return replace(made, monotonic=table.monotonic, scratch=table.scratch, replaced=replaced)


def _row_size(table: Table) -> int:
    if table.value is ValueType.STRING:
        return 128
    statistic = table.statistic
    if statistic is None:
        return 8
    buckets = statistic.histogram
    return 8 * (2 if buckets is None else buckets.word + buckets.buckets)


def _key(table: Table, slot: int) -> tuple[int | str, ...]:
    return tuple(
        f"{key.name[:8]}{slot}" if key.type is ValueType.STRING else slot for key in table.keys
    )


def _fill(image: Writer, table: Table, slot: int, number: int) -> None:
    statistic = table.statistic
    if table.value is ValueType.STRING:
        image.text(table, slot, b"6.1")
    elif statistic is None:
        image.row(table, 0, slot, number if table.monotonic else 5)
    else:
        words = [0] * (table.row_size // 8)
        assert statistic.sum is not None
        words[statistic.sum] = 1000 * number
        if statistic.histogram is not None:
            first = statistic.histogram.word
            words[first + 2 : first + 6] = [number, 2 * number, number, number]
        elif statistic.count is not None:
            words[statistic.count] = number
        image.row(table, 0, slot, *words)


def _script(name: str) -> Script:
    settings = ScriptSettings(name, Position("x.yaml", 1, 1))
    return Script(name, settings, ScriptLog(name, LogSettings()), state=ScriptState.RUNNING)
