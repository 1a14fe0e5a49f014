# SPDX-License-Identifier: GPL-2.0-or-later
"""The series of a family that belong to one script.

FamilySeries(family, "vfs", HERE)("_bucket")
-> 'rate(stapwatch_vfs_latency_seconds_bucket{...}[$__rate_interval])'

A family may have globals of several scripts as its members. Then those of one script are told by its constant
labels, of which each set is an expression of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.config.settings import MetricType
from agent.dashboards.promql import WINDOW, equals, rate, selector, stored
from agent.exposition.families import Family, Member
from agent.exposition.samples import OVERFLOW_LABEL
from runtime.abi.manifest import WhenFull
from runtime.support.record import record

_ENDINGS = {MetricType.COUNTER: "_total", MetricType.INFO: "_info"}


@record
class FamilySeries:
    """`where`: matchers that all of its selectors have; "" for none."""

    family: Family
    script: str
    where: str

    @property
    def members(self) -> list[Member]:
        return [member for member in self.family.members if member.script == self.script]

    @property
    def labels(self) -> list[str]:
        """All that tell its series apart, as Prometheus names them: constant ones first."""
        return list(dict.fromkeys(label for group in self.groups for label in group))

    @property
    def groups(self) -> list[list[str]]:
        """By what its series can be summed up: each label; that of a key with what has no slot."""
        first = self.members[0]
        other = [OVERFLOW_LABEL] if any(map(_overflows, self.members)) else []
        constant = [[stored(name)] for name, _ in first.constant]
        return [*constant, *([stored(name), *other] for name in first.labels)]

    @property
    def has_sum(self) -> bool:
        """True if all of its statistics have a sum, and every page shows it."""
        return all(map(_has_sum, self.members))

    def __call__(
        self,
        ending: str = "",
        *more: str,
        window: str = WINDOW,
        function: Callable[[str, str], str] = rate,
    ) -> str:
        """The rates of its samples of this ending; `more`: further matchers."""
        found = (function(one, window) for one in self._selectors(ending, more))
        return " or ".join(found)

    def values(self) -> str:
        """The samples of a family that has one for each element."""
        return " or ".join(self._selectors(_ENDINGS.get(self.family.type, ""), ()))

    def _selectors(self, ending: str, more: tuple[str, ...]) -> list[str]:
        name = f"{self.family.name}{ending}"
        return [selector(name, self.where, *more, *own) for own in self._constants()]

    def _constants(self) -> list[list[str]]:
        """The matchers of each member; of a family that is all of this script, none are needed."""
        if len(self.members) == len(self.family.members):
            return [[]]
        return [[equals(name, value) for name, value in m.constant] for m in self.members]


def _overflows(member: Member) -> bool:
    return member.table.slots is not None and member.table.slots.when_full is WhenFull.OTHER


def _has_sum(member: Member) -> bool:
    """Sums of what may be negative are on some pages only."""
    statistic = member.table.statistic
    if statistic is None or statistic.sum is None:
        return False
    return statistic.histogram is None or not statistic.histogram.negative
