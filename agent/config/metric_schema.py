# SPDX-License-Identifier: GPL-2.0-or-later
"""The `metrics:` section of a script's configuration, and the statistics options that follow from it.

    {buckets: [0.001, 0.01], unit: seconds, scale: 1e-9} -> {"kind": "bounds", "bounds": [1000000, 10000000]}

Buckets are declared in the exported unit. The kernel compares integers, so each scaled bound must be one.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Any

from agent.config import alert_schema, schema
from agent.config.label_schema import WORD_HINT, Labels, label, read_labels
from agent.config.metric_names import METRIC_NAME, SAMPLE_ENDINGS, bad_ending, describe
from agent.config.schema import S64_MAX, Reader, SchemaError
from agent.config.settings import (
    Bounds,
    Buckets,
    Exponential,
    Histograms,
    Linear,
    Log2,
    MetricSettings,
    MetricType,
    ScriptSettings,
)
from agent.config.yaml_tree import ConfigDiagnostic, Entry, Mapping, Node, Scalar, Sequence
from runtime.abi.manifest import WhenFull
from runtime.support.record import replace

MOST_BUCKETS = 256
# A family's name ends with its unit, and must not end as samples do.
_UNIT = rf"(?!(?:.*_)?(?:{'|'.join(e[1:] for e in SAMPLE_ENDINGS)})\Z)[a-z][a-z0-9_]*|"
MOST_SCHEMA = 3
_BUCKETS_HINT = "write [0.001, 0.01], log2, {low: 0, high: 100, interval: 10} or {schema: 2}"


def read_metric(script: str, variable: str, entry: Entry, reader: Reader) -> MetricSettings | None:
    """The settings of one global. Errors are added to the reader's diagnostics."""
    fields = {
        "name": schema.matching(METRIC_NAME, "a metric name", WORD_HINT),
        "help": schema.text,
        "type": schema.choice(MetricType),
        "unit": schema.matching(_UNIT, "a unit", "write seconds, bytes, ratio ..."),
        "scale": _scale,
        "labels": lambda n: read_labels(n, reader),
        "constant_labels": lambda n: _constant_labels(n, reader),
        "buckets": _buckets,
        "histograms": schema.choice(Histograms),
        "export": schema.truth,
        "ttl": schema.seconds,
        "when_full": schema.choice(WhenFull),
        "keep": schema.truth,
        "alert": lambda n: alert_schema.read(n, reader, _declared_type(entry)),
    }
    try:
        values = reader.record(entry.node, f"metric '{variable}'", fields)
    except SchemaError as error:
        reader.diagnostics.append(error.diagnostic)
        return None
    alerts = values.pop("alert", ())
    labels = values.pop("labels", Labels(None, ()))
    metric = MetricSettings(
        variable,
        entry.position,
        alerts=alerts,
        **values,
        labels=labels.words,
        made_labels=labels.made,
    )
    given = entry.node.entries if isinstance(entry.node, Mapping) else {}
    if metric.name is not None and (ending := bad_ending(metric.name, metric.type)):
        reader.diagnostics.append(
            ConfigDiagnostic(
                given["name"].node.position,
                f"metric name '{metric.name}' must not end in '{ending}'",
                "leave the ending out: it belongs to single samples",
            )
        )
    if twice := set(labels.names()) & metric.constant_labels.keys():
        reader.diagnostics.append(
            ConfigDiagnostic(
                given["constant_labels"].position, f"label '{min(twice)}' is declared twice"
            )
        )
    if metric.buckets is not None and metric.type not in (None, MetricType.HISTOGRAM):
        reader.diagnostics.append(
            ConfigDiagnostic(
                given["buckets"].position, f"a {metric.type} has no buckets", "leave them out"
            )
        )
    if (why := _not_native(metric)) and "histograms" in given:
        hint = "leave 'histograms' or 'buckets' out, or write buckets: {schema: 0}"
        reader.diagnostics.append(ConfigDiagnostic(given["histograms"].position, why, hint))
    if "buckets" in values:
        try:
            statistic(script, metric)
        except ValueError as error:
            message, _, hint = str(error).partition("; ")
            reader.diagnostics.append(
                ConfigDiagnostic(given["buckets"].node.position, message, hint)
            )
            metric = replace(metric, buckets=None)
    return metric


def _declared_type(entry: Entry) -> MetricType | None:
    """None if none is declared, or a wrong one."""
    given = entry.node.entries.get("type") if isinstance(entry.node, Mapping) else None
    text = given.node.text if given is not None and isinstance(given.node, Scalar) else ""
    return MetricType(text) if text in [kind.value for kind in MetricType] else None


def statistic(script: str, metric: MetricSettings) -> dict[str, Any] | None:
    """The compile request's `statistics` entry. ValueError if a scaled bound is not an integer."""
    match metric.buckets:
        case None | Log2() if metric.histograms is not Histograms.CLASSIC:
            return _exponential(script, metric, 0)
        case None:
            return None
        case Log2():
            return {"kind": "log2"}
        case Exponential(wanted):
            return _exponential(script, metric, wanted)
        case Linear(low, high, interval):
            low_, high_, interval_ = (
                _kernel_integer(script, metric, v) for v in (low, high, interval)
            )
            return {"kind": "linear", "low": low_, "high": high_, "interval": interval_}
        case Bounds(bounds):
            whole = [_kernel_integer(script, metric, bound) for bound in bounds]
            return {"kind": "bounds", "bounds": whole}


