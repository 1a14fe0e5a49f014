# SPDX-License-Identifier: GPL-2.0-or-later
"""The service under load, and what a fault has cost it.

    before = scene.now()
    fault.do(scene)
    scene.cost(fault, before)    -> Cost(made=Made(...), lost={"event": 12}, resets=0, ...)

Prometheus's own samples are added up, and compared with what the load has made: nothing is estimated.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lab import Guest
from tests.agent.certificates import Certificates
from tests.system.prometheus import Scraper
from tests.system.reliability.fault import Fault
from tests.system.reliability.load import SIZES, Load, Made
from tests.system.service import Service, wait_for

SERIES = {
    "calls": "stapwatch_calls_getppid_total",
    "reads": "stapwatch_sizes_size_count",
    "errors": 'stapwatch_probe_errors_total{script="errors"}',
}
LOST = "stapwatch_lost_total"
SCRIPTS = "/etc/stapwatch/probes.d"
UNIT = (
    "SYSLOG_IDENTIFIER=stapwatch",
    "+",
    "UNIT=stapwatch.service",
    "+",
    "UNIT=stapwatch-loader.service",
)
_LINE = re.compile(r'^opened "/nowhere/(\d+)"$', re.M)


@dataclass(frozen=True)
class Moment:
    """`counted`: in Prometheus. `lost`: by (script, reason). `cursor`: the end of the journal. `newest`: the time of
    each series' newest sample."""

    made: Made
    counted: dict[str, float]
    lost: dict[tuple[str, str], float]
    cursor: str
    newest: dict[str, float]


@dataclass(frozen=True)
class Cost:
    """What was made, counted, lost (by reason) and reset since a moment, and what was written to the journal."""

    made: dict[str, int]
    counted: dict[str, int]
    lost: dict[str, int]
    resets: dict[str, int]
    journal: str


@dataclass
class Scene:
    guest: Guest
    service: Service
    load: Load
    prometheus: Scraper
    certificates: Certificates
    names: dict[int, str]  # the modules of the versions of `sizes`
    folder: Path  # of this machine, for whatever a fault needs
    _moment: Moment | None = None

    # -- for faults -------------------------------------------------------------------------------

    def shell(self, command: str, timeout: float = 120) -> str:
        """A command's output. Raises if it fails."""
        return self.guest.run(command, timeout=timeout).check().stdout

    def agent(self) -> str:
        """The agent's process id."""
        return self.service.show("MainPID")

    def agent_after(self, pid: str) -> str:
        """The next agent's process id, when all scripts are in force again."""

        def next_one() -> str | None:
            words = self.service.systemctl("show", "-P", "MainPID", "-P", "SubState", "stapwatch")
            found, state = words.stdout.split()
            return found if found not in (pid, "0") and state == "running" else None

        found = wait_for(next_one, "another agent")
        self.all_run()
        return found

    def all_run(self) -> None:
        not_running: dict[str, str] = {}

        def all_run() -> bool:
            not_running.clear()
            states = self.states()
            not_running.update(
                {name: state for name, state in states.items() if state != "running"}
            )
            return bool(states) and not not_running

        try:
            wait_for(all_run, "all scripts run", 60)
        except AssertionError:
            text = f"{not_running}: {self.service.status()}\n{self.service.journal_text()}"
            raise AssertionError(text) from None

    def states(self) -> dict[str, str]:
        """Each script's state; {} while no agent answers."""
        try:
            return self.service.states()
        except (OSError, ValueError):
            return {}

    def write_sizes(self, version: int) -> None:
        """Another version of the script `sizes`, which counts the same."""
        self.guest.push_text(SIZES % version, f"{SCRIPTS}/sizes.stp")

    def written_since(self, cursor: str) -> str:
        """What the agent, its scripts, and systemd about it have written to the journal."""
        self.shell("journalctl --sync")
        words = " ".join(["journalctl -o cat --no-pager", f"'--after-cursor={cursor}'", *UNIT])
        return self.shell(words)

    # -- for the test -----------------------------------------------------------------------------

    def now(self) -> Moment:
        """A moment at which nothing is made and all that was made has been counted. The load goes on then."""
        found, self._moment = self._moment, None  # the end of the fault before
        if found is None:
            made = self.load.pause()
            self._scraped()
            found = self._after(made)
        self.load.go()
        return found

    def _after(self, made: Made) -> Moment:
        counted = {name: self.prometheus.counted(series) for name, series in SERIES.items()}
        newest = {name: self.prometheus.history(series)[-1][0] for name, series in SERIES.items()}
        return Moment(made, counted, self._lost(), self._cursor(), newest)

    def cost(self, fault: Fault, before: Moment) -> Cost:
        """Pause the load, and wait until each of its events is counted, lost, or known to be missing."""
        now = self.load.pause()
        made = {k: v - getattr(before.made, k) for k, v in vars(now).items()}
        self._scraped()
        for name in SERIES.keys() - fault.uncounted:
            self._wait_for_count(name, made[name] - fault.tolerance(name), before)
        if "lines" not in fault.uncounted:
            wanted = made["lines"]
            wait_for(lambda: self._lines_missing(wanted, before) <= 0, f"all {wanted:,} lines", 60)
        journal = self.written_since(before.cursor)
        lines = Counter(_LINE.findall(journal))
        assert lines.total() - len(lines) <= fault.repeated, lines.most_common(3)
        counted = {name: self._counted(name, before) for name in SERIES} | {"lines": len(lines)}
        resets = {
            name: int(self.prometheus.resets(series, before.newest[name]))
            for name, series in SERIES.items()
        }
        lost = self._lost_since(before)
        self._moment = self._after(now)
        return Cost(made, counted, lost, resets, journal)

    def _lines_missing(self, made: int, before: Moment) -> int:
        """How many lines are neither in the journal nor lost."""
        written = set(_LINE.findall(self.written_since(before.cursor)))
        return made - len(written) - self._lost_since(before).get("event", 0)

    def _wait_for_count(self, name: str, made: int, before: Moment) -> None:
        def counted() -> bool:
            return self._counted(name, before) >= made

        wait_for(counted, f"{made} {name} were counted, but {self._counted(name, before)}", 30)

    def _counted(self, name: str, before: Moment) -> int:
        return int(self.prometheus.counted(SERIES[name]) - before.counted[name])

    def _scraped(self) -> None:
        """Wait until Prometheus has a page that was made from now on."""
        now = time.time()
        series = SERIES["calls"]

        def newer() -> bool:
            found = self.prometheus.history(series)
            return bool(found) and found[-1][0] > now

        wait_for(newer, "a scrape")

    def _lost(self) -> dict[tuple[str, str], float]:
        found = {}
        for (name, labels), value in self.service.series().items():
            if name == LOST:
                by = dict(labels)
                found[by["script"], by["reason"]] = value
        return found

    def _lost_since(self, before: Moment) -> dict[str, int]:
        """By reason, without those that have lost nothing. What an agent counts begins with it."""
        total: Counter[str] = Counter()
        for (script, reason), value in self._lost().items():
            older = before.lost.get((script, reason), 0.0)
            total[reason] += int(value - older if value >= older else value)
        return {reason: count for reason, count in total.items() if count}

    def _cursor(self) -> str:
        self.shell("journalctl --sync")
        words = " ".join(["journalctl -n 1 -o cat --show-cursor", *UNIT])
        return self.shell(words).splitlines()[-1].removeprefix("-- cursor: ")
