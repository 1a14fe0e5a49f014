# SPDX-License-Identifier: GPL-2.0-or-later
"""Pages of metrics, read back exactly. tests/agent/pages.py has them read by Prometheus's own tools, too."""

from __future__ import annotations

import gzip
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.settings import MetricSettings, MetricType
from agent.config.yaml_tree import Position
from agent.exposition.families import Family, Member, plan
from agent.exposition.render import Exposition, Format, compress, negotiate, wants_gzip
from agent.exposition.units import bound_text, printed
from runtime.abi.histogram import upper_bounds
from runtime.abi.manifest import Histogram, HistogramKind, Slots, Table, WhenFull
from runtime.reader.snapshot import StatValue, TableValues
from runtime.reader.table import per_page
from runtime.reader.table_keys import OTHER, text
from runtime.support.record import replace
from tests.agent import values
from tests.agent.pages import parsed, samples
from tests.agent.values import rows

HERE = Position("test.yaml", 1, 1)


def settings(variable: str, **given: Any) -> Mapping[str, MetricSettings]:
    return {variable: MetricSettings(variable, HERE, **given)}


def served(table: Table, found: Mapping[Any, Any], form: Format, **given: Any) -> bytes:
    families, problems = plan(
        [("app", values.manifest(table), settings(table.name, **given))], set()
    )
    assert not problems
    return page(Exposition(families), {table.name: rows(table, found)}, form)


def page(exposition: Exposition, found: Mapping[str, TableValues], form: Format) -> bytes:
    def read(member: Member) -> TableValues | None:
        return found.get(member.table.name)

    end = b"# EOF\n" if form is Format.OPENMETRICS else b""
    return b"".join(exposition.render(read, form)) + end


FORMS = pytest.mark.parametrize("form", list(Format), ids=lambda form: form.name.lower())
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
KEYS = st.one_of(TEXTS, st.integers(-(1 << 63), (1 << 63) - 1))


@FORMS
@given(found=st.dictionaries(st.tuples(TEXTS, KEYS), st.integers(0, 1 << 53), max_size=200))
def test_every_counter_reads_back(form: Format, found: dict[tuple[str, Any], int]) -> None:
    # An integer and its own text would be one series.
    unique = {(a, str(b)): (key, value) for key, value in found.items() for a, b in [key]}
    kept = dict(unique.values())
    text = served(values.number("reads", "who", "what"), kept, form)
    assert samples(text, form) == {
        ("stapwatch_app_reads_total", (("what", str(what)), ("who", who))): value
        for (who, what), value in kept.items()
    }


@FORMS
@given(
    found=st.dictionaries(
        st.tuples(TEXTS), st.lists(st.integers(0, 1 << 40), min_size=65, max_size=65), max_size=5
    ),
    total=st.integers(0, (1 << 63) - 1),
)
def test_every_histogram_reads_back(
    form: Format, found: dict[tuple[str], list[int]], total: int
) -> None:
    stats = {k: StatValue(None, total, buckets=tuple(b)) for k, b in found.items()}
    text = served(values.statistic("size", "who"), stats, form)
    got = samples(text, form)
    for (who,), buckets in found.items():
        if form is Format.TEXT or not any(b[0] for b in found.values()):
            assert got["stapwatch_app_size_count", (("who", who),)] == sum(buckets)
        shown = {
            math.inf if le == "+Inf" else float(le): value
            for (name, labels), value in got.items()
            if name.endswith("_bucket") and dict(labels)["who"] == who
            for le in [dict(labels)["le"]]
        }
        for bound, value in shown.items():
            below = sum(
                c
                for c, b in zip(buckets, [*upper_bounds(values.LOG2), math.inf], strict=True)
                if b <= bound
            )
            assert value == below


@given(
    value=st.integers(-(1 << 63), (1 << 63) - 1),
    places=st.integers(-9, 12),
    digits=st.integers(1, 999),
)
def test_scaling_is_exact(value: int, places: int, digits: int) -> None:
    scale = Decimal(digits).scaleb(-places)
    way = printed(scale)
    text = way.mark % (value * way.factor)
    assert Decimal(text) == Decimal(value) * scale
    assert float(text) == float(Decimal(value) * scale)


@pytest.mark.parametrize(
    ("bound", "scale", "text"),
    [
        (-1, "1", "-1.0"),
        (0, "1e-9", "0.0"),
        (127, "1e-9", "1.27e-07"),
        (1000000, "1e-9", "0.001"),
        (1000000, "1", "1e+06"),
        ((1 << 63) - 1, "1", "9223372036854775807.0"),
    ],
)
def test_bounds_are_canonical_and_exact(bound: int, scale: str, text: str) -> None:
    assert bound_text(bound, Decimal(scale)) == text


