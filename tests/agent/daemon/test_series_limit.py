# SPDX-License-Identifier: GPL-2.0-or-later
"""Which elements are left out for the budgets of series, and how many series a global has."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.series_limit import Wanted, admitted
from agent.exposition.families import plan
from agent.exposition.render import Exposition, Format
from runtime.reader.merge import StatValue
from tests.agent import values

A, B = ("s", "a"), ("s", "b")
Key = tuple[str, str]


@pytest.mark.parametrize(
    ("sizes", "before", "limits", "total", "expected"),
    [
        ({A: 5, B: 5}, {}, {"s": 10}, 10, {A: 5, B: 5}),
        ({A: 2, B: 60}, {}, {"s": 10}, None, {A: 2, B: 8}),
        ({A: 60, B: 60}, {}, {"s": 10}, None, {A: 5, B: 5}),
        ({A: 60, B: 60}, {A: 8, B: 1}, {"s": 10}, None, {A: 9, B: 1}),
        ({A: 60, B: 60}, {A: 10}, {"s": 10}, None, {A: 10, B: 0}),
        ({A: 3, B: 60}, {A: 8, B: 1}, {"s": 10}, None, {A: 3, B: 7}),
        ({A: 600, B: 600}, {}, {"s": None}, None, {A: 600, B: 600}),
        ({A: 9, ("t", "a"): 60}, {}, {"s": 5, "t": 70}, 11, {A: 5, ("t", "a"): 6}),
    ],
)
def test_what_was_served_stays_and_the_rest_is_shared_out(
    sizes: Mapping[Key, int],
    before: Mapping[Key, int],
    limits: dict[str, int | None],
    total: int | None,
    expected: Mapping[Key, int],
) -> None:
    assert (
        admitted([Wanted(*key, n) for key, n in sizes.items()], before, limits, total) == expected
    )


def test_an_element_of_several_samples_is_served_whole_or_not() -> None:
    wanted = [Wanted(*A, 10, samples=7), Wanted(*B, 10)]
    assert admitted(wanted, {}, {"s": 40}, None) == {A: 4, B: 10}


_sizes = st.dictionaries(
    st.tuples(st.sampled_from("st"), st.sampled_from("abcd")),
    st.tuples(st.integers(0, 20), st.integers(1, 5), st.integers(0, 20)),
)


@given(_sizes, st.none() | st.integers(0, 30), st.none() | st.integers(0, 40))
def test_what_is_served_fits(
    sizes: dict[Key, tuple[int, int, int]], limit: int | None, total: int | None
) -> None:
    wanted = [Wanted(*key, n, samples) for key, (n, samples, _) in sizes.items()]
    before = {key: known for key, (_, _, known) in sizes.items()}
    served = admitted(wanted, before, {"s": limit, "t": limit}, total)
    assert served.keys() == sizes.keys()
    assert all(0 <= served[w.key] <= w.elements for w in wanted)
    for script in "st":
        mine = sum(served[w.key] * w.samples for w in wanted if w.script == script)
        assert limit is None or mine <= limit
    assert total is None or sum(served[w.key] * w.samples for w in wanted) <= total
    if limit is None and total is None:
        assert all(served[w.key] == w.elements for w in wanted)
    # the next page has at least what this one had, as long as nothing else changes
    again = admitted(wanted, served, {"s": limit, "t": limit}, total)
    assert all(again[key] >= n for key, n in served.items())


def test_series_are_the_samples_of_the_page() -> None:
    tables = (
        values.number("n", "k"),
        values.statistic("sizes", "k"),
        values.statistic("totals", "k", histogram=None),
        values.string("text"),
    )
    shown = {
        "n": values.rows(tables[0], {(str(i),): i for i in range(3)}),
        "sizes": values.rows(
            tables[1], {("x",): stat([0] * 5 + [2, 0, 1] + [0] * 57), ("y",): stat([0] * 65)}
        ),
        "totals": values.rows(tables[2], {("x",): stat([])}),
        "text": values.rows(tables[3], {(): "word"}),
    }
    families, _ = plan([("x", values.manifest(*tables), {})], frozenset())
    exposition = Exposition(families)
    page = b"".join(exposition.render(lambda member: shown[member.table.name], Format.TEXT))
    lines = [line for line in page.decode().splitlines() if not line.startswith("#")]
    elements = exposition.elements(lambda m: shown[m.table.name])
    found = {m.table.name: n * samples for m, n, samples in elements}
    for name, count in found.items():
        assert count == sum(f"_x_{name}" in line for line in lines), name
    assert set(found) == {"n", "sizes", "totals"}, "a text is exported only if it is declared"


def stat(buckets: list[int]) -> StatValue:
    return StatValue(sum(buckets), 7, None, None, None, tuple(buckets))
