# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages in protobuf against the same pages in text, and native histograms against their definition."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.utils import floatToGoString

from agent.config.settings import Histograms, MetricSettings, MetricType
from agent.config.yaml_tree import Position
from agent.exposition.families import Family, plan
from agent.exposition.render import Exposition, Format, negotiate
from compiler.ir.options import histogram_of
from runtime.abi.histogram import upper_bounds
from runtime.abi.manifest import Histogram, Table
from runtime.reader.snapshot import StatValue, TableValues
from runtime.support.record import replace
from tests.agent import protobuf, values
from tests.agent.pages import Series, samples

HERE = Position("test.yaml", 1, 1)
START = 1_700_000_000_123_456_789
S64 = st.integers(-(1 << 63), (1 << 63) - 1)
VALUES = st.one_of(S64, st.integers(0, 1 << 20), st.integers(-3, 3))
NAMES = st.lists(st.text(st.characters(codec="utf-8"), max_size=60), max_size=9, unique=True)


@cache
def bounds_of(hist: Histogram) -> tuple[int, ...]:
    return upper_bounds(hist)


@cache
def exponential(name: str, schema: int, scale: str) -> Table:
    hist = histogram_of({"kind": "exponential", "schema": schema, "scale": scale})
    table = values.statistic(name, "who", histogram=replace(hist, word=1))
    return replace(table, row_size=8 * (1 + hist.buckets))


def counted(table: Table, found: Sequence[int]) -> StatValue:
    """What a module has counted."""
    assert table.statistic is not None and table.statistic.exported is not None
    bounds = bounds_of(table.statistic.exported)
    counts = Counter(bisect_left(bounds, value) for value in found)
    total = (sum(found) + (1 << 63)) % (1 << 64) - (1 << 63)
    return StatValue(None, total, buckets=tuple(counts[n] for n in range(len(bounds) + 1)))


def planned(*tables: Table, **given: Any) -> tuple[Family, ...]:
    declared = {t.name: MetricSettings(t.name, HERE, **given) for t in tables if given}
    families, problems = plan([("app", values.manifest(*tables), declared)], set())
    assert not problems
    return families


def page(exposition: Exposition, found: dict[str, TableValues], form: Format) -> bytes:
    return b"".join(exposition.render(lambda member: found.get(member.table.name), form))


def rounded(found: dict[Series, float]) -> dict[Series, float]:
    """With bounds as protobuf has them: text has more digits where a double is not exact."""
    return {
        (name, tuple((k, floatToGoString(v) if k == "le" else v) for k, v in labels)): float(value)  # type: ignore[no-untyped-call]
        for (name, labels), value in found.items()
    }


@settings(max_examples=15)
@given(
    NAMES,
    st.lists(S64, min_size=9, max_size=9),
    st.lists(VALUES, max_size=30),
    st.integers(0, 3),
    st.data(),
)
def test_the_same_samples_as_in_text(
    names: list[str], numbers: list[int], seen: list[int], schema: int, data: st.DataObject
) -> None:
    tables = [
        values.number("n", "who"),
        values.number("g_ms", "who", monotonic=False),
        values.statistic("hist_ns", "who"),
        values.statistic("sizes", "who", histogram=None),
        exponential("exp_ns", schema, "1E-9"),
    ]
    exposition = Exposition(planned(*tables))
    for turn in range(2):  # the second one has most pages cached
        found = {}
        for table in tables:
            part = data.draw(st.integers(0, len(seen))) if turn else len(seen)
            stat = statistic_of(table, seen[:part])
            rows = {
                (name,): stat if table.statistic else number
                for name, number in zip(names, numbers, strict=False)
            }
            found[table.name] = values.rows(table, rows)
        text = rounded(samples(page(exposition, found, Format.TEXT), Format.TEXT))
        assert samples(page(exposition, found, Format.PROTOBUF), Format.PROTOBUF) == text


def statistic_of(table: Table, seen: Sequence[int]) -> StatValue:
    assert table.statistic is None or table.statistic.sum == 0
    if table.statistic is None or table.statistic.exported is None:
        return StatValue(len(seen), sum(seen) % (1 << 62))
    return counted(table, seen)


@settings(max_examples=15)
@given(
    rows=st.lists(st.lists(VALUES, max_size=20), min_size=1, max_size=6),
    schema=st.integers(0, 3),
    scale=st.sampled_from(["1", "1E-9", "0.001"]),
    both=st.booleans(),
)
def test_native_buckets_are_those_of_the_definition(
    rows: list[list[int]], schema: int, scale: str, both: bool
) -> None:
    """Each element: all values lie in the buckets that count them, and there is nothing else."""
    table = exponential("x", schema, scale)
    wanted = Histograms.BOTH if both else Histograms.NATIVE
    exposition = Exposition(planned(table, histograms=wanted, scale=Decimal(scale)))
    found = {(f"{n}",): counted(table, row) for n, row in enumerate(rows)}
    read = values.rows(table, found)
    text = page(exposition, {"x": read}, Format.PROTOBUF)
    if not both:
        assert exposition.doubles(Format.PROTOBUF) == {"app": {"x"}}
        # the same histograms again, and those of a page that begins with doubles
        assert page(exposition, {"x": values.as_doubles(read)}, Format.PROTOBUF) == text
        other = Exposition(exposition.families)
        assert page(other, {"x": values.as_doubles(read)}, Format.PROTOBUF) == text
    (family,) = protobuf.families(text)
    negative = any(value < 0 for row in rows for value in row)
    for row, metric in zip(rows, family.metric, strict=True):
        histogram = metric.histogram
        assert not histogram.HasField("created_timestamp")
        assert histogram.schema == (0 if negative else schema)
        assert histogram.zero_threshold == 2.0**-128
        if not row:  # Prometheus would take it for one of integers, whose spans are wrong
            assert not histogram.positive_span and not histogram.negative_span
        counts = Counter(_bucket(histogram.schema, value, Fraction(scale)) for value in row)
        buckets = protobuf.native(histogram)
        assert {_near(bounds): n for bounds, n in buckets.items()} == {
            _near(bounds): n for bounds, n in counts.items()
        }
    if both:
        classic = page(exposition, {"x": values.rows(table, found)}, Format.TEXT)
        assert samples(text, Format.PROTOBUF) == rounded(samples(classic, Format.TEXT))