@FORMS
def test_log2_bucket_is_inclusive(form: Format) -> None:
    """Four events of 4 to 7 are all <= 7 and none <= 3."""
    stat = StatValue(None, 22, buckets=tuple(4 if n == 4 else 0 for n in range(65)))
    got = samples(served(values.statistic("size"), {(): stat}, form), form)
    assert got == {
        ("stapwatch_app_size_bucket", (("le", "3.0"),)): 0,
        ("stapwatch_app_size_bucket", (("le", "7.0"),)): 4,
        ("stapwatch_app_size_bucket", (("le", "+Inf"),)): 4,
        ("stapwatch_app_size_sum", ()): 22,
        ("stapwatch_app_size_count", ()): 4,
    }


def test_bounds_only_grow() -> None:
    table = values.statistic("size", "who")
    families, _ = plan([("app", values.manifest(table), {})], set())
    exposition = Exposition(families)

    def bounds(**filled: int) -> set[str]:
        stats = {
            (who,): StatValue(None, 0, buckets=tuple(int(n == word) for n in range(65)))
            for who, word in filled.items()
        }
        text = page(exposition, {"size": rows(table, stats)}, Format.TEXT)
        every = [
            {
                labels["le"]
                for _, pairs in got
                if (labels := dict(pairs))["who"] == who and "le" in labels
            }
            for got in [samples(text, Format.TEXT)]
            for who in filled
        ]
        assert all(found == every[0] for found in every), "one family, one set of bounds"
        return every[0]

    first = bounds(a=5)
    assert first == {"7.0", "15.0", "+Inf"}
    assert bounds(a=5, b=8) == {*first, "31.0", "63.0", "127.0"}
    assert bounds(a=6) == {*first, "31.0", "63.0", "127.0"}


@FORMS
def test_declared_bounds_are_all_served(form: Format) -> None:
    wanted = Histogram(HistogramKind.BOUNDS, 1, 4, bounds=(1_000_000, 10_000_000, 100_000_000))
    stat = StatValue(None, 5_000_000_123, buckets=(3, 0, 0, 1))
    text = served(values.statistic("read_ns", histogram=wanted), {(): stat}, form)
    assert samples(text, form) == {
        ("stapwatch_app_read_seconds_bucket", (("le", "0.001"),)): 3,
        ("stapwatch_app_read_seconds_bucket", (("le", "0.01"),)): 3,
        ("stapwatch_app_read_seconds_bucket", (("le", "0.1"),)): 3,
        ("stapwatch_app_read_seconds_bucket", (("le", "+Inf"),)): 4,
        ("stapwatch_app_read_seconds_count", ()): 4,
        ("stapwatch_app_read_seconds_sum", ()): 5.000000123,
    }
    if form is not Format.PROTOBUF:
        assert b"stapwatch_app_read_seconds_sum 5000000123e-9\n" in text


def test_openmetrics_has_no_sum_with_negative_values() -> None:
    stat = StatValue(None, -3, buckets=(2, 1, *[0] * 63))
    table = values.statistic("delta")
    assert b"_sum -3\n" in served(table, {(): stat}, Format.TEXT)
    text = served(table, {(): stat}, Format.OPENMETRICS)
    assert b"_sum" not in text
    assert parsed(text, Format.OPENMETRICS)["stapwatch_app_delta"].type == "histogram"


@FORMS
def test_negative_counter_is_left_out_and_counted(form: Format) -> None:
    table = values.number("moved", "who")
    families, _ = plan([("app", values.manifest(table), {})], set())
    exposition = Exposition(families)
    found = {("a -1",): 5, ("b",): -7, ("c",): 0}
    text = page(exposition, {"moved": rows(table, found)}, form)
    assert {dict(labels)["who"] for _, labels in samples(text, form)} == {"a -1", "c"}
    assert exposition.refused().total() == 1


def test_change_of_one_key_changes_one_page() -> None:
    table = values.number("reads", "n")
    families, _ = plan([("app", values.manifest(table), {})], set())
    exposition = Exposition(families)

    def parts(found: TableValues) -> list[bytes]:
        return list(exposition.render(lambda member: found, Format.TEXT))[1:]

    numbers = {(f"{n}",): n for n in range(1000)}
    before = parts(rows(table, numbers))
    keys = list(numbers)
    keys[500] = ("new",)
    after = parts(rows(table, dict(zip(keys, numbers.values(), strict=True))))
    page = 500 // per_page(table)
    assert [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a is not b] == [page]
    assert b'stapwatch_app_reads_total{n="new"} 500\n' in after[page]
    fewer = parts(rows(table, dict.fromkeys(keys[:3], 1)))
    assert b"".join(fewer).count(b"_total{") == 3


