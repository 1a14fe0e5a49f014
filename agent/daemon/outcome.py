# SPDX-License-Identifier: GPL-2.0-or-later
"""The result of applying a configuration, script by script.

    before = state(supervisor.scripts)
    await supervisor.apply(settings)
    outcomes(supervisor.scripts, before)
    -> {"vfs": Outcome(Result.IN_FORCE), "tcp": Outcome(Result.FAILED, ("script tcp does not ...",))}

`said` has the words of the log, so that a terminal shows the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.config.settings import ScriptSettings
from agent.daemon import script_reports
from agent.scripts.script import LoadedModule, Script, ScriptState
from runtime.support.record import record
from runtime.support.str_enum import StrEnum


class Result(StrEnum):
    IN_FORCE = "in force"  # a new version, or new settings of the version that runs
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    FAILED = "failed"  # the version before it, if there is one, runs on


@record
class Outcome:
    """The result for one script. `said`: the lines about it that were logged.

    A script that is in force may have problems, too: a metric that cannot be exported as declared.
    """

    result: Result
    said: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        return self.result is not Result.FAILED and not self.said


Before = Mapping[str, tuple[LoadedModule | None, ScriptSettings]]
_VERSION_FAILED = {ScriptState.FAILED, ScriptState.OUTDATED}


def state(scripts: Mapping[str, Script]) -> Before:
    """What tells later whether a script has changed."""
    return {
        name: (script.module, script.settings)
        for name, script in scripts.items()
        if script.state is not ScriptState.WAITING
    }


def outcomes(scripts: Mapping[str, Script], before: Before) -> dict[str, Outcome]:
    """By script, in the order of their names."""
    found = {name: _outcome(script, before.get(name)) for name, script in scripts.items()}
    found |= {name: Outcome(Result.REMOVED) for name in before.keys() - found.keys()}
    return dict(sorted(found.items()))


def _outcome(script: Script, before: tuple[LoadedModule | None, ScriptSettings] | None) -> Outcome:
    # A version may fail while the one before it is paused or disarmed, which is what is shown.
    if script.state in _VERSION_FAILED or script.shown is ScriptState.QUARANTINED:
        return Outcome(Result.FAILED, _failure(script))
    problems = tuple(script_reports.problem_text(script.name, p) for p in script.problems)
    same = before == (script.module, script.settings)
    return Outcome(Result.UNCHANGED if same else Result.IN_FORCE, problems)


def _failure(script: Script) -> tuple[str, ...]:
    if script.state in _VERSION_FAILED and script.said:
        return script.said
    return (f"script {script.name} is {script.shown}: {script.why}",)
