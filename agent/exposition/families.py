# SPDX-License-Identifier: GPL-2.0-or-later
"""Plans the metric families: type, name, unit and labels with which each table is exported.

    global reads; probe vfs.read { reads[execname()]++ }   (script "vfs")
    -> Family("stapwatch_vfs_reads", COUNTER, ...) with one Member(labels=("execname",))

Several globals may be declared under one name: they are members of one family and differ in their constant
labels. A global that cannot be exported as declared is a Problem; all others are served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from decimal import Decimal

from agent.config.metric_names import describe, family_name, label_names
from agent.config.schema import suggest
from agent.config.settings import MetricSettings, MetricType
from runtime.abi.manifest import Histogram, Manifest, Table, ValueType
from runtime.support.record import field, record, replace


@record
class Member:
    """One table's part of a family."""

    script: str
    table: Table
    labels: tuple[str, ...]
    constant: tuple[tuple[str, str], ...]
    scale: Decimal


@record
class Family:
    """`name` is OpenMetrics' family name, without `_total` and `_info`."""

    name: str
    type: MetricType
    unit: str
    help: str
    members: tuple[Member, ...]


@record
class Problem:
    script: str
    message: str


@record(frozen=False)
class _Draft:
    type: MetricType
    unit: str
    help: str
    declared_help: bool
    members: list[Member] = field(default_factory=list)


def plan(
    scripts: Iterable[tuple[str, Manifest, Mapping[str, MetricSettings]]], reserved: Set[str]
) -> tuple[tuple[Family, ...], tuple[Problem, ...]]:
    """The families of all running scripts, sorted by name, and what could not be exported.

    `reserved`: names of the agent's own families.
    """
    drafts: dict[str, _Draft] = {}
    problems: list[Problem] = []
    for script, manifest, metrics in scripts:
        variables = {table.name for table in manifest.tables}
        for variable, metric in metrics.items():
            if variable not in variables:
                hint = suggest(variable, variables) if variables else "it has none"
                where = f"{metric.position}: no global '{variable}' to export in script '{script}'"
                problems.append(Problem(script, f"{where}; {hint}"))
        for table in manifest.tables:
            settings = metrics.get(table.name)
            if settings is not None and not settings.export:
                continue
            problem = _add(drafts, script, table, settings, reserved)
            if problem:
                problems.append(Problem(script, f"global '{table.name}': {problem}"))
    families = tuple(
        Family(name, draft.type, draft.unit, draft.help, tuple(draft.members))
        for name, draft in sorted(drafts.items())
        if draft.members
    )
    return families, tuple(problems)


def _add(
    drafts: dict[str, _Draft],
    script: str,
    table: Table,
    metric: MetricSettings | None,
    reserved: Set[str],
) -> str:
    """Add one table to its family; returns the problem, or ""."""
    kind = metric_type(table, metric)
    if kind is None:
        return ""  # strings are exported only if declared
    if isinstance(kind, str) and not isinstance(kind, MetricType):
        return kind
    naming = describe(script, table.name, metric)
    name = family_name(naming, kind, metric is not None and metric.name is not None)
    labels = label_names(key.name for key in table.keys)
    problem = ""
    constant: tuple[tuple[str, str], ...] = ()
    help_text = ""
    if metric is not None:
        help_text = metric.help or ""
        constant = tuple(sorted(metric.constant_labels.items()))
        if metric.labels is not None:
            if len(metric.labels) == len(labels):
                labels = metric.labels
            else:
                problem = (
                    f"{metric.position}: {len(metric.labels)} labels declared for {len(labels)} keys; "
                    f"it is exported with {', '.join(labels) or 'none'}"
                )
    if taken := {key for key, _ in constant} & set(labels):
        return f"label '{min(taken)}' is a key and a constant label; rename one"
    if kind is MetricType.INFO and "value" in labels:
        return "label 'value' holds an info's text; rename the key"
    if reserved & {name, f"{name}_total", f"{name}_info"}:
        return f"metric '{name}' is one of the agent's own; declare another name for it"
    draft = drafts.get(name)
    if draft is None:
        default = f"Global '{table.name}' of script '{script}'."
        draft = drafts[name] = _Draft(kind, naming.unit, help_text or default, bool(help_text))
    if draft.members:
        first = draft.members[0]
        if _buckets(first.table, first.scale) != _buckets(table, naming.scale):
            return f"metric '{name}' has other buckets in script '{first.script}'"
        if clash := _clash(draft, first, kind, naming.unit, labels, constant):
            return f"metric '{name}' {clash} in script '{first.script}'; declare another name"
        if any(m.constant == constant for m in draft.members):
            return f"metric '{name}' has the same labels in script '{first.script}'; " + (
                "tell them apart with constant_labels"
            )
    if help_text and not draft.declared_help:
        draft.help, draft.declared_help = help_text, True
    draft.members.append(Member(script, table, labels, constant, naming.scale))
    return problem


def metric_type(table: Table, metric: MetricSettings | None) -> MetricType | str | None:
    """The type of a table's family. A text says why there is none; None: not declared, not exported."""
    declared = metric.type if metric is not None else None
    if table.scratch and metric is None:
        return None
    match table.value:
        case ValueType.STAT:
            statistic = table.statistic
            buckets = statistic is not None and statistic.histogram is not None
            if declared is MetricType.HISTOGRAM and not buckets:
                return "its buckets are not kept; leave 'type' out"
            if declared in (None, MetricType.HISTOGRAM, MetricType.SUMMARY):
                return declared or (MetricType.HISTOGRAM if buckets else MetricType.SUMMARY)
            return f"a statistic cannot be a {declared}; it is a histogram or a summary"
        case ValueType.LONG:
            if declared in (None, MetricType.COUNTER, MetricType.GAUGE):
                return declared or (MetricType.COUNTER if table.monotonic else MetricType.GAUGE)
            return f"a number cannot be a {declared}; it is a counter or a gauge"
        case ValueType.STRING:
            if declared in (None, MetricType.INFO):
                return declared
            return f"a text cannot be a {declared}; it can be an info"


def _buckets(table: Table, scale: Decimal) -> tuple[Histogram, Decimal] | None:
    """The properties that histograms of one family share."""
    if table.statistic is None or table.statistic.histogram is None:
        return None
    return replace(table.statistic.histogram, word=0), scale


def _clash(
    draft: _Draft,
    first: Member,
    kind: MetricType,
    unit: str,
    labels: tuple[str, ...],
    constant: tuple[tuple[str, str], ...],
) -> str:
    if draft.type is not kind:
        return f"is a {draft.type}, not a {kind},"
    if draft.unit != unit:
        return f"is in {draft.unit or 'no unit'}, not in {unit or 'none'},"
    names = {*labels, *(key for key, _ in constant)}
    before = {*first.labels, *(key for key, _ in first.constant)}
    if names != before:
        return f"has labels {', '.join(sorted(before)) or '(none)'}"
    return ""