@FORMS
def test_types_and_headers(form: Format) -> None:
    count, size = values.number("hits"), values.number("size", monotonic=False)
    name, idle = values.string("name"), values.statistic("idle_us", histogram=None)
    declared = {
        **settings("name", type=MetricType.INFO, help='a\\b\n"c"'),
        **settings("size", unit="bytes"),
    }
    families, problems = plan([("app", values.manifest(count, size, name, idle), declared)], set())
    assert not problems
    text = page(
        Exposition(families),
        {
            "hits": rows(count, {(): 3}),
            "size": rows(size, {(): -4}),
            "name": rows(name, {(): 'eth"0'}),
            "idle_us": rows(idle, {(): StatValue(2, 1500)}),
        },
        form,
    )
    found = parsed(text, form)
    assert {(m.name, m.type) for m in found.values()} == {
        ("stapwatch_app_hits", "counter"),
        ("stapwatch_app_size_bytes", "gauge"),
        ("stapwatch_app_idle_seconds", "summary"),
        ("stapwatch_app_name", "info")
        if form is Format.OPENMETRICS
        else ("stapwatch_app_name_info", "gauge"),
    }
    info = next(m for m in found.values() if "name" in m.name)
    assert info.documentation == 'a\\b\n"c"'
    assert info.samples[0].labels == {"value": 'eth"0'}
    if form is not Format.TEXT:
        assert found["stapwatch_app_idle_seconds"].unit == "seconds"
    (total,) = [s.value for m in found.values() for s in m.samples if s.name.endswith("_sum")]
    assert total == 1500e-6


def test_odd_names_follow_the_rules() -> None:
    tables = [
        values.number("readBytes", "le", "le"),
        values.number("latency_ms", monotonic=False),
        values.number("thing_total", monotonic=False),
        values.number("a_counter"),
        values.statistic("wait_ns", "execname"),
        values.statistic("x_count", histogram=None),
    ]
    families, problems = plan([("my-Script", values.manifest(*tables), {})], set())
    assert not problems
    stat = StatValue(1, 100, buckets=tuple(int(n == 9) for n in range(65)))
    found = {
        table.name: rows(table, {("a", "b")[: len(table.keys)]: stat if table.statistic else 3})
        for table in tables
    }
    for form in Format:
        assert len(parsed(page(Exposition(families), found, form), form)) == len(tables)


def test_one_family_of_two_scripts() -> None:
    table = values.number("n", "who")
    reads = settings("n", name="io_calls", constant_labels={"op": "read"})
    writes = settings("n", name="io_calls", constant_labels={"op": "write"})
    other = settings("n", name="io_calls", type=MetricType.GAUGE, constant_labels={"op": "x"})
    families, problems = plan(
        [
            ("r", values.manifest(table, name="r"), reads),
            ("w", values.manifest(table, name="w"), writes),
            ("x-again", values.manifest(table, name="again"), writes),
            ("x-gauge", values.manifest(table, name="gauge"), other),
        ],
        set(),
    )
    assert [(f.name, [m.script for m in f.members]) for f in families] == [("io_calls", ["r", "w"])]
    assert {p.script for p in problems} == {"x-again", "x-gauge"}
    text = page(Exposition(families), {"n": rows(table, {("cat",): 2})}, Format.TEXT)
    assert text.count(b"# TYPE") == 1
    assert b'io_calls_total{op="read",who="cat"} 2\n' in text
    assert b'io_calls_total{op="write",who="cat"} 2\n' in text


NAMES = (
    "x",
    "x_count",
    "x_sum",
    "x_bucket",
    "x_created",
    "x_total",
    "x_info",
    "x_count_value",
    "x_ns",
)
BOUNDS = Histogram(HistogramKind.BOUNDS, 1, 3, bounds=(10, 20))


def a_table(name: str, kind: MetricType) -> Table:
    match kind:
        case MetricType.COUNTER | MetricType.GAUGE:
            return values.number(name, "who", monotonic=kind is MetricType.COUNTER)
        case MetricType.INFO:
            return values.string(name, "who")
        case _:
            return values.statistic(
                name, "who", histogram=BOUNDS if kind is MetricType.HISTOGRAM else None
            )


def a_value(kind: MetricType) -> int | str | StatValue:
    match kind:
        case MetricType.COUNTER | MetricType.GAUGE:
            return 3
        case MetricType.INFO:
            return "text"
        case _:
            return StatValue(1, 15, buckets=(0, 1, 0))


