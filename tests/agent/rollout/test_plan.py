# SPDX-License-Identifier: GPL-2.0-or-later
"""Plans as text: cases/ has the expected ones. UPDATE=1 rewrites them: read the difference before you commit it."""

from __future__ import annotations

import os
from pathlib import Path

from agent.rollout import fleet, plan
from agent.rollout.decide import decide
from agent.rollout.plan import Digests, Present
from runtime.support.record import replace
from tests.agent.rollout.hosts import NOW, WEB, scripts

CASES = Path(__file__).parent / "cases"
TEXT = """
armed: {}
changed: {percent: 100}
disabled: {enabled: false}
fails: {}
later: {from: 2026-12-01T00:00Z}
new: {percent: 95, variants: [a/new.stp, a/old.stp]}
options: {}
paused: {arm: paused}
pausing: {arm: paused}
quarantined: {}
replaced_paused: {arm: paused}
retried: {}
same: {when: {labels: {tier: canary}}}
storming: {}
tuned: {}
unloaded: {when: {host: db-*}}
unreadable: {}
varied: {variants: [a/new.stp, a/old.stp]}
waiting: {after: same}
"""


def digests(name: str) -> Digests:
    return Digests(name, f"made of {name}", f"tuned as {name}")


def golden(name: str, text: str) -> None:
    file = CASES / f"{name}.txt"
    if os.environ.get("UPDATE"):
        file.write_text(f"{text}\n")
    assert f"{text}\n" == file.read_text()


def running(name: str, state: str = "running", reason: str = "") -> Present:
    return Present(state, reason, True, digests(name))


def test_beside_a_running_agent() -> None:
    settings = scripts(TEXT)
    files = {name: digests(name) for name in settings.scripts}
    files["unreadable"] = Digests(problem="cannot read /etc/x.stp: permission denied")
    present = {
        "armed": running("armed", "paused", "to arm it: stapwatch arm armed"),
        "changed": replace(running("changed"), digests=digests("earlier")),
        "fails": Present("failed", "x.stp:3:5: no", False, Digests("fails")),
        "gone": running("gone"),
        "gone_already": Present("failed", "", False, Digests("x")),
        "options": replace(running("options"), digests=Digests("options", "else", "")),
        "paused": replace(running("paused"), armed=True),
        "pausing": running("pausing"),
        "quarantined": running("quarantined", "quarantined", "it took too much"),
        "replaced_paused": replace(running("x"), armed=True),
        "retried": Present("failed", "x.stp:3:5: no", False, Digests("another text")),
        "same": replace(running("same"), clean_seconds=61.0),
        "storming": running("storming", "disarmed", "it is armed again in 3 s"),
        "tuned": replace(running("tuned"), digests=Digests("tuned", "made of tuned", "else")),
        "unloaded": running("unloaded"),
        "varied": replace(running("varied"), variant="old"),
    }
    decisions = decide(settings, WEB, NOW, plan.history(present, files))
    changes = plan.compare(decisions, files, present, settings)
    golden("agent", plan.render(WEB, NOW, "the running agent", changes))


def test_compared_with_nothing() -> None:
    settings = scripts(TEXT)
    files = {name: digests(name) for name in settings.scripts}
    changes = plan.compare(decide(settings, WEB, NOW), files, {}, settings)
    golden("nothing", plan.render(WEB, NOW, "nothing", changes))


def test_without_scripts() -> None:
    text = plan.render(replace(WEB, labels={}), NOW, "nothing", ())
    assert text.splitlines()[2:] == ["", "no scripts"]


def test_a_quarantine_ends_with_the_text() -> None:
    settings = scripts("a: {}")
    held = {"a": replace(running("a", "quarantined"), digests=digests("older"))}
    files = {"a": digests("a")}
    decisions = decide(settings, WEB, NOW, plan.history(held, files))
    [change] = plan.compare(decisions, files, held, settings)
    assert (change.mark, change.what) == ("~", "swap")
    assert change.why == "its text changes, older -> a"


def test_an_agent_that_does_not_tell_what_it_runs() -> None:
    """An older one."""
    tree = {"scripts": [{"name": "a", "state": "running", "reason": "", "module": "sw_a"}]}
    present = plan.from_status(tree)
    settings, files = scripts("a: {}"), {"a": digests("a")}
    [change] = plan.compare(decide(settings, WEB, NOW), files, present, settings)
    assert change.why == "the agent does not tell what its module is made of"


def test_the_table_of_a_fleet() -> None:
    settings = scripts(
        "opens: {percent: 10, arm: paused}\nreads: {when: {kernel: '<6'}}\nslow: {after: reads, when: {cpus: 8}}\n"
        "vfs: {}\nwrites: {after: vfs, when: {labels: {tier: canary}}}"
    )
    hosts = [
        replace(
            WEB,
            machine_id=str(number),
            kernel=("5.10.0", "6.1.0", "6.12.3")[number % 3],
            labels={"tier": "canary" if number % 10 == 0 else "prod"},
            cpus=8 if number % 2 else 4,
        )
        for number in range(300)
    ]
    golden("fleet", fleet.render(settings, hosts, NOW))


def test_what_a_person_has_disarmed_stays_so() -> None:
    """The plan knows it from the agent: nothing is armed, and a new text changes nothing about it."""
    settings = scripts("same: {}\nother: {}")
    files = {name: digests(name) for name in settings.scripts}
    old = replace(running("other", "disarmed_by_operator"), digests=digests("earlier"), held=True)
    present = {"same": replace(running("same", "disarmed_by_operator"), held=True), "other": old}
    decisions = decide(settings, WEB, NOW, plan.history(present, files))
    other, same = plan.compare(decisions, files, present, settings)
    assert (same.mark, same.what) == (plan.Mark.SAME, "unchanged, disarmed_by_operator")
    assert (other.mark, other.what) == (plan.Mark.CHANGE, "swap, paused")
