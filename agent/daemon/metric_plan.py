# SPDX-License-Identifier: GPL-2.0-or-later
"""The planner of the scripts that have a module, which reports what cannot be exported as declared.

planner = metric_plan.planner(scripts, reserved, settings)    # scripts by name, as of each plan
planner.exposition                                            # `problems` of each script are as of now
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from agent.config.settings import Settings
from agent.daemon import script_reports
from agent.exposition.families import Problem
from agent.exposition.planner import Planned, Planner
from agent.scripts.script import Script


def planner(
    scripts: Mapping[str, Script], reserved: Set[str], settings: Callable[[], Settings]
) -> Planner:
    """`reserved`: the agent's own metric names. `settings`: those in force."""

    def running() -> Iterator[Planned]:
        for script in scripts.values():
            if script.module is not None:
                yield script.name, script.module.manifest, script.settings.metrics

    return Planner(
        running,
        reserved,
        lambda problems: _note(problems, scripts),
        lambda: settings().created_samples,
    )


def _note(problems: tuple[Problem, ...], scripts: Mapping[str, Script]) -> None:
    """Log the problems of each script that has others than before."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        found.setdefault(problem.script, []).append(problem.message)
    for script in scripts.values():
        mine = tuple(found.get(script.name, ()))
        if mine != script.problems:
            script.problems = mine
            for message in mine:
                script_reports.metric_problem(script.name, message)