def _exponential(script: str, metric: MetricSettings, wanted: int) -> dict[str, Any]:
    """Native bounds are powers of two of the exported unit, so they depend on the scale."""
    scale = describe(script, metric.variable, metric).scale
    return {"kind": "exponential", "schema": wanted, "scale": str(scale.normalize())}


def _not_native(metric: MetricSettings) -> str:
    """Why a metric cannot be a native histogram as declared; "" if it can, or need not."""
    if metric.histograms is Histograms.CLASSIC:
        return ""
    if metric.type not in (None, MetricType.HISTOGRAM):
        return f"a {metric.type} is no histogram"
    if isinstance(metric.buckets, Linear | Bounds):
        return "native histograms have bounds of their own"
    return ""


def check_families(scripts: Iterable[ScriptSettings], diagnostics: list[ConfigDiagnostic]) -> None:
    """Globals declared under one metric name must agree, and differ in their constant labels."""
    seen: dict[str, MetricSettings] = {}
    sets: dict[tuple[str, tuple[tuple[str, str], ...]], MetricSettings] = {}
    for script in scripts:
        for metric in script.metrics.values():
            if metric.name is None or not metric.export or not script.enabled:
                continue
            name = describe(script.name, metric.variable, metric).name
            first = seen.setdefault(name, metric)
            constant = tuple(sorted(metric.constant_labels.items()))
            if clash := _clash(first, metric):
                diagnostics.append(
                    ConfigDiagnostic(
                        metric.position, f"metric '{name}' {clash} at {first.position}"
                    )
                )
            elif (name, constant) in sets:
                diagnostics.append(
                    ConfigDiagnostic(
                        metric.position,
                        f"metric '{name}' has the same labels at {sets[name, constant].position}",
                        "tell them apart with constant_labels, as {operation: read}",
                    )
                )
            sets.setdefault((name, constant), metric)


def _clash(first: MetricSettings, second: MetricSettings) -> str:
    if first.type and second.type and first.type is not second.type:
        return f"is a {second.type} here and a {first.type}"
    if first.unit and second.unit and first.unit != second.unit:
        return f"is in {second.unit} here and in {first.unit}"
    if first.constant_labels.keys() != second.constant_labels.keys():
        return "has other constant_labels than"
    made = first.made_labels or second.made_labels  # then the keys' names are needed, too
    if not made and first.labels and second.labels and first.labels != second.labels:
        return "has other labels than"
    return ""


def _kernel_integer(script: str, metric: MetricSettings, bound: Decimal) -> int:
    scale = describe(script, metric.variable, metric).scale
    with localcontext() as context:
        context.prec = 60
        value = bound / scale
    if value != value.to_integral_value():
        raise ValueError(
            f"bucket {bound:f} is not a whole number of the script's unit ({bound:f} / {scale})"
            f"; the kernel compares integers: choose multiples of {scale:f}"
        )
    if abs(value) > S64_MAX:
        raise ValueError(f"bucket {bound:f} does not fit 64 bits in the script's unit")
    return int(value)


def _scale(node: Node) -> Decimal:
    scale = schema.number(node)
    if scale <= 0:
        raise SchemaError(
            node.position, "scale must be above 0", "1e-9 turns nanoseconds into seconds"
        )
    return scale


def _constant_labels(node: Node, reader: Reader) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, entry in schema.mapping(node, "constant_labels").entries.items():
        key = reader.attempt(label, Scalar(name, name, entry.position))
        value = reader.attempt(schema.word, entry.node)
        if key is not None and value is not None:
            values[key] = value
    return values


def _buckets(node: Node) -> Buckets:
    match node:
        case Scalar(value="log2"):
            return Log2()
        case Mapping(entries) if "schema" in entries:
            if len(entries) != 1:
                raise SchemaError(node.position, "a schema fixes all buckets", _BUCKETS_HINT)
            return Exponential(schema.integer(0, MOST_SCHEMA)(entries["schema"].node))
        case Mapping(entries):
            wrong = next((k for k in entries if k not in ("low", "high", "interval")), None)
            if wrong or len(entries) != 3:
                raise SchemaError(
                    node.position, "buckets must have low, high and interval", _BUCKETS_HINT
                )
            low, high, interval = (
                schema.number(entries[k].node) for k in ("low", "high", "interval")
            )
            if interval <= 0 or high <= low:
                raise SchemaError(node.position, "buckets need high above low and interval above 0")
            if (high - low) / interval > MOST_BUCKETS:
                raise SchemaError(
                    node.position, f"more than {MOST_BUCKETS} buckets", "widen the interval"
                )
            return Linear(low, high, interval)
        case Sequence(items) if items:
            bounds = tuple(schema.number(item) for item in items)
            for before, after, item in zip(bounds, bounds[1:], items[1:], strict=False):
                if after <= before:
                    raise SchemaError(
                        item.position, f"bucket {after:f} must be above {before:f}, before it"
                    )
            if len(bounds) > MOST_BUCKETS:
                raise SchemaError(
                    node.position, f"more than {MOST_BUCKETS} buckets", "leave some out"
                )
            return Bounds(bounds)
        case _:
            raise SchemaError(node.position, "must be buckets", _BUCKETS_HINT)
