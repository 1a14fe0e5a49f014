# SPDX-License-Identifier: GPL-2.0-or-later
"""Elements with the same labels are one series, whose value is exactly what they have counted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.exposition.expiry import Expiry
from agent.labels.series import Series
from runtime.abi.manifest import Statistic, Storage, Table, ValueType
from runtime.reader.table import TableValues
from runtime.reader.table_keys import OTHER, KeyTuple
from runtime.support.record import replace
from tests.agent import values
from tests.agent.labels.slots import Array, keyed

NUMBER = keyed(values.number("n"))
WIDE = keyed(
    replace(values.number("n"), value=ValueType.STAT, statistic=Statistic(0, 1), row_size=160)
)


def modulo(key: KeyTuple) -> KeyTuple | None:
    """Elements of 0, 7, 14 ... are dropped; the others share three series."""
    number = key[0]
    assert isinstance(number, int)
    return None if number % 7 == 0 else (f"series {number % 3}",)


def numbers(found: TableValues) -> dict[KeyTuple, int]:
    """By labels, which are there once, the first word of the row. All words of a row must be equal."""
    result: dict[KeyTuple, int] = {}
    size = found.table.row_size
    for page, rows in found.pages():
        for n, labels in enumerate(page.tuples()):
            row = memoryview(rows[n * size : (n + 1) * size]).cast("q").tolist()
            assert labels not in result and len(set(row)) == 1
            result[labels] = row[0]
    return result


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 12), st.integers(0, 9)),
        st.tuples(st.just("count"), st.integers(0, 99), st.integers(1, 9)),
        st.tuples(st.just("remove"), st.integers(0, 99), st.just(0)),
        st.tuples(st.just("hide"), st.integers(0, 99), st.just(0)),
        st.tuples(st.just("read"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@pytest.mark.parametrize("table", [NUMBER, WIDE], ids=["numbers", "statistics"])
@pytest.mark.parametrize("grows", [True, False], ids=["counters", "gauges"])
@given(steps=STEPS)
def test_a_sum_is_what_its_elements_have_counted(
    table: Table, grows: bool, steps: list[tuple[str, int, int]]
) -> None:
    array, series = Array(table), Series(table, modulo, grows)
    hidden: set[int] = set()
    gone: dict[KeyTuple, int] = {}  # by series: what elements that have gone have counted
    members: dict[int, KeyTuple] = {}  # those of the last reading, by slot

    for what, number, value in [*steps, ("read", 0, 0)]:
        live = array.live()
        if what == "add":
            array.add(number, value)
        elif what == "count" and live:
            slot = live[number % len(live)]
            array.count(slot, value)
            hidden.discard(slot)  # its ttl begins anew
        elif what == "remove" and live:
            slot = live[number % len(live)]
            labels = modulo((array.key(slot),))
            if labels is not None and slot in members:
                # as the agent sees it: removed after a reading that had its last value
                check(series, array, hidden, gone, grows)
                gone[labels] = gone.get(labels, 0) + array.value(slot)
            array.remove(slot)
            members.pop(slot, None)
            hidden.discard(slot)
            check(series, array, hidden, gone, grows)
        elif what == "hide" and live and live[number % len(live)] in members:
            check(series, array, hidden, gone, grows)  # nothing has changed since
            hidden.add(live[number % len(live)])
        elif what == "read":
            check(series, array, hidden, gone, grows)
            members = {n: of for n in array.live() if (of := modulo((array.key(n),))) is not None}


def check(
    series: Series, array: Array, hidden: set[int], gone: dict[KeyTuple, int], grows: bool
) -> None:
    expected: dict[KeyTuple, int] = {}
    shown = set()
    for slot in array.live():
        labels = modulo((array.key(slot),))
        if labels is not None:
            expected[labels] = expected.get(labels, 0) + array.value(slot)
            if slot not in hidden:
                shown.add(labels)
    for labels in list(gone):
        if labels not in expected:
            del gone[labels]  # the series has ended
    if grows:
        expected = {labels: n + gone.get(labels, 0) for labels, n in expected.items()}
    found = series.merged(array.read(hidden))
    assert numbers(found) == {labels: n for labels, n in expected.items() if labels in shown}
    assert len(found) == len(shown)


def test_rows_of_series_of_one_element_are_those_that_were_read() -> None:
    array, series = Array(NUMBER), Series(NUMBER, lambda key: (f"<{key[0]}>",), True)
    for key in range(10):
        array.add(key, key)
    read = array.read()
    first = series.merged(read)
    assert first.rows is read.rows
    assert first.keys == [(f"<{key}>",) for key in range(10)]
    array.count(3, 5)
    second = series.merged(array.read())
    assert all(a is b for a, b in zip(first.key_pages, second.key_pages, strict=True))
    assert second.values[3] == 8


def test_pages_of_sums_stay_the_same_objects() -> None:
    array, series = Array(WIDE), Series(WIDE, lambda key: (f"<{hash(key) // 2}>",), True)
    slots = [array.add(key, 1) for key in range(2000)]
    first = series.merged(array.read())
    array.count(slots[7], 5)
    second = series.merged(array.read())
    assert len(first.key_pages) > 3
    assert all(a is b for a, b in zip(first.key_pages, second.key_pages, strict=True))


def test_a_label_is_made_once_for_each_element() -> None:
    asked = []

    def labels(key: KeyTuple) -> KeyTuple:
        asked.append(key)
        return ("one",)

    array, series = Array(NUMBER), Series(NUMBER, labels, True)
    for key in range(10):
        array.add(key, 1)
        series.merged(array.read())
    assert asked == [(key,) for key in range(10)]


def test_the_row_of_all_others_stays_itself() -> None:
    array, series = Array(NUMBER), Series(NUMBER, lambda key: ("one",), True)
    array.add(1, 1)
    array.add(2, 2)
    read = array.read()
    read = replace(
        read, key_pages=(*read.key_pages, OTHER), rows=read.rows + (9).to_bytes(8, "little")
    )
    found = series.merged(read)
    assert found.key_pages[-1] is OTHER
    assert found.values == [3, 9]


def test_sums_wrap_as_the_kernel_s_do() -> None:
    array, series = Array(NUMBER), Series(NUMBER, lambda key: ("one",), False)
    array.add(1, (1 << 63) - 1)
    array.add(2, 2)
    assert series.merged(array.read()).values == [-(1 << 63) + 1]


def test_a_text_is_that_of_an_element_which_is_there() -> None:
    table = keyed(values.string("s"))
    array, series = Array(table), Series(table, lambda key: ("one",), False)
    a = array.add(1)
    b = array.add(2)

    def word(text: str) -> int:
        return int.from_bytes(text.encode().ljust(8, b"\0"), "little")

    array.count(a, word("a"))
    array.count(b, word("b"))
    assert texts(series.merged(array.read())) == ["b" * 1]
    array.count(a, word("x") - word("a"))
    assert texts(series.merged(array.read())) == ["x"]
    array.remove(a)
    assert texts(series.merged(array.read())) == ["b"]


def texts(found: TableValues) -> list[Any]:
    return [str(value)[:1] for value in found.values]


def test_what_has_gone_goes_on_in_the_next_module() -> None:
    array, series = Array(NUMBER), Series(NUMBER, lambda key: ("one",), True)
    array.add(1, 10)
    slot = array.add(2, 5)
    series.merged(array.read())
    array.remove(slot)
    assert series.merged(array.read()).values == [15]
    assert series.remains() == {("one",): [5]}
    again = Array(NUMBER)
    again.add(1, 11)
    after = Series(NUMBER, lambda key: ("one",), True, series.remains())
    assert after.merged(again.read()).values == [16]


def test_storage_makes_no_difference() -> None:
    """Rows of the shared region are added like those of the CPUs."""
    table = replace(NUMBER, storage=Storage.SHARED)
    array, series = Array(table), Series(table, lambda key: ("one",), False)
    array.add(1, -4)
    array.add(2, 5)
    assert series.merged(array.read()).values == [1]


def test_a_series_is_served_until_all_its_elements_have_expired() -> None:
    array, series = Array(NUMBER), Series(NUMBER, lambda key: ("one",), True)
    expiry = Expiry(ttl=10)
    old, young = array.add(1, 100), array.add(2, 1)

    def served(now: float) -> list[Any]:
        return series.merged(expiry.visible(array.read(), now)).values

    assert served(0) == [101]
    array.count(young, 1)
    assert served(11) == [102]  # `old` is left out of the page, and not of the sum
    array.remove(old)
    assert served(12) == [102]
    assert served(22) == []
    array.count(young, 1)
    assert served(23) == [103]
    array.remove(young)
    array.add(3, 7)
    assert served(24) == [7]  # no element of the series is left: it has begun anew
