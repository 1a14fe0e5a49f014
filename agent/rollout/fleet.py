# SPDX-License-Identifier: GPL-2.0-or-later
"""A rollout's table: how many hosts get what, script by script, and what keeps it from the others.

SCRIPT  REVISION      HOSTS  RUN  PAUSED  WAITING   OFF  WHY NOT
vfs     3f9e12ab34cd   2000  201       0        0  1799  1790 percent, 9 when.kernel
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from agent.config.settings import Settings
from agent.rollout.decide import Cause, Decision, Wanted, decide, iso
from agent.rollout.host_facts import HostFacts

_HEAD = ["SCRIPT", "REVISION", "HOSTS", "RUN", "PAUSED", "WAITING", "OFF", "WHY NOT"]


def render(settings: Settings, hosts: Sequence[HostFacts], now: float) -> str:
    """The settings have revisions. Nothing is known of what has happened on the hosts."""
    found: dict[str, list[Decision]] = defaultdict(list)
    for facts in hosts:
        for name, decision in decide(settings, facts, now).items():
            found[name].append(decision)
    rows = [_HEAD, *(_row(name, decisions) for name, decisions in sorted(found.items()))]
    count = f"{len(found)} script{'' if len(found) == 1 else 's'}"
    title = f"{count} on {len(hosts)} host{'' if len(hosts) == 1 else 's'} at {iso(now)}"
    return "\n".join([title, "", *_lines(rows)])


def _row(name: str, decisions: Sequence[Decision]) -> list[str]:
    wanted = Counter(decision.wanted for decision in decisions)
    kept = Counter(_cause(d) for d in decisions if d.wanted is not Wanted.RUN)
    why = ", ".join(f"{count} {cause}" for cause, count in kept.most_common())
    numbers = [len(decisions), *(wanted[state] for state in Wanted)]
    return [name, decisions[0].revision, *map(str, numbers), why]


def _cause(decision: Decision) -> str:
    """when.kernel, percent, after opens."""
    match decision.cause:
        case Cause.WHEN:
            return f"{decision.cause}.{decision.detail}"
        case Cause.AFTER:
            return f"{decision.cause} {decision.detail}"
        case _:
            return str(decision.cause)


def _lines(rows: Sequence[list[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEAD) - 1)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if n < 2 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return lines
