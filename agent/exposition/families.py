# SPDX-License-Identifier: GPL-2.0-or-later
"""Plans the metric families: type, name, unit and labels with which each table is exported.

    global reads; probe vfs.read { reads[execname()]++ }   (script "vfs")
    -> Family("stapwatch_vfs_reads", COUNTER, ...) with one Member(labels=("execname",))

Several globals may be declared under one name: they are members of one family and differ in their constant
labels. A global that cannot be exported as declared is a Problem; all others are served.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from decimal import Decimal

from agent.config.metric_names import aside, claimed, describe, family_name
from agent.config.schema import suggest
from agent.config.settings import Histograms, MetricSettings, MetricType
from agent.labels.sources import LabelSource, plan_labels
from runtime.abi.manifest import (
    Histogram,
    HistogramKind,
    Manifest,
    Storage,
    Table,
    ValueType,
    WhenFull,
)
from runtime.support.record import field, record, replace


@record
class Member:
    """One table's part of a family. `sources`: what its labels are made of; None: its keys, as they are."""

    script: str
    table: Table
    labels: tuple[str, ...]
    constant: tuple[tuple[str, str], ...]
    scale: Decimal
    sources: tuple[LabelSource, ...] | None = None
    # its values may be older than its module
    kept: bool = False
    # a native histogram needs nothing of its counts but doubles: nothing adds them up or compares them
    doubles: bool = False


@record
class Family:
    """`name` is OpenMetrics' family name, without `_total` and `_info`. `histograms`: in protobuf."""

    name: str
    type: MetricType
    unit: str
    help: str
    members: tuple[Member, ...]
    histograms: Histograms = Histograms.CLASSIC


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
    histograms: Histograms
    members: list[Member] = field(default_factory=list)
    # the members' scripts by constant labels
    owners: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)


@record
class _Candidate:
    """A table that has a type, with the name that it gets if no other family claims it."""

    script: str
    table: Table
    metric: MetricSettings | None
    kind: MetricType
    unit: str
    scale: Decimal
    name: str
    declared: bool

    def rank(self) -> tuple[bool, bool, str, str]:
        """Names are given in this order. It depends on nothing but the scripts that run.

        A declared name stays. A type with several samples claims several names, so it comes first, and a
        plain number gives way.
        """
        plain = self.kind in (MetricType.COUNTER, MetricType.GAUGE)
        return not self.declared, plain, self.name, self.script


def plan(
    scripts: Iterable[tuple[str, Manifest, Mapping[str, MetricSettings]]], reserved: Set[str]
) -> tuple[tuple[Family, ...], tuple[Problem, ...]]:
    """The families of all running scripts, sorted by name, and what could not be exported.

    `reserved`: names of the agent's own families and samples.
    """
    candidates: list[_Candidate] = []
    problems: list[Problem] = []
    for script, manifest, metrics in scripts:
        variables = {table.name for table in manifest.tables}
        for variable, metric in metrics.items():
            if variable not in variables:
                hint = suggest(variable, variables) if variables else "it has none"
                where = f"{metric.position}: no global '{variable}' to export in script '{script}'"
                problems.append(Problem(script, f"{where}; {hint}"))
        for table in manifest.tables:
            given = metrics.get(table.name)
            if given is not None and given.ttl is not None and not table.keys:
                text = f"{given.position}: ttl has no effect on '{table.name}', which is no array"
                problems.append(Problem(script, text))
            found = _candidate(script, table, given)
            if isinstance(found, str):
                problems.append(Problem(script, f"global '{table.name}': {found}"))
            elif found is not None:
                candidates.append(found)
    names = _Names(candidates, reserved)
    drafts: dict[str, _Draft] = {}
    for candidate in sorted(candidates, key=_Candidate.rank):
        for problem in _add(drafts, names, candidate):
            problems.append(
                Problem(candidate.script, f"global '{candidate.table.name}': {problem}")
            )
    families = tuple(
        Family(name, draft.type, draft.unit, draft.help, tuple(draft.members), draft.histograms)
        for name, draft in sorted(drafts.items())
    )
    return families, tuple(problems)


def _candidate(script: str, table: Table, metric: MetricSettings | None) -> _Candidate | str | None:
    """A table that is to be exported. A text says why it cannot be; None: it need not."""
    if metric is not None and not metric.export:
        return None
    kind = metric_type(table, metric)
    if not isinstance(kind, MetricType):
        return kind  # strings are exported only if declared
    naming = describe(script, table.name, metric)
    declared = metric is not None and metric.name is not None
    name = family_name(naming, kind, declared)
    unit = "" if kind is MetricType.INFO else naming.unit  # an info must not have one
    return _Candidate(script, table, metric, kind, unit, naming.scale, name, declared)


