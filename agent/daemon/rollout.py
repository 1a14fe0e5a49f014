# SPDX-License-Identifier: GPL-2.0-or-later
"""Keeps the scripts that run as the rollout wants them: at a reload, as time passes, and as scripts run well.

    rollout = Rollout(supervisor)
    await rollout.apply(settings)     # the supervisor gets what is wanted on this host now
    await rollout.apply()             # decide again by the same settings, when a time has come

agent/rollout decides. This module knows what has happened so far, and waits for the next time at which a
decision may change. A reload is never needed for that, and files are not read again for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any

from prometheus_client.core import Metric

from agent.config.rollout_settings import Arm
from agent.config.settings import ScriptSettings, Settings
from agent.daemon import info_metrics
from agent.daemon.clean_runs import CleanRuns
from agent.daemon.info_metrics import ScriptInfo
from agent.daemon.supervisor import Supervisor
from agent.daemon.wall_timer import WallTimer
from agent.log_messages import Message
from agent.log_sinks import log
from agent.rollout import host_facts
from agent.rollout.decide import Cause, Decision, History, Wanted, decide, next_change
from agent.rollout.host_facts import HostFacts
from agent.scripts import variants
from agent.scripts.prepared_kernels import PreparedKernel, PreparedKernels
from agent.scripts.script import ScriptState
from runtime.support.record import record, replace

_REFUSED = "refused"  # the state of a script whose settings are wrong


@record
class _Read:
    """Digests of one script's configuration and files, as they were at the reload."""

    revision: str
    made_of: str
    tuned: str


