# SPDX-License-Identifier: GPL-2.0-or-later
"""Decisions: each reason that keeps a script from running, and their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.rollout.decide import Cause, Decision, History, Wanted, decide, iso, next_change, span
from runtime.support.record import replace
from tests.agent.rollout.hosts import NOW, WEB, scripts


def one(text: str, now: float = NOW, **history: History) -> Decision:
    """The decision about script a."""
    return decide(scripts(text), WEB, now, history)["a"]


def test_a_script_without_conditions_runs() -> None:
    assert one("a: {}") == Decision("a", Wanted.RUN, "", Cause.NONE, "all", "a")


@pytest.mark.parametrize(
    ("text", "wanted", "cause", "reason"),
    [
        ("a: {enabled: false}", "off", "enabled", "'enabled' is false (stapwatch.yaml:3:3)"),
        ("a: {when: {host: db-*}}", "off", "when",
         "host is 'web-1.example.net', and must be 'db-*'"),
        ("a: {percent: 10}", "off", "percent", "this host is at 65.52234 of 100, not below 10 %"),
        ("a: {percent: 70}", "run", "", "this host is at 65.52234 of 100, below 70 %"),
        ("a: {from: 2026-11-30T04:13Z}", "waiting", "from",
         "it starts at 2026-11-30T04:13Z, in 3 h 19 min"),
        ("a: {from: 2026-11-30T00:53:20Z}", "run", "", ""),
        ("a: {until: 2026-11-30T01:53:20+01:00}", "off", "until",
         "it ran until 2026-11-30T00:53:20Z"),
        ("a: {until: 2026-11-30T00:53:21Z}", "run", "", "until 2026-11-30T00:53:21Z"),
        ("a: {arm: paused}", "paused", "arm", "'arm' is paused; to arm it: stapwatch arm a"),
        ("a: {arm: automatic}", "run", "", ""),
        ("a: {when: {cpus: 4}, percent: 70, until: 2027-01-01T00:00Z}", "run", "",
         "'when' holds, this host is at 65.52234 of 100, below 70 %, until 2027-01-01T00:00Z"),
        # the first of several reasons
        ("a: {enabled: false, percent: 0, until: 2026-01-01T00:00Z}", "off", "enabled",
         "'enabled' is false (stapwatch.yaml:3:3)"),
        ("a: {when: {cpus: 8}, percent: 0}", "off", "when", "cpus is '4', and must be '8'"),
        ("a: {percent: 0, from: 2027-01-01T00:00Z}", "off", "percent",
         "this host is at 65.52234 of 100, not below 0 %"),
    ],
)  # fmt: skip
def test_reasons(text: str, wanted: str, cause: str, reason: str) -> None:
    found = one(text)
    assert (found.wanted, found.cause, found.reason) == (wanted, cause, reason)


def test_a_person_has_disarmed_it() -> None:
    """Whatever its text; a script that does not run here anyway says why that is."""
    held = History(held=True, armed="a")
    for text in ("a: {}", "a: {arm: paused}", "a: {percent: 70}"):
        found = one(text, a=held)
        assert (found.wanted, found.cause, found.is_loaded) == ("paused", "operator", True)
        assert found.reason == "disarmed by the operator; to arm it: stapwatch arm a"
    assert one("a: {enabled: false}", a=held).cause is Cause.ENABLED
    assert one("a: {percent: 0}", a=held).wanted is Wanted.OFF


def test_cohorts() -> None:
    texts = ("{}", "{percent: 70}", "{percent: 70.50}", "{percent: 10}", "{percent: 100%}")
    cohorts = [one(f"a: {text}").cohort for text in texts]
    assert cohorts == ["all", "70%", "70.5%", "rest", "100%"]


def test_times_follow_one_another() -> None:
    """Before, within and after; each decision tells when it changes by time alone."""
    settings = scripts("a: {from: 2026-12-01T00:00Z, until: 2026-12-02T00:00Z}\nb: {}")
    start, end = NOW + 83_200, NOW + 169_600
    assert (iso(start), iso(end)) == ("2026-12-01T00:00Z", "2026-12-02T00:00Z")
    seen = []
    for now in (NOW, start - 0.001, start, end - 0.001, end):
        found = decide(settings, WEB, now)
        seen.append((found["a"].wanted.value, next_change(found)))
    assert seen == [
        ("waiting", start),
        ("waiting", start),
        ("run", end),
        ("run", end),
        ("off", None),
    ]


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_nothing_changes_before_the_time_that_is_told(now: float, later: float) -> None:
    settings = scripts(
        "a: {from: 2026-12-01T00:00Z}\nb: {until: 2030-12-02T00:00Z, arm: paused}\n"
        "c: {after: a, from: 2010-01-01T00:00Z, until: 2040-01-01T00:00Z}\nd: {percent: 50}"
    )
    found = decide(settings, WEB, now)
    change = next_change(found)
    if now <= later and (change is None or later < change):
        wanted = {name: decision.wanted for name, decision in found.items()}
        assert wanted == {n: d.wanted for n, d in decide(settings, WEB, later).items()}
    if change is not None:
        assert change > now


AFTER = "a: {after: {script: b, for: 2m}}\nb: {}"
WAITS = "waits for 'b' to run 2 min without losses or breaches; "


@pytest.mark.parametrize(
    ("clean", "reason"),
    [(None, "it does not run"), (0.0, "it has for 0 s"), (119.4, "it has for 1 min 59 s"), (120.0, None)],
)  # fmt: skip
def test_waiting_for_another_script(clean: float | None, reason: str | None) -> None:
    found = one(AFTER, b=History(clean))
    if reason is None:
        assert (found.wanted, found.reason) == (Wanted.RUN, "")
    else:
        assert (found.wanted, found.cause) == (Wanted.WAITING, Cause.AFTER)
        assert found.reason == WAITS + reason


def test_waiting_for_one_that_is_off() -> None:
    """However well it has run; and in a row, each one waits for the next."""
    ran = History(1e6)
    found = one(AFTER.replace("b: {}", "b: {percent: 0}"), b=ran)
    assert found.reason.startswith(f"{WAITS}that is off: this host is at ")
    row = decide(scripts("a: {after: b}\nb: {after: c}\nc: {enabled: false}"), WEB, NOW, {})
    assert [d.wanted for d in row.values()] == ["waiting", "waiting", "off"]
    assert "that is waiting: waits for 'c'" in row["a"].reason
    assert one(AFTER.replace("b: {}", "b: {arm: paused}"), b=History(None)).cause is Cause.AFTER


def test_a_script_that_once_waited_need_not_again_until_its_text_changes() -> None:
    settings = scripts(AFTER)
    passed = {"a": History(passed="a")}
    assert decide(settings, WEB, NOW, passed)["a"].wanted is Wanted.RUN
    changed = replace(settings.scripts["a"], revision="other")
    settings = replace(settings, scripts={**settings.scripts, "a": changed})
    assert decide(settings, WEB, NOW, passed)["a"].wanted is Wanted.WAITING


def test_a_persons_word_holds_for_one_text() -> None:
    assert one("a: {arm: paused}", a=History(armed="a")).wanted is Wanted.RUN
    assert one("a: {arm: paused}", a=History(armed="older")).wanted is Wanted.PAUSED
    unread = replace(scripts("a: {arm: paused}").scripts["a"], revision="")
    settings = replace(scripts("a: {}"), scripts={"a": unread})
    assert decide(settings, WEB, NOW, {"a": History(armed="")})["a"].wanted is Wanted.PAUSED


def test_a_quarantine_keeps_it_off() -> None:
    found = one("a: {arm: paused}", a=History(quarantine="it took too much"))
    assert (found.wanted, found.cause) == (Wanted.OFF, Cause.QUARANTINE)
    assert found.reason == "quarantined here until its text changes: it took too much"


def test_a_long_row_of_scripts() -> None:
    rows = [f"a{n}: {{after: a{n + 1}}}" for n in range(3000)]
    found = decide(scripts("\n".join([*rows, "a3000: {}"])), WEB, NOW)
    assert sum(d.wanted is Wanted.WAITING for d in found.values()) == 3000
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.4, "0 s"), (59.6, "1 min"), (130, "2 min 10 s"), (12_000, "3 h 20 min"), (86_400, "1 d")],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    assert span(seconds) == text
