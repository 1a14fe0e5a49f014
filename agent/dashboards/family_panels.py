# SPDX-License-Identifier: GPL-2.0-or-later
"""The panels of one family of a script's, and what its numbers miss, beside them.

section(FamilySeries(reads, "vfs", HERE))
-> Section("stapwatch_vfs_reads", (Line((reads by process, what they miss), (18, 6)),))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agent.config.settings import MetricType
from agent.daemon.losses import LOSSES
from agent.dashboards import histograms, units
from agent.dashboards.dashboard import Line, Section
from agent.dashboards.family_series import FamilySeries
from agent.dashboards.histograms import form_of
from agent.dashboards.panels import Panel, Query, heatmap, lines, table
from agent.dashboards.promql import equals, one_of, over, rate, selector, top
from runtime.support.exhaustive import assert_never

QUANTILES = ("0.5", "0.9", "0.99")
# What a script loses in its handlers or on a page; arrays that are full are told one by one.
LOST_NUMBERS = [loss.reason for loss in LOSSES if loss.numbers and "array" not in loss.reason]

_By = Callable[[Sequence[str]], str]  # an expression, summed up by labels


def section(series: FamilySeries) -> Section:
    """Lines of panels. The panel of losses stands in the first line, beside two panels of the numbers."""
    found = list(_panels(series))
    losses = _losses(series)
    first = Line((*found[:2], losses), (18, 6) if len(found) == 1 else (9, 9, 6))
    rest = [Line(tuple(found[at : at + 2])) for at in range(2, len(found), 2)]
    return Section(series.family.name, (first, *rest))


def _panels(series: FamilySeries) -> Iterator[Panel]:
    kind = series.family.type
    match kind:
        case MetricType.COUNTER:
            yield from _counter(series)
        case MetricType.GAUGE:
            yield _gauge(series)
        case MetricType.INFO:
            yield _info(series)
        case MetricType.HISTOGRAM:
            yield from _histogram(series)
        case MetricType.SUMMARY:
            yield from _summary(series)
        case _:
            assert_never(kind)


def _counter(series: FamilySeries) -> Iterator[Panel]:
    unit = units.per_second(series.family.unit)
    about = _about(series, _per_second(series.family.unit))

    def rates(labels: Sequence[str]) -> str:
        return over("sum", series("_total"), labels)

    yield from _by_label(series, "Rate", about, unit, rates)


def _gauge(series: FamilySeries) -> Panel:
    labels = ["instance", *series.labels]
    values = top(over("max", series.values(), labels))
    about = _about(series, "The largest ones, of each host by itself.")
    unit = units.of(series.family.unit)
    return lines("Values", about, unit, [Query(values, _legend(labels))])


def _info(series: FamilySeries) -> Panel:
    found = over("count", series.values(), [*series.labels, "value"])
    about = _about(series, "The texts that are there now, and on how many hosts.")
    return table("Texts", about, "none", Query(found, "{{value}}", True), "hosts")


def _histogram(series: FamilySeries) -> Iterator[Panel]:
    form, unit = form_of(series.family), units.of(series.family.unit)
    yield heatmap(
        "Distribution",
        _about(series, "Events by bucket, over time."),
        unit,
        Query(histograms.heat(form, series), "{{le}}"),
    )
    quantiles = [
        Query(histograms.quantile(q, form, series), f"p{100 * float(q):g}") for q in QUANTILES
    ]
    mean = [Query(histograms.mean(form, series), "mean")] if series.has_sum else []
    yield lines(
        "Quantiles",
        _about(series, "Of all chosen hosts together, interpolated inside of a bucket."),
        unit,
        [*quantiles, *mean],
    )

    def p99(labels: Sequence[str]) -> str:
        return histograms.quantile("0.99", form, series, labels)

    def events(labels: Sequence[str]) -> str:
        return histograms.events(form, series, labels)

    if series.groups:
        yield from _by_label(series, "p99", _about(series, "The 99th percentile."), unit, p99)
    yield from _by_label(series, "Events", _about(series, "Events a second."), "cps", events)


def _summary(series: FamilySeries) -> Iterator[Panel]:
    def counts(labels: Sequence[str]) -> str:
        return over("sum", series("_count"), labels)

    def mean(labels: Sequence[str]) -> str:
        return f"{over('sum', series('_sum'), labels)} / {counts(labels)}"

    if series.has_sum:
        about = _about(series, "The mean of the values, of all chosen hosts together.")
        yield from _by_label(series, "Mean", about, units.of(series.family.unit), mean)
    yield from _by_label(series, "Events", _about(series, "Events a second."), "cps", counts)


def _by_label(series: FamilySeries, title: str, about: str, unit: str, of: _By) -> Iterator[Panel]:
    """One panel for each label; by host if there is none."""
    for labels in series.groups or [["instance"]]:
        legend = _legend(labels)
        yield lines(f"{title} by {labels[0]}", about, unit, [Query(top(of(labels)), legend)])


def _losses(series: FamilySeries) -> Panel:
    """All series of it are there from the start, with 0."""
    here, script = series.where, equals("script", series.script)
    lost = selector("stapwatch_lost_total", here, script, one_of("reason", LOST_NUMBERS))
    queries = [Query(over("sum", rate(lost), ["reason"]), "{{reason}}")]
    tables = [member.table for member in series.members]
    full = [t.name for t in tables if t.dropped is not None]
    gone = [t.name for t in tables if t.replaced is not None]
    for metric, names, what in (
        ("stapwatch_script_array_dropped_total", full, "is full"),
        ("stapwatch_script_array_replaced_total", gone, "replaced elements"),
    ):
        if names:
            found = selector(metric, here, script, one_of("array", names))
            queries.append(Query(over("sum", rate(found), ["array"]), f"{{{{array}}}} {what}"))
    about = (
        "What the numbers beside this miss, a second: hits that handlers did not count, and "
        "updates that found an array full. docs/losses.md explains each reason."
    )
    return lines("Not in these numbers", about, "cps", queries, stacked=True)


def _about(series: FamilySeries, how: str) -> str:
    return f"{series.family.help.rstrip('.')}. {how}"


def _per_second(unit: str) -> str:
    return f"In {unit} a second." if unit else "A second."


def _legend(labels: Sequence[str]) -> str:
    return " ".join(f"{{{{{label}}}}}" for label in labels)
