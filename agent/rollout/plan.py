# SPDX-License-Identifier: GPL-2.0-or-later
"""What a reload would change on a host, as text that reads like a diff.

compare(...)   -> (Change(Mark.CHANGE, "vfs", "swap", "its text changes, 1a2b... -> 3c4d..."), ...)
render(...)    -> "web-1: kernel 6.1.0, debian 12 ...\\n\\n~ vfs  swap  its text changes ...\\n"
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from agent.config.settings import Settings
from agent.rollout.decide import Cause, Decision, History, Wanted, iso
from agent.rollout.host_facts import HostFacts
from runtime.support.record import record
from runtime.support.str_enum import StrEnum

_PAUSED = ("paused", "disarmed_by_operator")


class Mark(StrEnum):
    ADD = "+"
    CHANGE = "~"
    REMOVE = "-"
    WRONG = "!"
    SAME = " "


@record
class Digests:
    """Of one script's configuration: the text, all that its module is made of, what can be set while it runs.

    `problem`: why there are none.
    """

    revision: str = ""
    made_of: str = ""
    tuned: str = ""
    problem: str = ""


@record
class Present:
    """One script in a running agent. `made_of` is "" if the agent does not tell it."""

    state: str
    reason: str
    is_loaded: bool
    digests: Digests
    variant: str = ""
    armed: bool = False
    held: bool = False  # a person has disarmed it
    clean_seconds: float | None = None


@record
class Change:
    mark: Mark
    script: str
    what: str
    why: str = ""


def from_status(tree: Mapping[str, Any]) -> dict[str, Present]:
    """What the status of a running agent says of its scripts."""
    loaded = {script["name"]: script for script in tree["scripts"]}
    entries = {entry["name"]: entry for entry in tree.get("rollout", ())}
    found = {}
    for name in {**loaded, **entries}:
        script, entry = loaded.get(name, {}), entries.get(name, {})
        found[name] = Present(
            script.get("state") or entry["state"],
            script.get("reason") or entry.get("reason", ""),
            bool(script.get("module")),
            Digests(*(entry.get(key, "") for key in ("revision", "made_of", "tuned"))),
            entry.get("variant", ""),
            entry.get("armed", False),
            entry.get("disarmed_by_operator", False),
            entry.get("clean_seconds"),
        )
    return found


def history(present: Mapping[str, Present], files: Mapping[str, Digests]) -> dict[str, History]:
    """What the decisions of a reload would know of these scripts."""
    found = {}
    for name, script in present.items():
        revision = script.digests.revision
        is_same = name in files and files[name].revision == revision
        held = is_same and script.state == "quarantined"
        clean = script.clean_seconds
        if clean is None and script.state == "running":
            clean = 0.0  # nobody has waited for it, so it was not watched
        found[name] = History(
            clean,
            armed=revision if script.armed else "",
            passed=revision if script.is_loaded else "",
            quarantine=script.reason or "its budgets" if held else "",
            held=script.held,
        )
    return found


def compare(
    decisions: Mapping[str, Decision],
    files: Mapping[str, Digests],
    present: Mapping[str, Present],
    settings: Settings,
) -> tuple[Change, ...]:
    """By name. `present`: empty if no agent runs."""
    found = []
    for name in sorted({*decisions, *present}):
        decision, now = decisions.get(name), present.get(name)
        if decision is not None:
            found.append(_change(decision, files[name], now, settings))
        elif now is not None and now.is_loaded:
            why = "the configuration has no such script any more"
            found.append(Change(Mark.REMOVE, name, "unload", why))
    return tuple(found)


def _change(decision: Decision, file: Digests, now: Present | None, settings: Settings) -> Change:
    name, is_there = decision.script, now is not None and now.is_loaded
    if decision.cause is Cause.QUARANTINE:
        return Change(Mark.SAME, name, "quarantined", decision.reason)
    if not decision.is_loaded:
        if is_there:
            return Change(Mark.REMOVE, name, "unload", decision.reason)
        what = "waits" if decision.wanted is Wanted.WAITING else "off"
        return Change(Mark.SAME, name, what, decision.reason)
    if file.problem:
        return Change(Mark.WRONG, name, "fails", file.problem)
    paused = ", paused" if decision.wanted is Wanted.PAUSED else ""
    why = "; ".join(filter(None, [decision.reason, _variants(name, settings)]))
    if now is None or not is_there:
        if now is not None and now.state == "failed" and now.digests.revision == file.revision:
            why = "; ".join(filter(None, [why, f"it failed before: {now.reason}"]))
        return Change(Mark.ADD, name, f"load{paused}", why)
    return _change_of_loaded(decision, file, now, why)


def _change_of_loaded(decision: Decision, file: Digests, now: Present, why: str) -> Change:
    name, before = decision.script, now.digests
    paused = ", paused" if decision.wanted is Wanted.PAUSED else ""
    if not before.made_of:
        return Change(
            Mark.SAME, name, "stays or swap", "the agent does not tell what its module is made of"
        )
    if before.made_of != file.made_of:
        changed = "its options change"
        if before.revision != file.revision:
            changed = f"its text changes, {before.revision} -> {file.revision}"
        return Change(Mark.CHANGE, name, f"swap{paused}", "; ".join(filter(None, [changed, why])))
    if paused and now.state not in _PAUSED:
        return Change(Mark.CHANGE, name, "pause", decision.reason)
    if not paused and now.state in _PAUSED:
        return Change(Mark.CHANGE, name, "arm", decision.reason or "'arm' is not paused")
    if before.tuned != file.tuned:
        return Change(Mark.CHANGE, name, "set", "its budgets or metrics change; its module stays")
    state = "" if now.state == "running" else f", {now.state}"
    variant = f"variant {now.variant}" if now.variant else ""
    reasons = [decision.reason, variant, "" if now.state == "running" else now.reason]
    return Change(Mark.SAME, name, f"unchanged{state}", "; ".join(filter(None, reasons)))


def _variants(name: str, settings: Settings) -> str:
    names = [variant.name for variant in settings.scripts[name].rollout.variants]
    return f"the first of {', '.join(names)} that compiles" if names else ""


# -- text ------------------------------------------------------------------------------------------


def render(facts: HostFacts, now: float, against: str, changes: Iterable[Change]) -> str:
    """The plan for a terminal. `against`: what it is compared with."""
    changes = tuple(changes)
    lines = [describe(facts), f"at {iso(now)}, compared with {against}", ""]
    lines += table([[c.mark, c.script, c.what, c.why] for c in changes])
    return "\n".join([*lines, *([""] if changes else []), _summary(changes)])


def describe(facts: HostFacts) -> str:
    """A host in one line."""
    system = f"{facts.os} {facts.os_version}".strip()
    known = [
        f"kernel {facts.kernel}" if facts.kernel else "",
        facts.arch,
        "" if facts.virtualization == "none" else facts.virtualization,
        system,
        f"{facts.cpus} CPU{'s' if facts.cpus > 1 else ''}",
        f"cgroup {facts.cgroup}" if facts.cgroup else "",
        *(f"{name}={value}" for name, value in sorted(facts.labels.items())),
    ]
    return f"{facts.host}: {', '.join(filter(None, known))}"


def table(rows: list[list[str]]) -> list[str]:
    """Lines with columns of equal width; the last column is as long as it is."""
    if not rows:
        return []
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        mark, *cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append(f"{mark} {'  '.join([*cells, row[-1]])}".rstrip())
    return lines


_COUNTED = (
    ("load", "to load"),
    ("swap", "to swap"),
    ("arm", "to arm"),
    ("pause", "to pause"),
    ("set", "to set"),
    ("unload", "to unload"),
    ("fails", "failing"),
    ("unchanged", "unchanged"),
    ("stays or swap", "not known"),
    ("quarantined", "quarantined"),
    ("waits", "waiting"),
    ("off", "off here"),
)


def _summary(changes: Iterable[Change]) -> str:
    counts = Counter(change.what.partition(",")[0] for change in changes)
    parts = [f"{counts[what]} {words}" for what, words in _COUNTED if counts[what]]
    return ", ".join(parts) or "no scripts"
