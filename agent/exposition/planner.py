# SPDX-License-Identifier: GPL-2.0-or-later
"""The exposition of the scripts that run, planned when somebody looks at it and something has changed.

    planner = Planner(lambda: [("vfs", manifest, metrics)], reserved, on_problems)
    planner.changed()            # a module was loaded or unloaded, or the configuration is a new one
    planner.exposition           # planned now, at most once after any number of changes

A plan takes time in proportion to all scripts. So a start of many scripts is planned as often as it is
scraped, and not once for each script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

from agent.config.settings import MetricSettings
from agent.exposition.families import Problem, plan
from agent.exposition.render import Exposition
from runtime.abi.manifest import Manifest

Planned = tuple[str, Manifest, Mapping[str, MetricSettings]]  # a script, its module, its metrics


class Planner:
    """`running`: the scripts that are served now. `on_problems`: called after each plan.

    `created`: see Exposition.
    """

    def __init__(
        self,
        running: Callable[[], Iterable[Planned]],
        reserved: Set[str],
        on_problems: Callable[[tuple[Problem, ...]], None],
        created: Callable[[], bool] = lambda: False,
    ) -> None:
        self._running, self._reserved = running, reserved
        self._on_problems, self._created = on_problems, created
        self._exposition = Exposition(())
        self._stale = False
        self._instead: tuple[Mapping[str, Planned], Exposition] | None = None

    @property
    def exposition(self) -> Exposition:
        if self._stale:
            self._stale, self._instead = False, None
            families, problems = plan(self._running(), self._reserved)
            before, created = self._exposition, self._created()
            if families != before.families or created != before.created:
                self._exposition = Exposition(families, before, created)
            self._on_problems(problems)
        return self._exposition

    def changed(self) -> None:
        self._stale = True

    def exposition_with(self, others: Mapping[str, Planned]) -> Exposition:
        """The exposition in which these stand for the scripts of their names; kept for the next call."""
        current = self.exposition
        if not others:
            self._instead = None
            return current
        if self._instead is None or self._instead[0] != others:
            running = [others.get(planned[0], planned) for planned in self._running()]
            families, _ = plan(running, self._reserved)
            self._instead = dict(others), Exposition(families, current, current.created)
        return self._instead[1]
