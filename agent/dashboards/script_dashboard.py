# SPDX-License-Identifier: GPL-2.0-or-later
"""The dashboard of one script: its state, each of its metrics with what it misses, and what it costs.

script_dashboard("vfs", families, manifest)  -> {"title": "stapwatch / vfs", ...}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agent.dashboards import family_panels
from agent.dashboards.dashboard import Line, Section, dashboard, notes, targets, topk
from agent.dashboards.family_series import FamilySeries
from agent.dashboards.panels import Panel, Query, lines, number
from agent.dashboards.promql import HERE, equals, over, rate, selector, top
from agent.exposition.families import Family

_COMPLETE = {1: ("complete", "green"), 0: ("incomplete", "red")}
_LOST_OUTPUT = {
    "stapwatch_script_events_lost_total": "records: the ring was full",
    "stapwatch_script_log_lines_dropped_total": "lines: over the budget",
    "stapwatch_script_strings_cut_total": "texts that were cut",
}


def script_dashboard(script: str, families: Iterable[Family]) -> dict[str, Any]:
    """`families`: all that are planned; those that the script has a part of are shown."""
    own = [family for family in families if any(m.script == script for m in family.members)]
    return dashboard(
        f"script:{script}",
        f"stapwatch / {script}",
        f"What the script {script} exports, what its numbers miss, and what it costs.",
        [
            _state(script),
            *(family_panels.section(FamilySeries(family, script, HERE)) for family in own),
            _probes(script),
            _output(script),
        ],
        notes(script),
        [*targets(f"stapwatch_script_info{{{equals('script', script)}}}"), topk()],
    )


def _of(script: str, name: str, *more: str) -> str:
    return selector(name, HERE, equals("script", script), *more)


def _state(script: str) -> Section:
    state = over("count", f"{_of(script, 'stapwatch_script_state')} == 1", ["state"])
    cpu = rate(_of(script, "stapwatch_probe_cpu_seconds_total"))
    memory = _of(script, "stapwatch_script_kernel_memory_bytes")
    series = _of(script, "stapwatch_script_series")
    panels = (
        number(
            "Hosts by state",
            "How many hosts have the script in which state.",
            "none",
            [Query(state, "{{state}}")],
        ),
        _complete(script),
        number(
            "CPU time",
            "What its probes take of one CPU's time, hooks included: the mean and the most of the "
            "chosen hosts.",
            "percentunit",
            [
                Query(over("avg", over("sum", cpu, ["instance"])), "mean"),
                Query(over("max", over("sum", cpu, ["instance"])), "most"),
            ],
        ),
        number(
            "Kernel memory",
            "Of its module, on the host where that is most.",
            "bytes",
            [Query(over("max", memory), "most")],
        ),
        number(
            "Series",
            "Of its globals, on the host that has most.",
            "none",
            [Query(over("max", series), "most")],
        ),
    )
    return Section("State", (Line(panels, (7, 4, 5, 4, 4), 4),))


def _complete(script: str) -> Panel:
    return number(
        "Numbers",
        "Whether the series of the script have all that happened since its module was started, on "
        "all of the chosen hosts. What they miss stands beside them.",
        "none",
        [Query(over("min", _of(script, "stapwatch_script_complete")), "numbers")],
        _COMPLETE,
    )


def _probes(script: str) -> Section:
    def by_probe(name: str, *labels: str) -> str:
        return over("sum", rate(_of(script, name)), ["probe", *labels])

    cost = "stapwatch_probe_cpu_seconds_total"
    hits = lines(
        "Hits by probe",
        "Hits that entered the handler, a second. A wildcard is one probe.",
        "cps",
        [Query(top(by_probe("stapwatch_probe_hits_total")), "{{probe}}")],
    )
    time = lines(
        "CPU time by probe",
        "The CPU time of hits, hook included, a second: 100 % is one CPU.",
        "percentunit",
        [Query(top(by_probe(cost)), "{{probe}}")],
    )
    missed = lines(
        "Hits that are missing",
        "Hits that were skipped inside of another handler or for a lock, that the kernel did not "
        "deliver, or that a script error ended, a second.",
        "cps",
        [
            Query(by_probe("stapwatch_probe_skipped_total", "reason"), "{{probe}} {{reason}}"),
            Query(by_probe("stapwatch_probe_missed_total"), "{{probe}} missed"),
            Query(by_probe("stapwatch_probe_errors_total"), "{{probe}} error"),
        ],
        stacked=True,
    )
    return Section("Probes", (Line((hits, time, missed), (9, 9, 6)),))


def _output(script: str) -> Section:
    written = lines(
        "Records and log lines",
        "Event records that handlers wrote, and lines of them that the journal or the pipe has "
        "taken, a second.",
        "cps",
        [
            Query(over("sum", rate(_of(script, "stapwatch_script_events_total"))), "records"),
            Query(over("sum", rate(_of(script, "stapwatch_script_log_lines_total"))), "lines"),
        ],
    )
    lost = lines(
        "Not in the log",
        "What was printed and is not in the log, or not whole, a second. The series above have it "
        "all the same.",
        "cps",
        [
            Query(over("sum", rate(_of(script, name))), legend)
            for name, legend in _LOST_OUTPUT.items()
        ],
        stacked=True,
    )
    return Section("Output", (Line((written, lost), (18, 6)),))
