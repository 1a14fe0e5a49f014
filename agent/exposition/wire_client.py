# SPDX-License-Identifier: GPL-2.0-or-later
"""prometheus_client's families as protobuf: the agent's own metrics.

wire_client.family(CounterMetricFamily("reads", "Reads.", value=3))   -> a MetricFamily with its length
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.samples import Sample

from agent.exposition import wire

_TYPES = {
    "counter": (wire.MetricType.COUNTER, wire.COUNTER),
    "gauge": (wire.MetricType.GAUGE, wire.GAUGE),
    "summary": (wire.MetricType.SUMMARY, wire.SUMMARY),
    "unknown": (wire.MetricType.UNTYPED, wire.UNTYPED),
}


def family(metric: Metric) -> bytes:
    """Raises KeyError for a type that the agent has no metrics of."""
    kind, field = _TYPES[metric.type]
    name = f"{metric.name}_total" if metric.type == "counter" else metric.name
    values = _summaries(metric.samples) if metric.type == "summary" else _numbers(metric.samples)
    metrics = [
        wire.message(wire.METRIC, labels + wire.message(field, value)) for labels, value in values
    ]
    if not metrics:
        return b""
    return b"".join(wire.family(name, metric.documentation, kind, metric.unit, metrics))


def _numbers(samples: Iterable[Sample]) -> Iterable[tuple[bytes, bytes]]:
    return [(_labels(sample), wire.double(1, sample.value)) for sample in samples]


def _summaries(samples: Iterable[Sample]) -> Iterable[tuple[bytes, bytes]]:
    """The count and the sum of each set of labels; there are no quantiles."""
    found: dict[bytes, bytes] = {}
    for sample in samples:
        labels = _labels(sample)
        is_count = sample.name.endswith("_count")
        value = wire.number(1, int(sample.value)) if is_count else wire.double(2, sample.value)
        found[labels] = found.get(labels, b"") + value
    return found.items()


def _labels(sample: Sample) -> bytes:
    return b"".join([wire.label(name, value) for name, value in sample.labels.items()])
