# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that a script can lose, by reason, and whether its numbers are complete.

    table(script, snapshot)      -> {"reentrant": 3, "missed": 0, ...}
    is_complete(script, snapshot) -> False

A script is complete if its series on this page have all that happened since its module was started. So what
the module has lost is never made up for: the script is complete again when its module is replaced. What one
page left out is missing on that page only. Losses of output (log lines, records, ends of texts) leave the
numbers as they are. docs/losses.md has the table below for readers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from agent.scripts.script import Script
from runtime.reader.snapshot import ProbeValues, Snapshot
from runtime.reader.table import TableValues
from runtime.support.record import record


@record
class Loss:
    """`of`: what one of them is. `numbers`: the script's series miss something.

    The module counts since its start, the agent since its own start.
    """

    reason: str
    of: str
    text: str
    numbers: bool
    by_module: Callable[[Snapshot], int] | None = None
    by_agent: Callable[[Script], int] | None = None

    def count(self, script: Script | None, shot: Snapshot | None) -> int | None:
        """None if nobody can tell: the module is not loaded."""
        if self.by_module is not None:
            return self.by_module(shot) if shot is not None else None
        assert self.by_agent is not None
        return self.by_agent(script) if script is not None else None


def _probes(count: Callable[[ProbeValues], int]) -> Callable[[Snapshot], int]:
    return lambda shot: sum(map(count, shot.probes))


def _tables(count: Callable[[TableValues], int]) -> Callable[[Snapshot], int]:
    return lambda shot: sum(map(count, shot.tables))


def _page(reason: str) -> Callable[[Script], int]:
    return lambda script: script.lost[reason]


LOSSES = (
    Loss(
        "reentrant",
        "hit",
        "came while another handler of the script ran on that CPU",
        True,
        by_module=_probes(lambda p: p.skipped_reentrant),
    ),
    Loss(
        "lock",
        "hit",
        "waited for the lock of a global in vain",
        True,
        by_module=_probes(lambda p: p.skipped_lock),
    ),
    Loss(
        "missed",
        "hit",
        "was not delivered by the kernel; a lower bound for kprobes, returns and perf events",
        True,
        by_module=_probes(lambda p: p.missed),
    ),
    Loss(
        "error",
        "handler",
        "was ended by a script error, before it had counted all",
        True,
        by_module=_probes(lambda p: p.errors),
    ),
    Loss(
        "disarmed",
        "disarm",
        "detached the probes; hits until the next arm are counted nowhere",
        True,
        by_module=lambda shot: shot.header.disarms,
    ),
    Loss(
        "array_full",
        "update",
        "had a new key and found the array full",
        True,
        by_module=_tables(lambda t: t.dropped),
    ),
    Loss(
        "array_replaced",
        "element",
        "of a wrapping or least-recently-used array gave way to a new one",
        True,
        by_module=_tables(lambda t: t.replaced),
    ),
    Loss(
        "wrapped",
        "sum",
        "passed 2^63; seen by the agent since it reads the module",
        True,
        by_module=_tables(lambda t: t.wrapped),
    ),
    Loss(
        "series",
        "sample",
        "was left out of a page: the budget of series",
        True,
        by_agent=_page("series"),
    ),
    Loss(
        "unsettled",
        "element",
        "changed too often to be read: left out of a page, or with its value before",
        True,
        by_agent=_page("unsettled"),
    ),
    Loss(
        "negative",
        "sample",
        "was left out of a page: a counter below 0",
        True,
        by_agent=_page("negative"),
    ),
    Loss(
        "event",
        "record",
        "of a print, a message or an error found the ring full",
        False,
        by_module=lambda shot: shot.lanes.events_lost,
    ),
    Loss(
        "string",
        "text",
        "did not fit its buffer and was cut; of keys, two may have become one",
        False,
        by_module=lambda shot: shot.lanes.strings_cut,
    ),
    Loss(
        "log_rate",
        "log line",
        "was over a budget of log lines",
        False,
        by_agent=lambda script: script.log.dropped,
    ),
    Loss(
        "log_full",
        "log line",
        "found the journal or the pipe full, or could not be written",
        False,
        by_agent=lambda script: script.log.lines.lost,
    ),
)
_EVENTS = ("hit", "update", "record")
PAGE_REASONS = ("series", "unsettled", "negative")  # those of Script.lost


def table(script: Script | None, shot: Snapshot | None) -> dict[str, int]:
    """The number of each loss that somebody can tell."""
    found = ((loss.reason, loss.count(script, shot)) for loss in LOSSES)
    return {reason: count for reason, count in found if count is not None}


def lost(shot: Snapshot) -> int:
    """The hits, updates and records that the module has lost."""
    return sum(loss.by_module(shot) for loss in LOSSES if loss.by_module and loss.of in _EVENTS)


def is_complete(script: Script | None, shot: Snapshot | None) -> bool:
    """Whether the script's series on the last page have all that happened since its module was started."""
    if shot is None or any(probe.failed_attachments for probe in shot.probes):
        return False
    if any(loss.numbers and loss.by_module is not None and loss.by_module(shot) for loss in LOSSES):
        return False
    return script is None or not script.withheld


def note_page(scripts: Mapping[str, Script], left_out: Mapping[str, Mapping[str, int]]) -> None:
    """Count what a page left out: for each of PAGE_REASONS the number by script."""
    for name, script in scripts.items():
        missing = {reason: left_out.get(reason, {}).get(name, 0) for reason in PAGE_REASONS}
        script.lost.update(missing)
        script.withheld = sum(missing.values())


def families(scripts: Mapping[str, Script], snapshots: Mapping[str, Snapshot]) -> Iterable[Metric]:
    reasons = "; ".join(f"{loss.reason}: {loss.of}s" for loss in LOSSES)
    lost = CounterMetricFamily(
        "stapwatch_lost",
        f"What the script has lost, by reason. {reasons}.",
        labels=["script", "reason"],
    )
    complete = GaugeMetricFamily(
        "stapwatch_script_complete",
        "Whether the script's series on this page have all that happened since its module was started.",
        labels=["script"],
    )
    for name in dict.fromkeys((*scripts, *snapshots)):
        script, shot = scripts.get(name), snapshots.get(name)
        complete.add_metric([name], is_complete(script, shot))
        for reason, count in table(script, shot).items():
            lost.add_metric([name, reason], count)
    yield from (lost, complete)