class Rollout:
    """`now` and `clock`: seconds since 1970, and seconds that no change of the date moves."""

    def __init__(
        self,
        supervisor: Supervisor,
        facts: Callable[[Mapping[str, str]], HostFacts] = host_facts.gather,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.decisions: dict[str, Decision] = {}
        self.facts: HostFacts | None = None
        self._supervisor = supervisor
        self._gather, self._now, self._clock = facts, now, clock
        self._settings = Settings()
        self._kernels = PreparedKernels(self._settings.state_folder)
        self._read: dict[str, _Read] = {}
        self._running: dict[str, _Read] = {}  # what the modules that run are made of
        self._clean = CleanRuns(supervisor.scripts, clock)
        self._lock = asyncio.Lock()
        self._due = asyncio.Event()
        self._timer: WallTimer | None = None
        self._call: asyncio.TimerHandle | None = None
        self._closed = False
        self._round = 0
        self._recompile = False

    async def apply(self, settings: Settings | None = None, recompile: bool = False) -> bool:
        """Put the configuration in force as it is wanted on this host now. None: the last one. `recompile`:
        replace the modules of unchanged scripts, too. False if the agent stops meanwhile.

        The supervisor gets the decisions in the order in which they were made. It may take long for one of
        them, and that keeps no other from being made.
        """
        async with self._lock:
            facts, found = self.facts, self._read
            if settings is not None:
                facts = await asyncio.to_thread(self._gather, settings.host_labels)
                found = await asyncio.to_thread(_read_all, settings)
                settings = _with_revisions(settings, found)
                self._supervisor.arming.configure(settings)  # its state folder is read next
            settings = settings or self._settings
            decisions = await self._decide(settings, facts or HostFacts(""))
            self._report(decisions)
            # all at once: other tasks see them
            self.facts, self._read = facts, found
            if settings.state_folder != self._settings.state_folder:
                self._kernels = PreparedKernels(settings.state_folder)
            self._settings, self.decisions = settings, decisions
            self._wait()
            self._round = mine = self._round + 1
            self._recompile = self._recompile or recompile
            applying = asyncio.create_task(self._supervisor.apply(self._chosen(), self._recompile))
        completed = await applying
        if mine == self._round:  # else the newer one has taken over what was not recompiled yet
            self._recompile = False
        await self._remember()
        self._wait()
        return completed

    async def follow(self) -> None:
        """Decide again whenever a decision may have changed. Runs until it is cancelled."""
        applying: set[asyncio.Task[object]] = set()
        due = asyncio.create_task(self._due.wait())
        try:
            while True:
                work = {due, *applying}
                done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # an error ends this task, too
                applying -= done
                if due in done:
                    self._due.clear()
                    applying.add(asyncio.create_task(self.apply()))
                    due = asyncio.create_task(self._due.wait())
        finally:
            for task in (due, *applying):
                task.cancel()
            await asyncio.gather(due, *applying, return_exceptions=True)

    def decide_again(self) -> None:
        """Something has happened to a script that a decision may depend on."""
        self._due.set()

    def close(self) -> None:
        """Wait for nothing any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.close()
            self._timer = None
        if self._call is not None:
            self._call.cancel()

    # -- deciding -----------------------------------------------------------------------------------

    async def _decide(self, settings: Settings, facts: HostFacts) -> dict[str, Decision]:
        scripts = settings.scripts
        remembered = await self._supervisor.arming.remembered(scripts)
        clean = self._clean.measure(_targets(scripts))
        history = {}
        for name, known in remembered.items():
            passed = known.passed
            if (running := self._running.get(name)) is not None:
                passed = running.revision  # a script that runs is not taken away to wait
            history[name] = History(clean.get(name), known.armed, passed, held=known.held)
        return decide(settings, facts, self._now(), history)

    def _chosen(self) -> Settings:
        """The settings for the supervisor: what is not wanted here is not enabled."""
        scripts = {
            name: replace(
                script,
                enabled=self.decisions[name].is_loaded,
                paused=self.decisions[name].wanted is Wanted.PAUSED,
                held=self.decisions[name].cause is Cause.OPERATOR,
            )
            for name, script in self._settings.scripts.items()
        }
        return replace(self._settings, scripts=scripts)

    async def _remember(self) -> None:
        """What runs now is what the next decisions and plans are compared with."""
        settings, decisions = self._settings, self.decisions
        for name in [name for name in self._running if name not in self._supervisor.scripts]:
            del self._running[name]
        for name, script in self._supervisor.scripts.items():
            found = self._read.get(name)
            is_new = script.state is not ScriptState.OUTDATED
            if found and is_new and script.module and script.revision == found.revision:
                self._running[name] = found
        for name, decision in decisions.items():
            wanted = settings.scripts[name]
            if wanted.rollout.after is not None and decision.is_loaded and wanted.revision:
                await self._supervisor.arming.passed(name, wanted.revision)

    def _report(self, decisions: Mapping[str, Decision]) -> None:
        """Log the decisions that keep a script from running, each once."""
        for name, decision in decisions.items():
            old = self.decisions.get(name)
            if old is not None and (old.wanted, old.cause) == (decision.wanted, decision.cause):
                continue
            if decision.cause in (Cause.NONE, Cause.ENABLED):
                continue
            log().info(
                f"script {name} is {decision.wanted} on this host: {decision.reason}",
                message_id=Message.SCRIPT_DECIDED,
                script=name,
                cause=decision.cause.value,
            )

    # -- waiting ------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """For the next time at which a decision may change."""
        if self._closed:
            return
        at = next_change(self.decisions)
        if at is not None and self._timer is None:
            self._timer = WallTimer(self._due.set)
        if self._timer is not None:
            self._timer.set(at)
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if (seconds := self._until_clean()) is not None:
            self._call = asyncio.get_running_loop().call_later(seconds, self._due.set)

    def _until_clean(self) -> float | None:
        """Seconds until a script that others wait for may have run long enough."""
        waited = [
            after
            for name, script in self._settings.scripts.items()
            if (after := script.rollout.after)
            and self.decisions[name].cause is Cause.AFTER
            and (other := self.decisions.get(after.script)) is not None
            and other.is_loaded
        ]
        clean = self._clean.measure(after.script for after in waited)
        # One that does not run now is looked at again after as long as it is to run.
        left = [after.seconds - (clean.get(after.script) or 0) for after in waited]
        return max(0.05, min(left)) if left else None

    # -- what others see ----------------------------------------------------------------------------

    def status(self) -> list[dict[str, Any]]:
        """For each script of the configuration, what is wanted here and why, and what runs."""
        clean = self._clean.measure(_targets(self._settings.scripts))
        found = []
        for name, decision in sorted(self.decisions.items()):
            script, running = self._supervisor.scripts.get(name), self._running.get(name)
            wanted = self._settings.scripts[name]
            info = self._info(decision)
            armed = script is not None and wanted.rollout.arm is Arm.PAUSED
            entry = {
                "name": name,
                "state": info.state,
                "revision": info.revision,
                "cohort": info.cohort,
                "variant": info.variant,
                "wanted": decision.wanted.value,
                "reason": decision.reason,
                "made_of": running.made_of if running is not None else "",
                "tuned": self._read[name].tuned if name in self._read else "",
                "clean_seconds": clean.get(name),
                "armed": armed and script is not None and not script.settings.paused,
                "disarmed_by_operator": script is not None and script.settings.held,
            }
            found.append(entry)
        return found

    def _info(self, decision: Decision) -> ScriptInfo:
        script = self._supervisor.scripts.get(decision.script)
        return ScriptInfo(
            decision.script,
            decision.revision if script is None else script.revision,
            decision.cohort,
            "" if script is None else script.variant,
            (decision.wanted if script is None else script.shown).value,
            self._file(decision.script),
        )

    def _file(self, script: str) -> str:
        known = self._settings.scripts.get(script)
        return "" if known is None or known.file is None else str(known.file)

    def absent(self) -> list[str]:
        """The states of scripts that the rollout keeps from being loaded on this host."""
        return [
            decision.wanted.value
            for decision in self.decisions.values()
            if not decision.is_loaded and decision.cause is not Cause.ENABLED
        ]

    def kernels(self) -> Iterable[PreparedKernel]:
        """Those that were prepared for the next boot."""
        return self._kernels.all()

    def metrics(self) -> Iterable[Metric]:
        infos = [self._info(decision) for _, decision in sorted(self.decisions.items())]
        return info_metrics.families([*infos, *self._refused()], self.facts)

    def _refused(self) -> Iterator[ScriptInfo]:
        """The scripts whose settings are wrong, so that nothing was decided; an older version may run."""
        for name in sorted({part.script for part in self._settings.refused if part.script}):
            script = self._supervisor.scripts.get(name)
            if name not in self.decisions:
                revision, variant = (script.revision, script.variant) if script else ("", "")
                yield ScriptInfo(name, revision, "", variant, _REFUSED, self._file(name))


def _targets(scripts: Mapping[str, ScriptSettings]) -> set[str]:
    """The scripts that others wait for."""
    return {script.rollout.after.script for script in scripts.values() if script.rollout.after}


def _read_all(settings: Settings) -> dict[str, _Read]:
    """A script whose files cannot be read is left out; loading it reports why."""
    found = {}
    for name, script in settings.scripts.items():
        try:
            made_of = variants.made_of(variants.candidates(script, settings))
            found[name] = _Read(variants.revision(script), made_of, variants.tuned(script))
        except OSError:
            continue
    return found


def _with_revisions(settings: Settings, found: Mapping[str, _Read]) -> Settings:
    scripts = {
        name: replace(script, revision=found[name].revision) if name in found else script
        for name, script in settings.scripts.items()
    }
    return replace(settings, scripts=scripts)
