# SPDX-License-Identifier: GPL-2.0-or-later
"""Alerts that the configuration declares beside a metric (`alert: {above: 0.5, of: p99}`).

alerts("vfs", families, metrics)
-> (Alert("StapwatchVfsLatencySecondsP99Above", "histogram_quantile(0.99, ...) > 0.5", "5m", ...),), ()
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.config import alert_schema
from agent.config.settings import MetricAlert, MetricSettings, MetricType
from agent.dashboards import histograms
from agent.dashboards.alerts import Alert
from agent.dashboards.family_series import FamilySeries
from agent.dashboards.histograms import form_of
from agent.dashboards.promql import over
from agent.exposition.families import Family, Member
from runtime.support.record import replace

WINDOW = "5m"  # of rates
ANCHOR = "alerts-of-your-own-metrics"


def alerts(
    script: str, families: Iterable[Family], metrics: Mapping[str, MetricSettings]
) -> tuple[tuple[Alert, ...], tuple[str, ...]]:
    """The script's alerts, and what is wrong with others."""
    members = {m.table.name: (f, m) for f in families for m in f.members if m.script == script}
    found: list[Alert] = []
    wrong: list[str] = []
    for variable, metric in metrics.items():
        if not metric.alerts:
            continue
        if variable not in members:
            wrong.append(f"{metric.position}: '{variable}' is not exported, so it has no alerts")
            continue
        for alert in metric.alerts:
            try:
                found.append(_alert(alert, *members[variable]))
            except ValueError as error:
                wrong.append(f"{metric.position}: {error}")
    return tuple(found), tuple(wrong)


def _alert(alert: MetricAlert, family: Family, member: Member) -> Alert:
    """ValueError if the metric has nothing that the alert could be of."""
    of = alert_schema.subject(alert.of, family.type)
    series = FamilySeries(replace(family, members=(member,)), member.script, "")
    if len(family.members) > 1:  # the other members have alerts of their own
        series = replace(series, family=replace(family, members=_apart(family, member)))
    word, sign, limit = (
        ("Above", ">", alert.above) if alert.above is not None else ("Below", "<", alert.below)
    )
    what = f"{'' if of == alert_schema.VALUE else f'{of} of '}{family.name}"
    return Alert(
        alert.name or f"{_camel(family.name)}{_camel(of)}{word}",
        f"{_expression(of, series)} {sign} {limit:f}",
        _duration(alert.wait),
        alert.severity,
        alert.summary or f"{what} is {word.lower()} {limit:f} on {{{{ $labels.instance }}}}",
        f"It is {{{{ $value | humanize }}}}. {_plain(family.help)}",
        alert.runbook,
    )


def _apart(family: Family, member: Member) -> tuple[Member, ...]:
    """The member with another one that is of no script, so that constant labels are asked for."""
    return member, replace(member, script="")


def _expression(of: str, series: FamilySeries) -> str:
    family, labels = series.family, ["job", "instance", *series.labels]
    quantile = alert_schema.quantile(of)
    if of == alert_schema.VALUE:
        return over("max", series.values(), labels)
    if family.type is MetricType.COUNTER:
        return over("sum", series("_total", window=WINDOW), labels)
    if family.type is MetricType.HISTOGRAM:
        form = form_of(family)
        if quantile is not None:
            return histograms.quantile(f"{quantile:.12g}", form, series, labels, WINDOW)
        if of == alert_schema.RATE:
            return histograms.events(form, series, labels, WINDOW)
        _require_sum(series)
        return histograms.mean(form, series, labels, WINDOW)
    counts = over("sum", series("_count", window=WINDOW), labels)
    if of == alert_schema.RATE:
        return counts
    _require_sum(series)
    return f"{over('sum', series('_sum', window=WINDOW), labels)} / {counts}"


def _require_sum(series: FamilySeries) -> None:
    if not series.has_sum:
        raise ValueError(
            f"the sums of '{series.family.name}' are not on its pages, so it has no mean"
        )


def _camel(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.replace(".", "_").split("_"))


def _plain(text: str) -> str:
    """A text that is no template of Prometheus'."""
    return text.replace("{{", '{{"{{"}}')


def _duration(seconds: float) -> str:
    """As Prometheus writes it: 5m, 90s."""
    if seconds % 60 == 0:
        return f"{seconds // 60:.0f}m"
    return f"{seconds:.0f}s" if seconds % 1 == 0 else f"{seconds * 1000:.0f}ms"
