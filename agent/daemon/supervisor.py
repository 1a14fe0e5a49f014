# SPDX-License-Identifier: GPL-2.0-or-later
"""Brings what runs in line with what the configuration wants.

    await supervisor.apply(settings)   # compile the changed scripts, then swap only these
    await supervisor.stop()            # end probes run, events are read, modules leave the kernel

Each script stands alone: one that fails keeps its older version, if it has one, and no other script
notices. All changes go through one lock; the event loop goes on serving meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from time import monotonic

from agent.config.settings import ScriptSettings, Settings
from agent.exposition.families import Problem, plan
from agent.exposition.render import Exposition
from agent.log_sinks import log
from agent.scripts import compile_client
from agent.scripts.compile_client import Compiled, CompileError, Compiler
from agent.scripts.kernel_modules import BusyError, ModuleError, Modules
from agent.scripts.script import FINAL, Running, Script, ScriptState
from agent.scripts.script_log import ScriptLog
from runtime.abi.structs import State
from runtime.events.decode import Event
from runtime.support.record import record


@record
class _Prepared:
    """What is to be done with one script: keep it, load `compiled`, or accept that it failed."""

    fingerprint: str = ""
    compiled: Compiled | None = None
    keep: bool = False


class Supervisor:
    """All scripts of the agent. `reserved` are the agent's own metric names."""

    def __init__(
        self,
        modules: Modules,
        make_compiler: Callable[[Settings], Compiler],
        reserved: frozenset[str] = frozenset(),
        on_progress: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.scripts: dict[str, Script] = {}
        self.exposition = Exposition(())
        self._modules = modules
        self._make_compiler = make_compiler
        self._reserved = reserved
        self._on_progress = on_progress
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._leftovers: dict[str, Running] = {}
        self._compiling: asyncio.Future[list[_Prepared | BaseException]] | None = None
        self._stopping = False

    @property
    def settled(self) -> bool:
        """Whether every script has reached a final state."""
        return all(script.state in FINAL for script in self.scripts.values())

    async def find_leftovers(self) -> None:
        """Take over what a dead agent left in the kernel; `apply` then keeps what is still wanted."""
        for name in await asyncio.to_thread(self._modules.names):
            try:
                device = await asyncio.to_thread(self._modules.open, name)
                self._leftovers[name] = Running(device, self._on_event, self._on_exit)
            except BusyError as error:
                log().info(f"module left alone: {error}", module=name)
            except ModuleError as error:
                log().warning(f"module {name} cannot be taken over: {error}", module=name)

    async def apply(self, settings: Settings) -> None:
        """Compile the new set, swap what changed, drop what is gone."""
        async with self._lock:
            wanted = {n: s for n, s in settings.scripts.items() if s.enabled}
            for name, script in wanted.items():
                if name not in self.scripts:
                    self.scripts[name] = Script(name, script, ScriptLog(name, settings.log))
                self.scripts[name].log.configure(settings.log)
            self._adopt()
            compiler = self._make_compiler(settings)
            left = len(wanted)

            async def prepare(name: str, script: ScriptSettings) -> _Prepared:
                nonlocal left
                prepared = await self._prepare(self.scripts[name], script, settings, compiler)
                left -= 1
                if left:
                    self._on_progress(f"compiling: {left} of {len(wanted)} scripts left")
                return prepared

            # return_exceptions: so that a cancelled one waits until every compiler has ended
            self._compiling = asyncio.gather(
                *(prepare(n, s) for n, s in wanted.items()), return_exceptions=True
            )
            try:
                prepared = [_sure(result) for result in await self._compiling]
            except asyncio.CancelledError:
                if not self._stopping:
                    raise
                return
            for name in [name for name in self.scripts if name not in wanted]:
                await self._remove(self.scripts[name])
                del self.scripts[name]
            for name, result in zip(wanted, prepared, strict=True):
                if self._stopping:
                    return
                await self._swap(self.scripts[name], wanted[name], result)
                self._plan()  # at once: the next module may take a while to load
            await self._drop_leftovers()
            self._plan()

    async def stop(self) -> None:
        """Stop all scripts, read their last events, unload all modules. Nothing can be applied after it."""
        self._stopping = True
        if self._compiling is not None:
            self._compiling.cancel()
        async with self._lock:
            for script in self.scripts.values():
                await self._remove(script)
            self.scripts.clear()
            await self._drop_leftovers()
            self.exposition = Exposition(())

    def tick(self) -> None:
        """Once a second: show half lines, notice ends that no event told of."""
        for script in self.scripts.values():
            script.log.flush()
            if script.running is not None:
                script.running.look()

    async def _prepare(
        self, script: Script, wanted: ScriptSettings, settings: Settings, compiler: Compiler
    ) -> _Prepared:
        """Compile one script unless it runs unchanged."""
        try:
            request = compile_client.request(wanted, settings)
            fingerprint = compile_client.fingerprint(request)
        except OSError as error:
            script.settings = wanted
            place = f" ({wanted.place})" if str(wanted.file) != wanted.place.file else ""
            self._failed(
                script, f"cannot read {wanted.file}{place}: {(error.strerror or '').lower()}"
            )
            return _Prepared()
        if script.running is not None and script.fingerprint == fingerprint:
            if script.state is ScriptState.OUTDATED:  # the configuration went back to what runs
                script.state, script.reason, script.detail = ScriptState.RUNNING, "", ""
            return _Prepared(fingerprint, keep=True)
        if script.running is None:
            script.state, script.reason, script.detail = ScriptState.COMPILING, "", ""
        started = monotonic()
        try:
            compiled = await compiler.compile(
                request, lambda line: log().debug(line, script=script.name)
            )
        except CompileError as error:
            script.compile_failures += 1
            script.compile_seconds = monotonic() - started
            for diagnostic in error.diagnostics:
                log().error(
                    f"script {script.name} does not compile: {diagnostic.summary}",
                    script=script.name,
                    slug=diagnostic.slug,
                    hint=diagnostic.hint,
                )
            script.settings = wanted
            script.fail(error.summary, str(error))
            return _Prepared()
        script.compile_seconds = compiled.seconds
        for warning in compiled.warnings:
            log().warning(warning.summary, script=script.name, slug=warning.slug)
        return _Prepared(fingerprint, compiled)

    async def _swap(self, script: Script, wanted: ScriptSettings, result: _Prepared) -> None:
        """Put a new version in the place of the old one; on any error the old one stays."""
        script.settings = wanted
        if result.keep:
            return
        if result.compiled is None:
            return
        old, compiled = script.running, result.compiled
        if old is not None and old.manifest.identity == compiled.identity:
            script.fingerprint, script.compiled = result.fingerprint, compiled
            if script.state in (ScriptState.OUTDATED, ScriptState.COMPILING):
                script.state, script.reason, script.detail = ScriptState.RUNNING, "", ""
            return
        try:
            new = await self._load(script, wanted, compiled)
        except ModuleError as error:
            self._failed(script, str(error))
            return
        script.running, script.compiled = new, compiled
        script.fingerprint, script.reason, script.detail = result.fingerprint, "", ""
        script.state = ScriptState.RUNNING
        if old is not None:
            await self._discard(old)
        log().info(f"script {script.name} is running", script=script.name, module=compiled.module)

    async def _load(self, script: Script, wanted: ScriptSettings, compiled: Compiled) -> Running:
        """Load and start a module, or take over the very same one from a dead agent."""
        started = monotonic()
        found = self._leftovers.pop(compiled.module, None)
        if found is not None:
            if found.manifest.identity == compiled.identity:
                log().info(
                    f"module {found.name} was taken over", script=script.name, module=found.name
                )
                return await self._begin(found, script, wanted, started)
            await self._discard(found)
        try:
            device = await asyncio.to_thread(self._modules.load, compiled.path, compiled.module)
        finally:
            compiled.path.unlink(missing_ok=True)  # the cache has another
        try:
            new = Running(device, self._on_event, self._on_exit)
        except ModuleError:
            with contextlib.suppress(ModuleError):
                await asyncio.to_thread(self._modules.unload, compiled.module)
            raise
        return await self._begin(new, script, wanted, started)

    async def _begin(
        self, new: Running, script: Script, wanted: ScriptSettings, started: float
    ) -> Running:
        """Arm it. The older version, if there is one, is served until this has succeeded."""
        try:
            if new.state is State.LOADED:
                await new.start(wanted.max_errors)
            new.attach()
        except ModuleError:
            with contextlib.suppress(ModuleError):
                await self._discard(new)
            raise
        finally:
            script.load_seconds = monotonic() - started
        return new

    def _adopt(self) -> None:
        """What a dead agent left running is served at once; compiling tells later whether it is wanted."""
        for name, found in list(self._leftovers.items()):
            script = self.scripts.get(found.manifest.name)
            if script is None or script.running is not None or found.state is State.LOADED:
                continue
            script.running = self._leftovers.pop(name)
            script.state = ScriptState.COMPILING
            script.running.attach()
            log().info(f"module {name} was taken over", script=script.name, module=name)
        self._plan()

    async def _remove(self, script: Script) -> None:
        running, script.running = script.running, None
        if running is not None:
            await self._discard(running)
            log().info(f"script {script.name} was removed", script=script.name)
        script.log.flush(everything=True)

    async def _drop_leftovers(self) -> None:
        for name in list(self._leftovers):
            log().info(f"module {name} of an earlier run is unloaded", module=name)
            await self._discard(self._leftovers.pop(name))

    async def _discard(self, running: Running) -> None:
        """Stop and unload; what goes wrong is logged, because there is nothing else to do."""
        try:
            await running.stop()
        except ModuleError as error:
            log().error(str(error), module=running.name)
        try:
            await running.unload(self._modules)
        except ModuleError as error:
            log().error(str(error), module=running.name)

    def _failed(self, script: Script, reason: str) -> None:
        script.fail(reason)
        log().error(f"script {script.name} failed: {reason}", script=script.name)

    def _script_of(self, running: Running) -> Script | None:
        return next((s for s in self.scripts.values() if s.running is running), None)

    def _on_event(self, running: Running, event: Event) -> None:
        name = running.manifest.name
        script = self._script_of(running) or self.scripts.get(name)
        if script is not None:
            script.log.add(event, running.manifest, running.device.header().time_offset)

    def _on_exit(self, running: Running) -> None:
        """The script called exit() or used up its errors: end probes are to run, values stay."""
        task = asyncio.get_running_loop().create_task(self._finish(running))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, running: Running) -> None:
        async with self._lock:
            script = self._script_of(running)
            if script is None:
                return  # replaced meanwhile
            try:
                await running.stop()
            except ModuleError as error:
                running.broken = running.broken or str(error)
            running.detach()
            script.log.flush(everything=True)
            if running.broken:
                self._failed(script, running.broken)
            elif running.gave_up:
                script.state = ScriptState.FAILED
                script.reason = script.detail = "it made more errors than max_errors allows"
            else:
                script.state, script.reason, script.detail = ScriptState.EXITED, "", ""
            log().info(f"script {script.name} ended", script=script.name, state=script.state.value)

    def _plan(self) -> None:
        """Decide anew which families are served; templates start afresh."""
        running = [
            (script.name, script.running.manifest, script.settings.metrics)
            for script in self.scripts.values()
            if script.running is not None
        ]
        families, problems = plan(running, self._reserved)
        if families != self.exposition.families:
            self.exposition = Exposition(families)
        for script in self.scripts.values():
            mine = tuple(p.message for p in problems if p.script == script.name)
            if mine != script.problems:
                script.problems = mine
                _report(problems, script.name)


def _sure(result: _Prepared | BaseException) -> _Prepared:
    if isinstance(result, BaseException):
        raise result
    return result


def _report(problems: tuple[Problem, ...], script: str) -> None:
    for problem in problems:
        if problem.script == script:
            log().warning(f"metric problem: {problem.message}", script=script)