def _bucket(schema: int, value: int, scale: Fraction) -> tuple[float, float]:
    if value == 0:
        return 0.0, 0.0
    size = abs(value) * scale
    power = size ** (1 << schema)
    index = power.numerator.bit_length() - power.denominator.bit_length() - 1
    while power > Fraction(2) ** index:
        index += 1
    base = 2.0 ** (2.0**-schema)
    low, high = base ** (index - 1), base**index
    return (low, high) if value > 0 else (-high, -low)


def _near(bounds: tuple[float, float]) -> tuple[tuple[bool, int], ...]:
    """Bounds are told apart, whatever floating point makes of them."""
    return tuple((b > 0, round(1000 * math.log2(abs(b))) if b else 0) for b in bounds)


def created(family: Any) -> Any:
    value = getattr(family.metric[0], ("counter", "gauge", "summary", "", "histogram")[family.type])
    has = "created_timestamp" in value.DESCRIPTOR.fields_by_name and value.HasField(
        "created_timestamp"
    )
    return value.created_timestamp.ToNanoseconds() if has else None


def test_start_times() -> None:
    """Of what only grows, unless its values may be older than the module, and not of native histograms."""
    tables = [
        values.number("n", "who"),
        values.number("g", "who", monotonic=False),
        values.statistic("hist", "who"),
        values.statistic("sizes", "who", histogram=None),
    ]

    def times(started: int, *tables: Table, **given: Any) -> dict[str, Any]:
        found = {}
        for table in tables:
            stat = statistic_of(table, [1, 2])
            rows = values.rows(table, {("a",): stat if table.statistic else 3})
            found[table.name] = replace(rows, started_ns=started)
        text = page(Exposition(planned(*tables, **given)), found, Format.PROTOBUF)
        return {family.name: created(family) for family in protobuf.families(text)}

    names = ["g", "hist", "n_total", "sizes"]
    wanted = dict(
        zip([f"stapwatch_app_{n}" for n in names], [None, START, START, START], strict=True)
    )
    assert times(START, *tables) == wanted
    assert not any(times(0, *tables).values())
    assert not any(times(START, *tables, keep=True).values())
    table = exponential("e", 0, "1")
    for histograms in Histograms:
        classic = histograms is Histograms.CLASSIC
        assert times(START, table, histograms=histograms) == {
            "stapwatch_app_e": START if classic else None
        }


def test_a_module_that_counts_otherwise_is_served_as_classic() -> None:
    """An adopted one, of an earlier configuration or release."""
    for table in (values.statistic("x_ns", "who"), exponential("x_ns", 2, "1E-6")):
        declared = {"x_ns": MetricSettings("x_ns", HERE, histograms=Histograms.NATIVE)}
        (family,), (problem,) = plan([("app", values.manifest(table), declared)], set())
        assert family.histograms is Histograms.CLASSIC
        assert "native bounds" in problem.message


def test_types() -> None:
    name = values.string("name", "who")
    (family,) = planned(name, type=MetricType.INFO, help="Names.")
    exposition = Exposition([family])
    found = {"name": values.rows(name, {("a%b",): "x" * 100, ("b",): 'eth"0'})}
    for form in (Format.TEXT, Format.PROTOBUF):
        text = page(exposition, found, form)
        assert samples(text, form) == {
            ("stapwatch_app_name_info", (("value", "x" * 100), ("who", "a%b"))): 1,
            ("stapwatch_app_name_info", (("value", 'eth"0'), ("who", "b"))): 1,
        }


PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (  # Prometheus 2.42 with native histograms
            f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,"
            "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format.PROTOBUF,
        ),
        (  # 3.5 with native histograms
            f"{PROTOBUF};q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
            "application/openmetrics-text;version=0.0.1;q=0.4,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            Format.PROTOBUF,
        ),
        (  # 3.5 without
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            Format.OPENMETRICS,
        ),
        (f"{PROTOBUF};q=0.2,text/plain", Format.TEXT),
        (f"{PROTOBUF};q=0", Format.TEXT),
        (PROTOBUF.replace("delimited", "text"), Format.TEXT),
        (PROTOBUF.replace("MetricFamily", "Other"), Format.TEXT),
        ("application/vnd.google.protobuf", Format.TEXT),
    ],
)
def test_negotiation(accept: str, form: Format) -> None:
    assert negotiate(accept) is form
