# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's metrics about itself and its scripts, in a registry of prometheus_client.

stapwatch_script_state{script="vfs",state="running"} 1
stapwatch_probe_hits_total{script="vfs",probe="kernel.function(\\"vfs_read\\")"} 4711
"""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.samples import Sample

from agent import log_sinks
from agent.config.metric_names import claimed
from agent.daemon import info_metrics, losses, prepared_metrics
from agent.daemon.store_metrics import StoreReports
from agent.exposition.render import Format
from agent.scripts.prepared_kernels import PreparedKernel
from agent.scripts.rearming import BUDGETS
from agent.scripts.script import Script, ScriptState
from compiler.version import VERSION
from runtime.abi.structs import MILLION
from runtime.reader.snapshot import Snapshot
from runtime.support.escapes import readable
from runtime.support.record import field, record

_PROBE = ("script", "probe")
_EOF = b"# EOF\n"


@record
class _Only:
    """A registry of one family."""

    family: Metric

    def collect(self) -> Iterable[Metric]:
        return [self.family]


def _rendered(family: Metric, form: Format) -> bytes:
    """One family, rendered by the library."""
    if form is Format.PROTOBUF:
        from agent.exposition import wire_client  # few scrapers ask for it

        return wire_client.family(family)
    one: Any = _Only(family)
    if form is Format.OPENMETRICS:
        return bytes(openmetrics.generate_latest(one)).removesuffix(_EOF)  # type: ignore[no-untyped-call]
    return bytes(generate_latest(one))


@record(frozen=False)
class Health:
    """The service's record of its own reloads and scrapes."""

    reload_successful: bool = False
    reload_time: float = 0.0  # of the last successful reload, seconds since 1970
    reload_error: str = ""
    scrapes: int = 0
    scrape_seconds: float = 0.0
    refused: int = 0  # samples that the last scrape excluded
    disabled: str = ""  # why nothing is loaded: off_switch.reason()
    state_problem: str = ""  # why the state folder cannot be written
    compiler: str = ""  # that compiles now: `Manifest.compiler` of its modules