class _Names:
    """Which family has which names: its own and those of its samples."""

    def __init__(self, candidates: Iterable[_Candidate], reserved: Set[str]) -> None:
        self._wanted = {c.name for c in candidates}
        self._reserved = reserved
        self._owners: dict[str, tuple[str, str]] = {}  # family and script

    def choose(self, c: _Candidate) -> tuple[str, str]:
        """The family's name, or "" if there is none, and what is to be said about it."""
        if self._reserved & claimed(c.name, c.kind):
            return "", f"metric '{c.name}' is one of the agent's own; declare another name for it"
        other = self._other(c.name, c.kind)
        if other is None:
            return c.name, ""
        reason = (
            f"metric '{c.name}' has samples of the same name as '{other[0]}' in script '{other[1]}'"
        )
        if c.declared:
            return "", f"{reason}; declare another name"
        name = c.name
        while name in self._wanted or not self._is_free(name, c.kind):
            name = aside(name, c.unit)
        return name, f"{reason}; it is exported as '{name}' until you declare a name"

    def claim(self, name: str, c: _Candidate) -> None:
        for sample in claimed(name, c.kind):
            self._owners.setdefault(sample, (name, c.script))

    def _is_free(self, name: str, kind: MetricType) -> bool:
        return self._other(name, kind) is None and not self._reserved & claimed(name, kind)

    def _other(self, name: str, kind: MetricType) -> tuple[str, str] | None:
        """Another family that has one of the names that this one needs."""
        owners = {self._owners[n] for n in claimed(name, kind) if n in self._owners}
        if self._owners.get(name, ("", ""))[0] == name:
            return None  # the family exists, and this is to be a part of it
        return min(owners, default=None)


def _add(drafts: dict[str, _Draft], names: _Names, c: _Candidate) -> Iterator[str]:
    """Add one table to its family; yields what is wrong."""
    script, table, metric, kind = c.script, c.table, c.metric, c.kind
    planned = plan_labels(table.keys, metric, table.storage is Storage.PERCPU)
    labels = planned.labels
    constant: tuple[tuple[str, str], ...] = ()
    help_text = ""
    if metric is not None:
        help_text = metric.help or ""
        constant = tuple(sorted(metric.constant_labels.items()))
        for problem in planned.problems:
            yield f"{metric.position}: {problem}"
    every = [*labels, *(key for key, _ in constant)]
    if taken := {key for key, _ in constant} & set(labels):
        yield f"label '{min(taken)}' is a key and a constant label; rename one"
        return
    if _overflows(table) and "other" in every:
        yield "label 'other' marks the series of all elements without a slot; rename the key"
        return
    if kind is MetricType.INFO and "value" in every:
        yield "label 'value' holds an info's text; rename the key"
        return
    name, remark = names.choose(c)
    if remark:
        yield remark
    if not name:
        return
    histograms = _histograms(c)
    if c.metric is not None and histograms is not c.metric.histograms:
        yield f"its module does not count by native bounds; it is exported as {histograms}"
    kept = metric is not None and metric.keep
    draft = drafts.get(name)
    if draft is None:
        names.claim(name, c)
        default = f"Global '{table.name}' of script '{script}'."
        draft = drafts[name] = _Draft(
            kind, c.unit, help_text or default, bool(help_text), histograms
        )
    if draft.members and (clash := _clash(name, draft, c, labels, constant)):
        yield clash
        return
    if help_text and not draft.declared_help:
        draft.help, draft.declared_help = help_text, True
    doubles = planned.sources is None and (metric is None or metric.ttl is None)
    draft.members.append(
        Member(script, table, labels, constant, c.scale, planned.sources, kept, doubles)
    )
    draft.owners[constant] = script


def metric_type(table: Table, metric: MetricSettings | None) -> MetricType | str | None:
    """The type of a table's family. A text says why there is none; None: not declared, not exported."""
    declared = metric.type if metric is not None else None
    if table.scratch and metric is None:
        return None
    match table.value:
        case ValueType.STAT:
            statistic = table.statistic
            buckets = statistic is not None and statistic.exported is not None
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
    if table.statistic is None or table.statistic.exported is None:
        return None
    return replace(table.statistic.exported, word=0), scale


def _histograms(c: _Candidate) -> Histograms:
    """Its form in protobuf: the declared one, if the module that runs has the buckets for it."""
    wanted = c.metric.histograms if c.metric is not None else Histograms.CLASSIC
    if wanted is Histograms.CLASSIC or c.kind is not MetricType.HISTOGRAM:
        return wanted
    statistic = c.table.statistic
    assert statistic is not None and statistic.exported is not None
    found = statistic.exported
    native = found.kind is HistogramKind.EXPONENTIAL and Decimal(found.scale or 1) == c.scale
    return wanted if native else Histograms.CLASSIC


def _overflows(table: Table) -> bool:
    return table.slots is not None and table.slots.when_full is WhenFull.OTHER


def _clash(
    name: str,
    draft: _Draft,
    c: _Candidate,
    labels: tuple[str, ...],
    constant: tuple[tuple[str, str], ...],
) -> str:
    """Why a table cannot be a part of this family; "" if it can."""
    first = draft.members[0]
    if _buckets(first.table, first.scale) != _buckets(c.table, c.scale):
        return f"metric '{name}' has other buckets in script '{first.script}'"
    constants = {key for key, _ in first.constant}
    before = {*first.labels, *constants}
    clash = ""
    if draft.type is not c.kind:
        clash = f"is a {draft.type}, not a {c.kind},"
    elif draft.histograms is not _histograms(c):
        clash = f"has {draft.histograms} histograms"
    elif draft.unit != c.unit:
        clash = f"is in {draft.unit or 'no unit'}, not in {c.unit or 'none'},"
    elif {*labels, *(key for key, _ in constant)} != before:
        clash = f"has labels {', '.join(sorted(before)) or '(none)'}"
    elif {key for key, _ in constant} != constants:
        # a key of one could have the value that is constant in the other
        clash = f"has constant labels {', '.join(sorted(constants)) or '(none)'}"
    if clash:
        return f"metric '{name}' {clash} in script '{first.script}'; declare another name"
    if constant in draft.owners:
        return f"metric '{name}' has the same labels in script '{draft.owners[constant]}'; " + (
            "tell them apart with constant_labels"
        )
    return ""
