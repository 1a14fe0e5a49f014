# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays that are full: each policy under sanitizers, with short and long keys, numbers and statistics."""

from __future__ import annotations

import pytest

from runtime.abi.manifest import Storage, WhenFull
from runtime.reader.table import TableValues
from tests.language.userspace import HostedRuntime, Outcome, Script
from tests.language.workbench import hosted

# 6 keys for 4 elements, each 5 times; key 0 comes first
ADDS = """
global n, a[4]
probe timer.ms(1) { a[KEY] UPDATE; n++ }
"""
SHORT, LONG = "n % 6", 'sprintf("%100d", n % 6)'


def outcome(text: str, policy: WhenFull | None = None, rounds: int = 30) -> Outcome:
    options = {"a": policy} if policy is not None else {}
    (found,) = hosted().run(
        [Script("x", text, rounds=rounds, strict=False, when_full=options, guru=True)]
    )
    assert not found.fault and not found.diagnostics, found.fault + found.diagnostics
    return found


def table(found: Outcome, name: str = "a") -> TableValues:
    assert found.snapshot is not None
    return next(t for t in found.snapshot.tables if t.table.name == name)


def script(key: str, update: str) -> str:
    return ADDS.replace("KEY", key).replace("UPDATE", update)


def keys(found: Outcome) -> list[int]:
    return [int(key[0]) for key in table(found).keys if key]


@pytest.mark.parametrize("key", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("policy", [None, WhenFull.DROP])
def test_updates_of_new_keys_are_dropped_and_counted(key: str, policy: WhenFull | None) -> None:
    found = outcome(script(key, "++"), policy)
    assert (keys(found), table(found).values) == ([0, 1, 2, 3], [5, 5, 5, 5])
    assert (table(found).dropped, table(found).replaced, found.errors) == (10, 0, ())


@pytest.mark.parametrize("key", [SHORT, LONG], ids=["short", "long"])
def test_what_has_no_slot_goes_to_the_row_of_all_others(key: str) -> None:
    found = outcome(script(key, "++"), WhenFull.OTHER)
    assert table(found).table.storage is Storage.PERCPU
    assert (keys(found), table(found).values) == ([0, 1, 2, 3], [5, 5, 5, 5, 10])
    assert table(found).keys[-1] == ()
    assert (table(found).dropped, found.errors) == (0, ()), "nothing is lost"


def test_a_statistic_has_a_row_for_all_others() -> None:
    (found,) = (outcome(script(SHORT, "<<< n"), WhenFull.OTHER),)
    *known, other = table(found).values
    assert [v.count for v in known] == [5, 5, 5, 5]  # type: ignore[union-attr]
    assert (other.count, other.sum) == (10, sum(n for n in range(30) if n % 6 > 3))  # type: ignore[union-attr]


def test_the_row_of_all_others_is_there_before_it_is_needed() -> None:
    found = outcome(script("n % 2", "++"), WhenFull.OTHER)
    assert (table(found).keys, table(found).values) == ([(0,), (1,), ()], [15, 15, 0])


@pytest.mark.parametrize("key", [SHORT, LONG], ids=["short", "long"])
def test_a_wrapping_array_counts_what_it_replaced(key: str) -> None:
    found = outcome(script(key, "++").replace("a[4]", "a%[4]"))
    assert keys(found) == [4, 5, 2, 3], "the slots of 0 and 1 were used again"
    assert sum(table(found).values) + table(found).replaced == 30, "each element was used once"  # type: ignore[arg-type]
    assert (table(found).replaced, table(found).dropped) == (26, 0)


@pytest.mark.parametrize("key", [SHORT, LONG], ids=["short", "long"])
def test_the_least_recently_used_gives_way(key: str) -> None:
    """Key 0 is used with each other one, so it stays; as the oldest one it would go first."""
    text = script(key, "++").replace("n++", f"a[{key.replace('n % 6', '0')}]++; n++")
    lru = outcome(text, WhenFull.LRU)
    assert dict(zip(keys(lru), table(lru).values, strict=True))[0] == 35, "it was never replaced"
    oldest = outcome(text.replace("a[4]", "a%[4]"))
    assert dict(zip(keys(oldest), table(oldest).values, strict=True))[0] != 35
    assert table(lru).replaced == 25 - 3


@pytest.mark.parametrize("policy", [WhenFull.LRU, WhenFull.OLDEST])
def test_a_new_element_has_nothing_of_the_one_that_gave_way(policy: WhenFull) -> None:
    """Rows of several words are zeroed, or written whole."""
    statistic = table(outcome(script(SHORT, "<<< n"), policy))
    for (key,), value in zip(statistic.keys, statistic.values, strict=True):
        assert (value.count, value.sum) == (1, 24 + int(key)), "of its last use"  # type: ignore[union-attr]
    texts = table(outcome(script(SHORT, '= sprintf("%d", n)'), policy))
    assert texts.values == [str(24 + int(key)) for (key,) in texts.keys]
    assert (statistic.replaced, texts.replaced) == (26, 26)


def test_the_list_of_elements_stays_whole_when_elements_move() -> None:
    text = """
    global n, a[4], c
    probe timer.ms(1) { a[(n * 7) % 5]++; if (n % 4 == 3) delete a[n % 5]; n++ }
    probe end { foreach (k in a) c++; printf("%d", c) }
    """
    found = outcome(text, WhenFull.LRU, rounds=200)
    assert found.output == str(len(table(found).keys))


def test_a_full_array_can_be_an_error() -> None:
    text = script(SHORT, "++").replace("; n++", "").replace("{", "{ n++;")
    found = outcome(text, WhenFull.ERROR)
    assert len(found.errors) == 10 and "array overflow" in found.errors[0]


@pytest.mark.parametrize(
    "text",
    [
        "global a probe timer.ms(1) { a++ } probe end { println(a) }",
        "global a[4] probe timer.ms(1) { a[1] = 2 } probe end { println(a[1]) }",
        "global a[4] probe timer.ms(1) { delete a[1]; a[2]++ }",
        'global a[4] probe timer.ms(1) { a[1] = "x" } probe end { println(a[1]) }',
        "global a%[4] probe timer.ms(1) { a[1]++ } probe end { println(a[1]) }",
    ],
)
def test_what_has_no_row_for_others_is_refused(text: str) -> None:
    (found,) = hosted().run([Script("x", text, when_full={"a": WhenFull.OTHER})])
    assert "error[bad-limit]: global 'a' cannot have when_full 'other'" in found.diagnostics


def test_known_keys_cost_the_same_whatever_is_declared() -> None:
    """A row for all others takes not one instruction; what evicts takes a lock, and lru a place in a list."""
    text = "global a[4] probe begin { a[1]++ a[2]++ } probe timer.ms(1) { a[1]++ a[2]++ }"
    policies = (WhenFull.DROP, WhenFull.OTHER, WhenFull.LRU)
    with HostedRuntime.open(counted=True) as runtime:
        found = runtime.run(
            [
                Script("x", text, rounds=20, strict=False, when_full={"a": policy})
                for policy in policies
            ]
        )
    assert not any(outcome.fault for outcome in found)
    drop, other, lru = (outcome.instructions[1] for outcome in found)
    assert 0 < drop == other < lru < drop + 2 * 60
