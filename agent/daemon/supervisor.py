# SPDX-License-Identifier: GPL-2.0-or-later
"""Reconciles the scripts that run with those of the configuration.

    await supervisor.apply(settings)   # each script on its own: from the cache, or compiled; then swapped
    await supervisor.stop()            # end probes run, events are read, modules are unloaded
    await supervisor.leave()           # modules stay loaded: the next agent's `adopt` serves them again

Scripts are independent: a script that fails keeps its older version if it has one, and the others are
not affected. Each has one change at a time (`changes.py`), and a newer configuration takes over from an
older one whose scripts still compile. What is cached is loaded first; a slow compile delays nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic

from agent.config.settings import Refused, ScriptSettings, Settings
from agent.daemon import arming, metric_plan, script_reports
from agent.daemon.arming import Arming
from agent.daemon.changes import Change, Changes, all_done
from agent.daemon.last_readings import LastReading, LastReadings
from agent.daemon.loading import Loading
from agent.daemon.preparations import Goal, Preparations, Prepared, unchanged_scripts
from agent.exposition.render import Exposition
from agent.scripts import carry_over
from agent.scripts.compile_client import CompileError, Compiler
from agent.scripts.kernel_modules import ModuleError, Modules
from agent.scripts.rearming import Rearming
from agent.scripts.script import ARMABLE, FINAL, LoadedModule, Script, ScriptState
from agent.scripts.script_events import ScriptEvents
from agent.scripts.script_log import ScriptLog
from runtime.reader.device import DeviceError


class Supervisor:
    """All scripts of the agent. `reserved`: the agent's own metric names."""

    def __init__(
        self,
        modules: Modules,
        make_compiler: Callable[[Settings], Compiler],
        reserved: frozenset[str] = frozenset(),
        on_progress: Callable[[str], None] = lambda text: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.scripts: dict[str, Script] = {}
        self.arming = Arming(self.scripts, clock)
        self.settings = Settings()  # as last applied
        self._clock = clock
        self._planner = metric_plan.planner(self.scripts, reserved, lambda: self.settings)
        self.last_readings = LastReadings(clock)
        self._owner = ScriptEvents(self.scripts, self._on_exit, self.arming.notice)
        self.loading = Loading(self.scripts, modules, self._owner, self.arming)
        self._preparations = Preparations(make_compiler)
        self._on_progress = on_progress
        self._changes = Changes()
        self._tasks: set[asyncio.Task[None]] = set()
        self._round = 0  # of `apply`: the newest one's number
        self._in_force = asyncio.Event()  # of the newest one
        self._stopping = False
        self._uncompiled: set[str] = (
            set()
        )  # scripts that failed to compile, and for no other reason
        self.compiler = ""  # that compiles now: `Manifest.compiler` of its modules

    @property
    def exposition(self) -> Exposition:
        """The families of the modules that are loaded now."""
        return self._planner.exposition

    def exposition_with(self, last: Mapping[str, LastReading]) -> Exposition:
        """The same, with the families of these modules, which were replaced."""
        return self._planner.exposition_with({name: r.planned for name, r in last.items()})

    @property
    def settled(self) -> bool:
        """Whether every script has reached a final state."""
        return all(script.shown in FINAL for script in self.scripts.values())

    async def adopt(self, settings: Settings) -> None:
        """Serve what an agent that has ended left running, before anything is compiled."""
        await self.loading.find_orphans()
        self._expect(settings)
        self.loading.adopt()
        self._planner.changed()
        self._plan()

    def _expect(self, settings: Settings) -> dict[str, ScriptSettings]:
        """Make the settings those in force. Returns the enabled scripts; each one is in `scripts` now, and so
        are those whose settings are wrong."""
        self.settings = settings
        self.arming.configure(settings)
        refused = _refused(settings)
        wanted = {n: s for n, s in settings.scripts.items() if s.enabled and n not in refused}
        for name, script in wanted.items():
            self._expect_one(name, script, settings)
        for name, part in refused.items():
            if name not in self.scripts:
                self._expect_one(name, _without_settings(part, settings), settings)
        return wanted

    def _expect_one(self, name: str, script: ScriptSettings, settings: Settings) -> None:
        limited = settings.log.limited(script.budgets)
        if name not in self.scripts:
            log_ = ScriptLog(name, limited)
            self.scripts[name] = Script(name, script, log_, rearming=Rearming(self._clock))
        self.scripts[name].log.configure(limited)

    async def apply(self, settings: Settings, recompile: bool = False) -> bool:
        """Make these the scripts that run, and return when each is in its final state. `recompile`: replace
        the unchanged ones, too.

        Scripts that `settings.refused` names are left as they are. A newer call takes over from an older
        one. Both return when what the newest wants is in force; False if the agent stops meanwhile.
        """
        if self._stopping:
            return False
        self._round = mine = self._round + 1
        self._in_force = in_force = asyncio.Event()
        try:
            await self._apply(settings, mine, recompile)
        finally:
            in_force.set()
        while mine != self._round and not self._stopping:
            mine = self._round
            await self._in_force.wait()
        return not self._stopping

    async def _apply(self, settings: Settings, mine: int, recompile: bool) -> None:
        wanted = self._expect(settings)
        self.loading.adopt()
        self._planner.changed()
        refused = _refused(settings)
        changes = [
            self._changes.begin(name, partial(self._refuse, refused[name]))
            if name in refused
            else self._changes.begin(name, self._take_out)
            for name in self.scripts
            if name not in wanted
        ]
        unchanged: set[str] = set()
        if not recompile:
            scripts = list(self.scripts.values())
            unchanged = await asyncio.to_thread(unchanged_scripts, scripts, wanted, settings)
        if mine == self._round:
            kept = [n for n in wanted if n in unchanged and not self._is_changing(n)]
            changes += self._begin_changes(
                {n: s for n, s in wanted.items() if n not in kept}, settings, recompile
            )
            for script in [self.scripts[name] for name in kept]:
                async with script.changing:
                    if mine == self._round:
                        await self._keep(script, wanted[script.name], script.fingerprint)
        await all_done(changes)
        if mine == self._round:
            self.compiler = await self._preparations.version(settings)
            await self.loading.unload_orphans()
            self._plan()

    def _is_changing(self, name: str) -> bool:
        return self._changes.busy(name) or self.scripts[name].changing.locked()

    def _begin_changes(
        self, wanted: Mapping[str, ScriptSettings], settings: Settings, recompile: bool
    ) -> list[asyncio.Task[None]]:
        left = len(wanted)

        def done(task: asyncio.Task[None]) -> None:
            nonlocal left
            left -= 1
            if left:
                self._on_progress(f"compiling: {left} of {len(wanted)} scripts left")

        tasks = [
            self._changes.begin(
                name, partial(self._bring, self.scripts[name], Goal(script, settings, recompile))
            )
            for name, script in wanted.items()
        ]
        for task in tasks:
            task.add_done_callback(done)
        return tasks

    async def stop(self) -> None:
        """Stop all scripts, read their last events, unload all modules. Nothing can be applied afterwards."""
        await self.end_changes()
        for script in self.scripts.values():
            async with script.changing:
                await self._remove(script)
        self.scripts.clear()
        await self.loading.unload_orphans()
        self._planner.changed()

    async def leave(self) -> None:
        """End without a loss: modules stay loaded, and what is in their rings waits for the next agent."""
        await self.end_changes()
        for script in self.scripts.values():
            async with script.changing:
                module, script.module = script.module, None
                if module is not None:
                    await module.leave()
                script.log.sum_up(everything=True)
        await self.loading.leave_orphans()
        self.scripts.clear()
        self._planner.changed()

    async def end_changes(self) -> None:
        """End what is in progress. Nothing can be applied afterwards."""
        self._stopping = True
        self._round += 1
        await self._changes.end()
        await self.arming.stop()

    def tick(self) -> None:
        """Once a second: log incomplete lines, and notice what happened without an event."""
        for script in self.scripts.values():
            script.log.flush()
            if script.module is not None:
                script.module.settle()
                script.module.check_ended()
        self.arming.tick()
        self.last_readings.tick()
        self._plan()

    async def arm(self, name: str) -> tuple[bool, str]:
        """Do what `stapwatch arm` asks for. Returns whether that has worked, and what to say."""
        script = self.scripts.get(name)
        if script is None:
            return False, script_reports.unknown(name, self.scripts)
        if script.shown not in ARMABLE and not script.settings.held:
            return False, f"script {name} is not disarmed: it is {script.shown}"
        async with script.changing:
            armed = await self.arming.release(script)
        if script.module is None and not self._stopping:
            bring = partial(self._bring, script, Goal(script.settings, self.settings))
            await all_done([self._changes.begin(name, bring)])
            self._plan()
        if script.module is None or not armed or script.shown in ARMABLE:
            return False, f"script {name} is {script.shown}: {script.why}"
        return True, f"script {name} is armed"

    async def look_again(self) -> tuple[bool, str]:
        """Load what has become available for scripts that could not be compiled, as by `stapwatch sync`. What
        is wanted stays as it is: no file of the configuration is read. Whether all run, and what to say."""
        missing = {
            name: wanted
            for name, wanted in self.settings.scripts.items()
            if name in self._uncompiled and name in self.scripts and not self._is_changing(name)
        }
        found = {
            name: wanted
            for name, wanted in missing.items()
            if await self._preparations.is_there(wanted, self.settings)
        }
        if not self._stopping:
            await all_done(self._begin_changes(found, self.settings, False))
            self._plan()
        left = [name for name in missing if name in self._uncompiled]
        return script_reports.looked_again(sorted(found.keys() - set(left)), left)

    # -- the way of one script ----------------------------------------------------------------------

    async def _bring(self, script: Script, goal: Goal, change: Change) -> None:
        """Make one script what the configuration wants."""
        while True:
            prepared = await self._preparations.prepare(script, goal, change)
            change.take_over()
            async with script.changing:
                if change.superseded:
                    return
                if prepared.keep and not script.runs(prepared.fingerprint, or_adopted=True):
                    continue  # an older change has replaced it meanwhile
                await self._replace(script, goal.wanted, prepared)
                self._planner.changed()
                return

    async def _keep(self, script: Script, wanted: ScriptSettings, fingerprint: str) -> None:
        """The module that is running, perhaps an adopted one, is what is wanted."""
        adopted, script.fingerprint = script.fingerprint != fingerprint, fingerprint
        if script.state is ScriptState.OUTDATED:  # the configuration is back to the running version
            script.enter(ScriptState.RUNNING)
        script.settings = wanted
        self._planner.changed()
        if adopted:
            await self.arming.adopted(script)
        await self.arming.follow(script)

    def _report_failure(self, script: Script, result: Prepared) -> None:
        """The script cannot be read or does not compile; an older version stays."""
        if not isinstance(error := result.failure, CompileError):
            self._failed(script, error)
            return
        self._uncompiled.add(script.name)
        script.compile_failures += 1
        script.compile_seconds = result.seconds
        said = script_reports.compile_failed(script.name, error.diagnostics)
        script.fail(error.summary, str(error), said)

    async def _refuse(self, part: Refused, change: Change) -> None:
        """The settings of a script are wrong: the version that runs stays."""
        await change.after_older()
        script = self.scripts[change.name]
        async with script.changing:
            if not change.superseded:
                script.fail(part.reason, said=part.texts)

    async def _take_out(self, change: Change) -> None:
        """Remove one script, which the configuration does not want any more."""
        await change.after_older()
        script = self.scripts[change.name]
        async with script.changing:
            if change.superseded:
                return
            await self._remove(script)
            self._planner.changed()
            if self._changes.is_newest(change):
                del self.scripts[change.name]
                self._uncompiled.discard(change.name)
                self.last_readings.forget(change.name)

    async def _replace(self, script: Script, wanted: ScriptSettings, result: Prepared) -> None:
        """Replace the old version by the new one; after any error the old one stays."""
        self._uncompiled.discard(script.name)
        before, script.settings = script.settings, wanted
        compiled, old = result.compiled, script.module
        if result.keep:
            script.kept_variant = result.variant
            await self._keep(script, wanted, result.fingerprint)
            return
        if compiled is None:
            self._report_failure(script, result)
            await self.arming.follow(script)
            return
        script.compile_seconds = compiled.seconds
        script_reports.compile_warnings(script.name, compiled.warnings)
        if compiled.anew:
            script_reports.compiled_anew(script.name, compiled.anew)
        if old is not None and not result.anew and old.manifest.identity == compiled.identity:
            await self.loading.forget(compiled)
            script.compiled = compiled
            await self._keep(script, wanted, result.fingerprint)
            return
        if (why := await self.arming.refusal(script, compiled.module)) is not None:
            script.fingerprint = ""
            if old is None:
                arming.quarantine(script, why)
            else:
                self._failed(script, why.reason)
            return
        try:
            new, carry = await self.loading.load(script, wanted, compiled, self.settings.total)
        except ModuleError as error:
            await self.arming.stopped(script)
            self._failed(script, str(error))
            return
        if old is not None:
            await self._read_last(script, old, before)
            if carry is not None:
                await carry_over.finish(carry)
        script.module, script.compiled = new, compiled
        script.fingerprint = result.fingerprint
        script.enter(ScriptState.RUNNING)
        self._planner.changed()
        self.arming.loaded(script)
        if old is not None:
            await self.loading.unload(old)
        script_reports.running(script.name, compiled.module, script.shown.value)

    async def _remove(self, script: Script) -> None:
        module, script.module = script.module, None
        if module is not None:
            await self.loading.discard(module)
            await self.arming.stopped(script)
            script_reports.removed(script.name)
        script.log.flush(everything=True)

    async def _read_last(self, script: Script, old: LoadedModule, settings: ScriptSettings) -> None:
        """Stop a module that was replaced, and keep its values for the next page.

        Until then it is the script's module: a page before has its values, and the next one its last values.
        """
        await self.loading.stop(old)
        with contextlib.suppress(DeviceError):  # the misses that the kernel counts
            old.device.sync()
        planned = (script.name, old.manifest, settings.metrics)
        shot = old.snapshot(by_cpu=settings.by_cpu)
        if self.last_readings.add(LastReading(planned, shot)):
            script_reports.reading_given_up(script.name)

    def _failed(self, script: Script, reason: str) -> None:
        script.fail(reason, said=(script_reports.failed(script.name, reason),))

    def _on_exit(self, module: LoadedModule) -> None:
        """The script called exit() or made too many errors: run end probes, keep the values."""
        task = asyncio.get_running_loop().create_task(self._finish(module))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, module: LoadedModule) -> None:
        owner = self.scripts.get(module.manifest.name)
        if owner is None:
            return
        async with owner.changing:
            script = self._owner.script(module)
            if script is None:
                return  # it has been replaced meanwhile
            try:
                await module.stop()
            except ModuleError as error:
                module.broken = module.broken or str(error)
            module.detach()
            await self.arming.stopped(script)
            script.log.flush(everything=True)
            if module.broken:
                self._failed(script, module.broken)
            elif module.gave_up:
                why = "it made more errors than max_errors allows"
                script.enter(ScriptState.FAILED, why, why)
                script.said = ()
            else:
                script.enter(ScriptState.EXITED)
            script_reports.ended(script.name, script.state.value)

    def _plan(self) -> None:
        """Plan what is served, if something has changed, so that its problems are known."""
        _ = self._planner.exposition


def _refused(settings: Settings) -> dict[str, Refused]:
    """The scripts whose settings are wrong, by name."""
    return {part.script: part for part in settings.refused if part.script}


def _without_settings(part: Refused, settings: Settings) -> ScriptSettings:
    """For a script that the configuration names, and whose settings are wrong."""
    return ScriptSettings(part.script, part.diagnostics[0].position, budgets=settings.budgets)
