# SPDX-License-Identifier: GPL-2.0-or-later
"""A script's disarms: why it is disarmed, and when it is armed again.

    rearming.disarmed(Disarm("cpu", ...), pauses=(1, 2, 4))   -> 1   seconds until it is due; then 2, 4
    rearming.disarmed(...)                                    -> None: it is quarantined
    rearming.armed()

The pauses start over once the script has run for five minutes since it was armed: a storm that comes once
a day is no reason to give the script up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from agent.config.budgets import percent
from runtime.support.record import record

WELL = 300.0  # seconds after which the pauses start over
# What the kernel disarms for, what the agent does (total.cpu), and what is neither (request).
BUDGETS = ("cpu", "one_cpu", "hit_time", "hit_rate", "total.cpu")
REQUEST = "request"
PAUSED = "paused"  # the configuration says so; it is no breach

_MEASURED = {
    "cpu": "took {} of the time of all CPUs",
    "one_cpu": "took {} of the time of one CPU",
    "hit_time": "took {} for one hit",
    "hit_rate": "had {} hits a second",
    "total.cpu": "took most of the {} of all CPUs' time that all scripts took together",
}


@record
class Disarm:
    """One disarm. `value` and `limit` in the kernel's units: millionths, ns, hits a second."""

    budget: str
    probe: str = ""  # the one that cost most
    value: int = 0
    limit: int = 0

    def __str__(self) -> str:
        """What happened, as the end of a sentence about the script."""
        if self.budget not in _MEASURED:
            return "was disarmed by another program"
        measured = _MEASURED[self.budget].format(amount(self.budget, self.value))
        costly = f"; most of it was {self.probe}" if self.probe else ""
        return (
            f"{measured}, and the budget {self.budget} is {amount(self.budget, self.limit)}{costly}"
        )


def amount(budget: str, value: int) -> str:
    """A value of a budget with its unit: 12.3 %, 1.5 ms, 4,711."""
    match budget:
        case "hit_time":
            return f"{value / 1e6:.3g} ms" if value < 1_000_000_000 else f"{value / 1e9:.3g} s"
        case "hit_rate":
            return f"{value:,}"
        case _:
            return percent(value)


class Rearming:
    """The state of one script. `clock`: seconds that no change of the date moves."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.disarm: Disarm | None = None  # the last one, until the script is armed
        self.quarantined = False
        self.under_way = False  # the kernel has been asked to arm it, and has not answered
        self.counts: Counter[str] = Counter()  # by budget
        self._clock = clock
        self._next = 0  # the index of the next pause
        self._armed = self._since = clock()
        self._due = 0.0
        self._changed: float | None = None
        self._seconds = 0.0  # disarmed, up to the last arm

    def disarmed(self, why: Disarm, pauses: Sequence[float]) -> float | None:
        """The script was disarmed. Returns the pause in seconds, or None if it is quarantined."""
        self.counts[why.budget] += 1
        now = self._clock()
        if now - self._armed >= WELL:
            self._next = 0
        self._stand(why, now)
        if self._next >= len(pauses):
            self.quarantined = True
            return None
        pause = pauses[self._next]
        self._next += 1
        self._due = now + pause
        return pause

    def quarantine(self, why: Disarm) -> None:
        """The script was quarantined before this agent started."""
        self._stand(why, self._clock())
        self.quarantined = True

    def armed(self) -> None:
        """The script was armed again, or replaced by another version."""
        now = self._clock()
        if self.disarm is not None:
            self._seconds += now - self._since
            self._changed = now
        self.disarm, self.quarantined = None, False
        self._armed = now

    @contextmanager
    def arming(self) -> Iterator[None]:
        """While the kernel attaches the hooks. A disarm that it reports meanwhile is another one."""
        self.armed()
        self.under_way = True
        try:
            yield
        finally:
            self.under_way = False

    def start_over(self) -> None:
        """Forget earlier pauses: the script or its budgets have changed, or a person has armed it."""
        self._next = 0

    def hold(self) -> None:
        """It was disarmed because the configuration wants it paused."""
        self._stand(Disarm(PAUSED), self._clock())

    @property
    def paused(self) -> bool:
        """Whether only the configuration or a person arms it again."""
        return self.disarm is not None and self.disarm.budget == PAUSED

    @property
    def comes_back(self) -> bool:
        """Whether it is disarmed for some seconds only."""
        return self.disarm is not None and not self.quarantined and not self.paused

    @property
    def is_due(self) -> bool:
        """Whether its pause is over."""
        return self.comes_back and self._clock() >= self._due

    @property
    def left(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self._due - self._clock())

    @property
    def since_change(self) -> float | None:
        """Seconds since it was disarmed, or armed again; None: it was neither."""
        return None if self._changed is None else self._clock() - self._changed

    @property
    def seconds(self) -> float:
        """How long the script was disarmed, in all."""
        standing = self._clock() - self._since if self.disarm is not None else 0.0
        return self._seconds + standing

    def not_armed(self, why: Disarm, seconds: float) -> None:
        """Arming has failed: it is due again after so long."""
        self._stand(why, self._clock())
        self._due = self._clock() + seconds

    def _stand(self, why: Disarm, now: float) -> None:
        if self.disarm is None:
            self._since = self._changed = now
        self.disarm = why
