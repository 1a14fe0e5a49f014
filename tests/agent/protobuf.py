# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages in protobuf, read by Google's library with the public definition of io.prometheus.client.

families(page)             -> the MetricFamily messages
metrics(page)              -> as the parsers of texts return them, with the names of text format 0.0.4
native(message.histogram)  -> {(0.5, 1.0): 3.0}, counts by bounds
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from prometheus_client import Metric
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

# message: {field: (number, type)}; `*` is repeated
_DEFINITION: dict[str, dict[str, tuple[int, str]]] = {
    "LabelPair": {"name": (1, "string"), "value": (2, "string")},
    "Gauge": {"value": (1, "double")},
    "Counter": {"value": (1, "double"), "created_timestamp": (3, "Timestamp")},
    "Quantile": {"quantile": (1, "double"), "value": (2, "double")},
    "Summary": {
        "sample_count": (1, "uint64"),
        "sample_sum": (2, "double"),
        "quantile": (3, "*Quantile"),
        "created_timestamp": (4, "Timestamp"),
    },
    "Untyped": {"value": (1, "double")},
    "Bucket": {
        "cumulative_count": (1, "uint64"),
        "cumulative_count_float": (4, "double"),
        "upper_bound": (2, "double"),
    },
    "BucketSpan": {"offset": (1, "sint32"), "length": (2, "uint32")},
    "Histogram": {
        "sample_count": (1, "uint64"),
        "sample_count_float": (4, "double"),
        "sample_sum": (2, "double"),
        "bucket": (3, "*Bucket"),
        "created_timestamp": (15, "Timestamp"),
        "schema": (5, "sint32"),
        "zero_threshold": (6, "double"),
        "zero_count": (7, "uint64"),
        "zero_count_float": (8, "double"),
        "negative_span": (9, "*BucketSpan"),
        "negative_delta": (10, "*sint64"),
        "negative_count": (11, "*double"),
        "positive_span": (12, "*BucketSpan"),
        "positive_delta": (13, "*sint64"),
        "positive_count": (14, "*double"),
    },
    "Metric": {
        "label": (1, "*LabelPair"),
        "gauge": (2, "Gauge"),
        "counter": (3, "Counter"),
        "summary": (4, "Summary"),
        "untyped": (5, "Untyped"),
        "histogram": (7, "Histogram"),
        "timestamp_ms": (6, "int64"),
    },
    "MetricFamily": {
        "name": (1, "string"),
        "help": (2, "string"),
        "type": (3, "int32"),
        "metric": (4, "*Metric"),
        "unit": (5, "string"),
    },
}
_TYPES = ("counter", "gauge", "summary", "untyped", "histogram")


@cache
def _family() -> Any:
    """The class of MetricFamily."""
    file = descriptor_pb2.FileDescriptorProto(
        name="metrics.proto", package="io.prometheus.client", syntax="proto2"
    )
    file.dependency.append("google/protobuf/timestamp.proto")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _DEFINITION.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            made = message.field.add(name=field, number=number, label=kinds.LABEL_OPTIONAL)
            if kind.startswith("*"):
                made.label = kinds.LABEL_REPEATED
            kind = kind.lstrip("*")
            if kind == "Timestamp":
                made.type_name = ".google.protobuf.Timestamp"
            elif kind in _DEFINITION:
                made.type_name = f".io.prometheus.client.{kind}"
            made.type = (
                kinds.TYPE_MESSAGE if made.type_name else getattr(kinds, f"TYPE_{kind.upper()}")
            )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    found = pool.FindMessageTypeByName("io.prometheus.client.MetricFamily")
    return message_factory.GetMessageClass(found)


def families(page: bytes) -> list[Any]:
    """Raises DecodeError if the page is no sequence of messages, AssertionError for unknown fields."""
    found, at = [], 0
    while at < len(page):
        length, at = _varint(page, at)
        message = _family()()
        message.ParseFromString(page[at : at + length])
        assert length and at + length <= len(page)
        known = _family()()
        known.CopyFrom(message)
        known.DiscardUnknownFields()
        assert known == message, f"{message.name} has unknown fields"
        found.append(message)
        at += length
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not data[at - 1] & 0x80:
            return value, at


def metrics(page: bytes) -> list[Metric]:
    return [_metric(message) for message in families(page)]


def _metric(family: Any) -> Metric:
    kind = _TYPES[family.type]
    metric = Metric(family.name.removesuffix("_total"), family.help, kind, "")
    metric.unit = family.unit
    for message in family.metric:
        labels = {pair.name: pair.value for pair in message.label}
        assert len(labels) == len(message.label)
        assert [field.name for field, _ in message.ListFields() if field.name != "label"] == [kind]
        value = getattr(message, kind)
        match kind:
            case "summary":
                metric.samples += _summary(family.name, labels, value)
            case "histogram":
                metric.samples += _histogram(family.name, labels, value)
            case _:
                metric.samples.append(Sample(family.name, labels, value.value))
    return metric


def _summary(name: str, labels: dict[str, str], value: Any) -> Iterator[Sample]:
    yield Sample(f"{name}_count", labels, float(value.sample_count))
    if value.HasField("sample_sum"):
        yield Sample(f"{name}_sum", labels, value.sample_sum)


def _histogram(name: str, labels: dict[str, str], value: Any) -> Iterator[Sample]:
    count = value.sample_count_float or value.sample_count
    if value.HasField("sample_count"):  # else it is native only
        for bucket in value.bucket:
            bound = {"le": floatToGoString(bucket.upper_bound)}  # type: ignore[no-untyped-call]
            yield Sample(f"{name}_bucket", labels | bound, float(bucket.cumulative_count))
        yield Sample(f"{name}_bucket", labels | {"le": "+Inf"}, float(value.sample_count))
        assert count == value.sample_count
    yield Sample(f"{name}_sum", labels, value.sample_sum)
    yield Sample(f"{name}_count", labels, float(count))


def native(histogram: Any) -> dict[tuple[float, float], float]:
    """The counts that are not 0, by bounds; values are above the lower one. (0, 0): the zero bucket."""
    found: dict[tuple[float, float], float] = {}
    if histogram.zero_count_float:
        found[0.0, 0.0] = histogram.zero_count_float
    base = 2.0 ** (2.0**-histogram.schema)
    for index, count in _spanned(histogram.positive_span, histogram.positive_count):
        found[base ** (index - 1), base**index] = count
    for index, count in _spanned(histogram.negative_span, histogram.negative_count):
        found[-(base**index), -(base ** (index - 1))] = count
    assert not histogram.positive_delta and not histogram.negative_delta
    assert sum(found.values()) == histogram.sample_count_float
    return found


def _spanned(spans: Any, counts: Any) -> Iterator[tuple[int, float]]:
    indexes: list[int] = []
    at = 0
    for span in spans:
        at += span.offset
        indexes += range(at, at + span.length)
        at += span.length
    return ((i, count) for i, count in zip(indexes, counts, strict=True) if count)
