# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be done with each script on a host: it runs, it is loaded and paused, it waits, or it is off.

decide(settings, facts, now, {"opens": History(clean_seconds=120.0)})
-> {"vfs": Decision("vfs", Wanted.WAITING, "waits for 'opens' to run 5 min ...; it has for 2 min", ...)}

The function knows nothing but its arguments, so it answers for any host and any time. The first reason that
keeps a script from running is the one that is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone

from agent.config.rollout_settings import Arm
from agent.config.settings import ScriptSettings, Settings
from agent.rollout import matching
from agent.rollout.host_facts import HostFacts
from runtime.support.record import record, replace
from runtime.support.str_enum import StrEnum


class Wanted(StrEnum):
    RUN = "run"
    PAUSED = "paused"  # loaded, and not armed
    WAITING = "waiting"  # for a time or for another script
    OFF = "off"


class Cause(StrEnum):
    """What keeps a script from running; of conditions there is the key as well."""

    NONE = ""
    ENABLED = "enabled"
    QUARANTINE = "quarantine"
    WHEN = "when"
    PERCENT = "percent"
    FROM = "from"
    UNTIL = "until"
    AFTER = "after"
    ARM = "arm"
    OPERATOR = "operator"


@record
class History:
    """What has happened to one script on the host. Revisions are digests of its text.

    `clean_seconds`: how long it has run without losses or breaches; None: it does not run.
    """

    clean_seconds: float | None = None
    armed: str = ""  # the revision that a person armed
    passed: str = ""  # the revision that once had waited long enough for another script
    quarantine: str = ""  # why this revision is quarantined
    held: bool = False  # a person disarmed the script


@record
class Decision:
    """`changes_at`: when the passing time alone may change it, in seconds since 1970."""

    script: str
    wanted: Wanted
    reason: str
    cause: Cause
    cohort: str
    revision: str = ""
    detail: str = ""  # of the cause: the key of a condition, the script that is waited for
    changes_at: float | None = None

    @property
    def is_loaded(self) -> bool:
        return self.wanted in (Wanted.RUN, Wanted.PAUSED)


NOTHING = History()


def decide(
    settings: Settings,
    facts: HostFacts,
    now: float,
    history: Mapping[str, History] | None = None,
) -> dict[str, Decision]:
    """A decision for each script of the configuration. `now`: seconds since 1970."""
    known = history or {}
    found: dict[str, Decision] = {}
    for name in _in_order(settings.scripts):
        script = settings.scripts[name]
        decision = _decide(script, facts, now, known.get(name, NOTHING))
        after = script.rollout.after
        if decision.is_loaded and after is not None:
            decision = _after(decision, script, found.get(after.script), known)
        found[name] = decision
    return {name: found[name] for name in settings.scripts}


def next_change(decisions: Mapping[str, Decision]) -> float | None:
    """When the decisions are to be made again."""
    times = [d.changes_at for d in decisions.values() if d.changes_at is not None]
    return min(times, default=None)


def _in_order(scripts: Mapping[str, ScriptSettings]) -> list[str]:
    """Each script behind the one that it waits for. The configuration has no circles."""
    order: dict[str, None] = {}
    for name in scripts:
        chain: list[str] = []
        following: str | None = name
        while (
            following is not None
            and following in scripts
            and following not in order
            and following not in chain
        ):
            chain.append(following)
            after = scripts[following].rollout.after
            following = after.script if after is not None else None
        order.update(dict.fromkeys(reversed(chain)))
    return list(order)


def _decide(script: ScriptSettings, facts: HostFacts, now: float, history: History) -> Decision:
    """By everything but other scripts."""
    rollout = script.rollout
    place = matching.position(facts, script.name)
    percent = rollout.percent
    inside = percent is None or place < percent
    cohort = "all" if percent is None else f"{percent.normalize():f}%" if inside else "rest"
    run = Decision(script.name, Wanted.RUN, "", Cause.NONE, cohort, script.revision)

    def no(cause: Cause, reason: str, detail: str = "", wanted: Wanted = Wanted.OFF) -> Decision:
        return replace(run, wanted=wanted, reason=reason, cause=cause, detail=detail)

    if not script.enabled:
        return no(Cause.ENABLED, f"'enabled' is false ({script.position})")
    if history.quarantine:
        return no(
            Cause.QUARANTINE, f"quarantined here until its text changes: {history.quarantine}"
        )
    if (failed := matching.mismatch(rollout.when, facts)) is not None:
        return no(Cause.WHEN, failed.text, failed.key)
    if percent is not None and not inside:
        return no(Cause.PERCENT, f"this host is at {place} of 100, not below {percent} %")
    if rollout.end is not None and now >= rollout.end:
        return no(Cause.UNTIL, f"it ran until {iso(rollout.end)}")
    if rollout.start is not None and now < rollout.start:
        reason = f"it starts at {iso(rollout.start)}, in {span(rollout.start - now)}"
        return replace(no(Cause.FROM, reason, wanted=Wanted.WAITING), changes_at=rollout.start)
    run = replace(run, changes_at=rollout.end)
    if history.held:
        reason = f"disarmed by the operator; to arm it: stapwatch arm {script.name}"
        return no(Cause.OPERATOR, reason, wanted=Wanted.PAUSED)
    if rollout.arm is Arm.PAUSED and not _is(history.armed, script):
        reason = f"'arm' is paused; to arm it: stapwatch arm {script.name}"
        return no(Cause.ARM, reason, wanted=Wanted.PAUSED)
    return replace(run, reason=_why_it_runs(script, place))


def _after(
    decision: Decision,
    script: ScriptSettings,
    other: Decision | None,
    history: Mapping[str, History],
) -> Decision:
    """Whether the script that this one waits for has run long enough."""
    after = script.rollout.after
    if after is None or _is(history.get(script.name, NOTHING).passed, script):
        return decision
    reason = f"waits for '{after.script}' to run {span(after.seconds)} without losses or breaches"
    clean = history.get(after.script, NOTHING).clean_seconds
    if other is None:
        reason += "; there is no such script"
    elif not other.is_loaded:
        reason += f"; that is {other.wanted}: {other.reason}"
    elif clean is None:
        reason += "; it does not run"
    elif clean < after.seconds:
        reason += f"; it has for {span(clean)}"
    else:
        return decision
    return replace(
        decision, wanted=Wanted.WAITING, reason=reason, cause=Cause.AFTER, detail=after.script
    )


def _is(revision: str, script: ScriptSettings) -> bool:
    return bool(revision) and revision == script.revision


def _why_it_runs(script: ScriptSettings, place: object) -> str:
    rollout = script.rollout
    reasons = []
    if rollout.when.facts or rollout.when.labels:
        reasons.append("'when' holds")
    if rollout.percent is not None:
        reasons.append(f"this host is at {place} of 100, below {rollout.percent} %")
    if rollout.end is not None:
        reasons.append(f"until {iso(rollout.end)}")
    return ", ".join(reasons)


def iso(time: float) -> str:
    """2026-12-24T18:00Z; with seconds if there are any."""
    found = datetime.fromtimestamp(time, timezone.utc)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ" if found.second else "%Y-%m-%dT%H:%MZ")


def span(seconds: float) -> str:
    """A duration in its two largest units: 3 h 20 min, 2 min 10 s, 1 d."""
    left, parts = max(0, round(seconds)), []
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