@pytest.mark.names_against_rules
@given(
    globals_=st.lists(
        st.tuples(
            st.sampled_from(["app", "app_x", "t"]),
            st.sampled_from(NAMES),
            st.sampled_from(list(MetricType)),
            st.none() | st.sampled_from(["x", "x_total", "x_count_total", "x_created_total"]),
            st.sampled_from([{}, {"who2": "a"}, {"who": "a"}]),
        ),
        max_size=9,
        unique_by=lambda one: one[:2],
    ),
    seed=st.randoms(use_true_random=False),
)
def test_no_two_families_share_a_sample(globals_: list[Any], seed: Any) -> None:
    """Of one script or of several, named or not, in each order in which they may come."""
    scripts: dict[str, tuple[list[Table], dict[str, MetricSettings]]] = {}
    found: dict[tuple[str, str], TableValues] = {}
    for script, variable, kind, name, constant in globals_:
        table = a_table(variable, kind)
        made, declared = scripts.setdefault(script, ([], {}))
        made.append(table)
        if name or kind is MetricType.INFO or constant:
            labels = ("key",) if "who" in constant else None
            declared[variable] = MetricSettings(
                variable, HERE, name=name, type=kind, labels=labels, constant_labels=constant
            )
        found[script, variable] = rows(table, {("cat",): a_value(kind)})
    given_ = [(n, values.manifest(*t, name=n), d) for n, (t, d) in scripts.items()]
    families, problems = plan(given_, set())
    seed.shuffle(given_)
    assert plan(given_, set())[0] == families
    told = [p for p in problems if "exported as" not in p.message]
    assert sum(len(f.members) for f in families) + len(told) == len(globals_)
    for form in Format:
        end = b"# EOF\n" if form is Format.OPENMETRICS else b""
        parts = Exposition(families).render(lambda m: found[m.script, m.table.name], form)
        assert len(parsed(b"".join(parts) + end, form)) == len(families)


def test_a_counter_gives_way_to_a_histograms_samples() -> None:
    tables = [values.number("x_count"), values.statistic("x"), values.number("y_count")]
    families, problems = plan([("app", values.manifest(*tables), {})], set())
    assert [f.name for f in families] == [
        "stapwatch_app_x",
        "stapwatch_app_x_count_value",
        "stapwatch_app_y_count",
    ]
    assert [p.message for p in problems] == [
        "global 'x_count': metric 'stapwatch_app_x_count' has samples of the same name as "
        "'stapwatch_app_x' in script 'app'; it is exported as 'stapwatch_app_x_count_value' until you "
        "declare a name"
    ]
    named = settings("x", name="stapwatch_app_z_count_total", type=MetricType.COUNTER)
    given_ = ("a", values.manifest(values.number("x"), name="a"), named)
    other = ("app", values.manifest(values.statistic("z")), settings("z"))
    families, problems = plan([other, given_], set())
    assert [f.name for f in families] == ["stapwatch_app_z_count", "stapwatch_app_z_value"]


@pytest.mark.parametrize("reserved", ["stapwatch_app_x_count", "stapwatch_app_x_created"])
def test_samples_of_the_agent_are_its_own(reserved: str) -> None:
    families, problems = plan([("app", values.manifest(values.statistic("x")), {})], {reserved})
    assert not families and "one of the agent's own" in problems[0].message


def test_an_info_has_no_unit() -> None:
    table = values.string("host_s")
    page = served(table, {(): "a"}, Format.OPENMETRICS, type=MetricType.INFO)
    assert b"# UNIT" not in page and parsed(page, Format.OPENMETRICS)


@FORMS
@given(
    keys=st.sets(
        st.binary(max_size=8).filter(lambda b: b"\0" not in b)
        | st.sampled_from([b"w\xff", b"w\\xff", b"w\\x5cxff", b"\\", b"\\x5c", b"\xc3", b"\xa9"]),
        min_size=2,
        max_size=12,
    )
)
def test_distinct_keys_are_distinct_series(form: Format, keys: set[bytes]) -> None:
    """Keys are bytes of the kernel: any user can name a process like the escape of another name."""
    found = {(text(key + b"\0"),): n for n, key in enumerate(keys)}
    assert len(found) == len(keys)
    got = samples(served(values.number("n", "who"), found, form), form)
    assert sorted(got.values()) == list(range(len(keys)))