@record(frozen=False, eq=False)
class SelfMetrics:
    """A collector. `snapshots`: those of the scrape in progress, by script."""

    health: Health
    scripts: Mapping[str, Script]
    snapshots: Mapping[str, Snapshot] = field(default_factory=dict)
    more: Callable[[], Iterable[Metric]] = (
        info_metrics.families
    )  # families of other parts of the agent
    kernels: Callable[[], Iterable[PreparedKernel]] = tuple  # those prepared for the next boot
    stores: Callable[[], Iterable[Metric]] = lambda: StoreReports().families()
    # values of keys without a name on this host, by script and decoder
    decode_failures: Mapping[tuple[str, str], int] = field(default_factory=dict)
    registry: CollectorRegistry = field(init=False)
    _texts: dict[tuple[Format, str], tuple[list[Sample], bytes]] = field(init=False)

    def __post_init__(self) -> None:
        self._texts: dict[tuple[Format, str], tuple[list[Sample], bytes]] = {}
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.registry.register(self)

    def render(self, form: Format) -> bytes:
        """The registry's page; in OpenMetrics with its `# EOF`.

        The library takes 6 to 11 us a sample, so a family's text is cached until its samples change. Most
        samples are the same from one scrape to the next.
        """
        parts = []
        for family in self.registry.collect():
            samples, text = self._texts.get((form, family.name), (None, b""))
            if samples != family.samples:
                text = _rendered(family, form)
                self._texts[form, family.name] = family.samples, text
            parts.append(text)
        return b"".join([*parts, _EOF if form is Format.OPENMETRICS else b""])

    def names(self) -> frozenset[str]:
        """The names of all families and their samples, which scripts cannot use."""
        families = self.registry.collect()
        return frozenset(n for metric in families for n in claimed(metric.name, metric.type))

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield from self._agent()
        yield from self.more()
        yield from prepared_metrics.families(self.kernels())
        yield from self.stores()
        yield from self._states()
        yield from self._losses()
        yield from losses.families(self.scripts, self.snapshots)
        yield from self._probes()

    def _agent(self) -> Iterable[Metric]:
        build = GaugeMetricFamily(
            "stapwatch_build_info",
            "Version and build information of the agent.",
            labels=["version", "python", "kernel"],
        )
        build.add_metric([VERSION, platform.python_version(), platform.release()], 1)
        yield build
        health = self.health
        yield GaugeMetricFamily(
            "stapwatch_config_last_reload_successful",
            "Whether the last configuration reload succeeded.",
            value=int(health.reload_successful),
        )
        yield GaugeMetricFamily(
            "stapwatch_config_last_reload_success_timestamp_seconds",
            "Time of the last successful configuration reload, in seconds since 1970.",
            value=health.reload_time,
        )
        yield GaugeMetricFamily(
            "stapwatch_disabled",
            "Whether stapwatch=off or /etc/stapwatch/disabled keeps all scripts unloaded.",
            value=int(bool(health.disabled)),
        )
        yield GaugeMetricFamily(
            "stapwatch_state_folder_writable",
            "Whether the agent could last write its state folder: else no crash is remembered.",
            value=int(not health.state_problem),
        )
        yield SummaryMetricFamily(
            "stapwatch_scrape_duration_seconds",
            "Duration of scrapes of /metrics, in seconds.",
            count_value=health.scrapes,
            sum_value=health.scrape_seconds,
            unit="seconds",
        )
        yield GaugeMetricFamily(
            "stapwatch_negative_counters",
            "Counter series excluded from the last scrape because their value was negative.",
            value=health.refused,
        )
        yield CounterMetricFamily(
            "stapwatch_log_lines_lost",
            "Log lines lost because the journal or the pipe was full.",
            value=log_sinks.lost(),
        )

    def _states(self) -> Iterable[Metric]:
        state = GaugeMetricFamily(
            "stapwatch_script_state",
            "Current state of the script: 1 for that state, else 0.",
            labels=["script", "state"],
        )
        for script in self.scripts.values():
            shown = script.shown
            for known in ScriptState:
                state.add_metric([script.name, known.value], int(shown is known))
        yield state
        yield from self._budgets()
        yield self._gauge(
            "compile_seconds",
            "Duration of the last compilation, in seconds.",
            lambda s: s.compile_seconds,
        )
        yield self._counter(
            "compile_failures", "Failed compilations of the script.", lambda s: s.compile_failures
        )
        yield self._gauge(
            "load_seconds",
            "Duration of loading and starting the module, in seconds.",
            lambda s: s.load_seconds,
        )
        yield self._gauge(
            "metric_problems",
            "Globals that are not exported as declared.",
            lambda s: len(s.problems),
        )
        yield self._counter(
            "log_lines",
            "Log lines of the script that are in the journal or the pipe.",
            lambda s: s.log.written,
        )
        yield self._counter(
            "log_lines_dropped",
            "Log lines dropped because of the budget log_lines.",
            lambda s: s.log.dropped,
        )
        dropped = CounterMetricFamily(
            "stapwatch_script_place_log_lines_dropped",
            "Log lines dropped because of the budgets of log lines, by the statement that printed them.",
            labels=["script", "place"],
        )
        for script in self.scripts.values():
            for place, count in sorted(script.log.limit.dropped.items()):
                dropped.add_metric([script.name, readable(place)], count)
        yield dropped
        failures = CounterMetricFamily(
            "stapwatch_label_decode_failures",
            "Values of keys that could not be decoded, and are labels as they are.",
            labels=["script", "decoder"],
        )
        for (name, decoder), count in sorted(self.decode_failures.items()):
            if name in self.scripts:
                failures.add_metric([name, decoder], count)
        yield failures

    def _budgets(self) -> Iterable[Metric]:
        disarmed = CounterMetricFamily(
            "stapwatch_script_disarmed",
            "Times that the script was disarmed, by the budget that it breached.",
            labels=["script", "budget"],
        )
        for script in self.scripts.values():
            counts = script.rearming.counts
            for budget in dict.fromkeys((*BUDGETS, *sorted(counts))):
                disarmed.add_metric([script.name, budget], counts[budget])
        yield disarmed
        yield self._counter(
            "disarmed_seconds",
            "Time for which the script was disarmed, quarantine included, in seconds.",
            lambda s: s.rearming.seconds,
        )
        allowed = self._family(
            "cpu_budget_seconds",
            "CPU time a second that the budget cpu allows the script on all CPUs together, in seconds; no "
            "series without that budget.",
            GaugeMetricFamily,
        )
        cpus = os.sysconf("SC_NPROCESSORS_ONLN")
        for script in self.scripts.values():
            if (share := script.settings.budgets.cpu) is not None:
                allowed.add_metric([script.name], share * cpus / MILLION)
        yield allowed
        yield self._gauge("series", "Series of the script's globals.", lambda s: s.series)
        yield self._gauge(
            "expired_elements",
            "Elements that are not served because they have not changed for their ttl.",
            lambda s: s.expired,
        )
        yield self._counter(
            "removed_elements",
            "Elements that have left the module because they have not changed for their ttl.",
            lambda s: s.removed,
        )
        yield self._gauge(
            "series_left_out",
            "Series that are not served because of a budget of series: the newest ones.",
            lambda s: s.series_left_out,
        )

    def _losses(self) -> Iterable[Metric]:
        memory = self._family(
            "kernel_memory_bytes", "Kernel memory used by the module, in bytes.", GaugeMetricFamily
        )
        started = self._family(
            "start_timestamp_seconds",
            "Time at which the probes were attached, in seconds since 1970.",
            GaugeMetricFamily,
        )
        unplaced = self._family(
            "unplaced_probes", "Probes that could not be attached.", GaugeMetricFamily
        )
        waiting = self._family(
            "waiting_probes",
            "Probed functions whose module of the kernel is not loaded, or has freed them.",
            GaugeMetricFamily,
        )
        events = self._family("events", "Event records written by handlers.", CounterMetricFamily)
        lost = self._family(
            "events_lost",
            "Event records lost because the ring buffer was full.",
            CounterMetricFamily,
        )
        cut = self._family(
            "strings_cut",
            "Strings truncated because their buffer was too small.",
            CounterMetricFamily,
        )
        dropped = CounterMetricFamily(
            "stapwatch_script_array_dropped",
            "Updates lost because the array was full.",
            labels=["script", "array"],
        )
        replaced = CounterMetricFamily(
            "stapwatch_script_array_replaced",
            "Elements of a wrapping or least-recently-used array that gave way to new ones.",
            labels=["script", "array"],
        )
        unsettled = GaugeMetricFamily(
            "stapwatch_script_unsettled_elements",
            "Elements that kept changing during the last scrape: excluded, or with an earlier value.",
            labels=["script"],
        )
        for name, shot in self.snapshots.items():
            unsettled.add_metric([name], sum(table.unsettled for table in shot.tables))
            memory.add_metric([name], shot.header.memory)
            if shot.header.started_ns:  # else it is loaded, and was never armed
                started.add_metric([name], shot.header.started_ns / 1e9)
            unplaced.add_metric([name], sum(len(probe.failed_attachments) for probe in shot.probes))
            waiting.add_metric([name], sum(len(probe.waiting) for probe in shot.probes))
            events.add_metric([name], shot.lanes.events)
            lost.add_metric([name], shot.lanes.events_lost)
            cut.add_metric([name], shot.lanes.strings_cut)
            for table in shot.tables:
                if table.table.dropped is not None:
                    dropped.add_metric([name, table.table.name], table.dropped)
                if table.table.replaced is not None:
                    replaced.add_metric([name, table.table.name], table.replaced)
        yield from (memory, started, unplaced, waiting, events, lost, cut, dropped, replaced)
        yield unsettled

    def _probes(self) -> Iterable[Metric]:
        hits = CounterMetricFamily(
            "stapwatch_probe_hits",
            "Probe hits that entered the handler, those included whose condition was false, "
            'that a script error ended, or that were skipped with reason="lock".',
            labels=_PROBE,
        )
        errors = CounterMetricFamily(
            "stapwatch_probe_errors", "Handlers that a script error ended.", labels=_PROBE
        )
        missed = CounterMetricFamily(
            "stapwatch_probe_missed",
            "Probe hits that were not delivered to the handler. A lower bound for kprobes and returns of the "
            "kernel's functions, which it counts without atomicity, and for perf events at a frequency, of "
            "which each pause counts once.",
            labels=_PROBE,
        )
        skipped = CounterMetricFamily(
            "stapwatch_probe_skipped",
            'Probe hits skipped inside another handler (reason="reentrant", not part of hits), or because '
            'a table stayed locked (reason="lock", part of hits).',
            labels=[*_PROBE, "reason"],
        )
        cpu = CounterMetricFamily(
            "stapwatch_probe_cpu_seconds",
            "CPU time that hits of the probe took, hook included, in seconds; estimated from samples.",
            labels=_PROBE,
        )
        for script, shot in self.snapshots.items():
            # By the probe point as written: a wildcard is one series, not a thousand.
            sums: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
            for p in shot.probes:
                total = sums[p.probe.written]
                found = (p.hits, p.errors, p.missed, p.skipped_reentrant, p.skipped_lock, p.cpu_ns)
                total[:] = [a + b for a, b in zip(total, found, strict=True)]
            for probe, (hit, error, miss, reentrant, lock, ns) in sums.items():
                labels = [script, readable(probe)]
                cpu.add_metric(labels, ns / 1e9)
                hits.add_metric(labels, hit)
                errors.add_metric(labels, error)
                missed.add_metric(labels, miss)
                skipped.add_metric([*labels, "reentrant"], reentrant)
                skipped.add_metric([*labels, "lock"], lock)
        yield from (hits, errors, missed, skipped, cpu)

    def _gauge(self, name: str, text: str, value: Callable[[Script], float]) -> Metric:
        return self._filled(GaugeMetricFamily, name, text, value)

    def _counter(self, name: str, text: str, value: Callable[[Script], float]) -> Metric:
        return self._filled(CounterMetricFamily, name, text, value)

    def _filled(
        self,
        kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
        name: str,
        text: str,
        value: Callable[[Script], float],
    ) -> Metric:
        family = self._family(name, text, kind)
        for script in self.scripts.values():
            family.add_metric([script.name], value(script))
        return family

    @staticmethod
    def _family(
        name: str, text: str, kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    ) -> GaugeMetricFamily | CounterMetricFamily:
        return kind(f"stapwatch_script_{name}", text, labels=["script"])