@given(keys=st.sets(st.binary(max_size=8).map(lambda b: b.replace(b"\0", b"")), min_size=2))
def test_distinct_texts_are_distinct_infos(keys: set[bytes]) -> None:
    pages = {
        served(
            table := values.string("n"),
            {(): key.decode(errors="surrogateescape")},
            Format.TEXT,
            type=MetricType.INFO,
        )
        for key in keys
    }
    assert len(pages) == len(keys)
    assert table.name == "n"


def test_problems_name_the_thing() -> None:
    table = values.number("reads", "who")
    declared = {
        **settings("reeds"),
        **settings("reads", labels=("a", "b")),
    }
    families, problems = plan([("app", values.manifest(table), declared)], set())
    assert "no global 'reeds'" in problems[0].message
    assert "did you mean 'reads'?" in problems[0].message
    assert "2 labels declared for 1 keys" in problems[1].message
    assert families[0].members[0].labels == ("who",)
    _, problems = plan([("app", values.manifest(table), {})], {"stapwatch_app_reads"})
    assert "one of the agent's own" in problems[0].message


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/plain", Format.TEXT),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", Format.TEXT),
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2",
            Format.OPENMETRICS,
        ),
        (
            "application/openmetrics-text;version=1.0.0;q=0.1,text/plain;version=0.0.4;q=0.9",
            Format.TEXT,
        ),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("text/html;q=x,,;", Format.TEXT),
    ],
)
def test_negotiation(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


def test_gzip() -> None:
    assert wants_gzip("gzip") and wants_gzip("deflate, gzip;q=0.5")
    assert not wants_gzip("") and not wants_gzip("gzip;q=0") and not wants_gzip("br")
    assert gzip.decompress(compress([b"abc", b"", b"def"])) == b"abcdef"


def test_family_is_a_value() -> None:
    """A plan equal to the previous one keeps the cached templates."""
    one = plan([("app", values.manifest(values.number("n")), {})], set())
    two = plan([("app", values.manifest(values.number("n")), {})], set())
    assert one == two
    assert isinstance(one[0][0], Family)


OVERFLOWING = pytest.mark.parametrize(
    ("table", "value", "endings"),
    [
        (values.number("n", "k"), 7, ["_total"]),
        (values.statistic("sizes", "k"), StatValue(2, 9, buckets=(0, 0, 0, 2, *[0] * 61)), None),
        (values.statistic("totals", "k", histogram=None), StatValue(2, 9), ["_sum", "_count"]),
    ],
)


@FORMS
@OVERFLOWING
def test_all_others_are_one_series(
    form: Format, table: Table, value: int | StatValue, endings: list[str] | None
) -> None:
    """With a label instead of the keys, and with constant labels, whose texts may have any characters."""
    slots = Slots(0, 0, 24, 16, 2, when_full=WhenFull.OTHER)
    table = replace(table, slots=slots)
    constant = {"site": '50%d "x"'}
    families, problems = plan(
        [("app", values.manifest(table), settings(table.name, constant_labels=constant))], set()
    )
    assert not problems
    known = rows(table, {("a%s",): value})
    found = replace(
        known, key_pages=(*known.key_pages, OTHER), rows=known.rows + rows(table, {(): value}).rows
    )
    exposition = Exposition(families)
    for _ in range(2):  # the second one from the cache
        text = page(exposition, {table.name: found}, form)
        (family,) = parsed(text, form).values()
        by_label: dict[str, list[tuple[str, float]]] = {"k": [], "other": []}
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k != "le"}
            label = "other" if "other" in labels else "k"
            assert labels == constant | {label: "true" if label == "other" else "a%s"}
            by_label[label].append((sample.name, sample.value))
        assert by_label["k"] == by_label["other"] and by_label["k"]
        names = [name for name, _ in by_label["k"]]
        assert endings is None or set(names) == {f"{family.name}{e}" for e in endings}


def test_a_key_with_the_name_of_that_label_is_a_problem() -> None:
    slots = Slots(0, 0, 24, 16, 2, when_full=WhenFull.OTHER)
    table = replace(values.number("n", "other"), slots=slots)
    families, problems = plan([("app", values.manifest(table), {})], set())
    assert not families
    assert [p.message for p in problems] == [
        "global 'n': label 'other' marks the series of all elements without a slot; rename the key"
    ]


def test_a_ttl_of_one_number_is_a_problem() -> None:
    """It is served all the same."""
    table = values.number("n")
    families, problems = plan([("app", values.manifest(table), settings("n", ttl=5.0))], set())
    assert [f.name for f in families] == ["stapwatch_app_n"]
    assert [p.message for p in problems] == [f"{HERE}: ttl has no effect on 'n', which is no array"]
