# SPDX-License-Identifier: GPL-2.0-or-later
"""Reconciles the scripts that run with those of the configuration.

    await supervisor.apply(settings)   # compile the changed scripts, then replace only their modules
    await supervisor.stop()            # end probes run, events are read, modules are unloaded

Scripts are independent: a script that fails keeps its older version if it has one, and the others are
not affected. All changes hold one lock; the event loop serves requests meanwhile.
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
from agent.scripts.kernel_modules import BusyError, Keeper, ModuleError, Modules
from agent.scripts.script import FINAL, LoadedModule, Script, ScriptState
from agent.scripts.script_log import ScriptLog
from runtime.abi.structs import State
from runtime.events.decode import Event
from runtime.support.record import record


@record
class _Prepared:
    """The next step for one script: keep its module, load `compiled`, or nothing if neither is set."""

    fingerprint: str = ""
    compiled: Compiled | None = None
    keep: bool = False


class Supervisor:
    """All scripts of the agent. `reserved`: the agent's own metric names."""

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
        self._orphans: dict[str, LoadedModule] = {}  # modules of an agent that died
        self._compiling: asyncio.Future[list[_Prepared | BaseException]] | None = None
        self._stopping = False

    @property
    def settled(self) -> bool:
        """Whether every script has reached a final state."""
        return all(script.state in FINAL for script in self.scripts.values())

    async def find_orphaned_modules(self) -> None:
        """Open the modules of an agent that died; `apply` adopts those that are still wanted."""
        for name in await asyncio.to_thread(self._modules.names):
            if self._modules.keeper(name) is Keeper.USER:
                log().info(f"module {name} ignored: its user has left it running", module=name)
                continue
            try:
                device = await asyncio.to_thread(self._modules.open, name)
                self._orphans[name] = LoadedModule(device, self._on_event, self._on_exit)
                with contextlib.suppress(ModuleError):  # an older version's has no keeper
                    self._modules.keep(name, Keeper.AGENT)
            except BusyError as error:
                log().info(f"module ignored: {error}", module=name)
            except ModuleError as error:
                log().warning(f"module {name} cannot be adopted: {error}", module=name)

    async def apply(self, settings: Settings) -> None:
        """Compile all scripts, replace the modules of those that changed, remove the others."""
        async with self._lock:
            wanted = {n: s for n, s in settings.scripts.items() if s.enabled}
            for name, script in wanted.items():
                if name not in self.scripts:
                    self.scripts[name] = Script(name, script, ScriptLog(name, settings.log))
                self.scripts[name].log.configure(settings.log)
            self._adopt_orphans()
            compiler = self._make_compiler(settings)
            left = len(wanted)

            async def prepare(name: str, script: ScriptSettings) -> _Prepared:
                nonlocal left
                prepared = await self._prepare(self.scripts[name], script, settings, compiler)
                left -= 1
                if left:
                    self._on_progress(f"compiling: {left} of {len(wanted)} scripts left")
                return prepared

            # return_exceptions: a cancelled gather() then waits until every compiler has ended
            self._compiling = asyncio.gather(
                *(prepare(n, s) for n, s in wanted.items()), return_exceptions=True
            )
            try:
                prepared = [_value_or_raise(result) for result in await self._compiling]
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
                await self._replace(self.scripts[name], wanted[name], result)
                self._plan()  # now, because the next module may take a while to load
            await self._unload_orphans()
            self._plan()

    async def stop(self) -> None:
        """Stop all scripts, read their last events, unload all modules. Nothing can be applied afterwards."""
        self._stopping = True
        if self._compiling is not None:
            self._compiling.cancel()
        async with self._lock:
            for script in self.scripts.values():
                await self._remove(script)
            self.scripts.clear()
            await self._unload_orphans()
            self.exposition = Exposition(())

    def tick(self) -> None:
        """Once a second: log incomplete lines, and notice scripts that ended without an event."""
        for script in self.scripts.values():
            script.log.flush()
            if script.module is not None:
                script.module.check_ended()

    async def _prepare(
        self, script: Script, wanted: ScriptSettings, settings: Settings, compiler: Compiler
    ) -> _Prepared:
        """Compile one script unless it is running unchanged."""
        try:
            request = compile_client.request(wanted, settings)
            fingerprint = compile_client.fingerprint(request)
        except OSError as error:
            script.settings = wanted
            place = f" ({wanted.position})" if str(wanted.file) != wanted.position.file else ""
            self._failed(
                script, f"cannot read {wanted.file}{place}: {(error.strerror or '').lower()}"
            )
            return _Prepared()
        if script.module is not None and script.fingerprint == fingerprint:
            if (
                script.state is ScriptState.OUTDATED
            ):  # the configuration is back to the running version
                script.state, script.reason, script.detail = ScriptState.RUNNING, "", ""
            return _Prepared(fingerprint, keep=True)
        if script.module is None:
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

    async def _replace(self, script: Script, wanted: ScriptSettings, result: _Prepared) -> None:
        """Replace the old version by the new one; after any error the old one stays."""
        script.settings = wanted
        if result.keep:
            return
        if result.compiled is None:
            return
        old, compiled = script.module, result.compiled
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
        script.module, script.compiled = new, compiled
        script.fingerprint, script.reason, script.detail = result.fingerprint, "", ""
        script.state = ScriptState.RUNNING
        if old is not None:
            await self._discard(old)
        log().info(f"script {script.name} is running", script=script.name, module=compiled.module)

    async def _load(
        self, script: Script, wanted: ScriptSettings, compiled: Compiled
    ) -> LoadedModule:
        """Load and start a module, or adopt the same module of an agent that died."""
        started = monotonic()
        found = self._orphans.pop(compiled.module, None)
        if found is not None:
            if found.manifest.identity == compiled.identity:
                log().info(f"module {found.name} adopted", script=script.name, module=found.name)
                return await self._begin(found, script, wanted, started)
            await self._discard(found)
        try:
            device = await asyncio.to_thread(self._modules.load, compiled.path, compiled.module)
        finally:
            compiled.path.unlink(missing_ok=True)  # the cache has a copy
        try:
            new = LoadedModule(device, self._on_event, self._on_exit)
        except ModuleError:
            with contextlib.suppress(ModuleError):
                await asyncio.to_thread(self._modules.unload, compiled.module)
            raise
        return await self._begin(new, script, wanted, started)

    async def _begin(
        self, new: LoadedModule, script: Script, wanted: ScriptSettings, started: float
    ) -> LoadedModule:
        """Start the module. An older version is served until this has succeeded."""
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

    def _adopt_orphans(self) -> None:
        """Serve running orphaned modules now; the compiler decides later whether they are current."""
        for name, found in list(self._orphans.items()):
            script = self.scripts.get(found.manifest.name)
            if script is None or script.module is not None or found.state is State.LOADED:
                continue
            script.module = self._orphans.pop(name)
            script.state = ScriptState.COMPILING
            script.module.attach()
            log().info(f"module {name} adopted", script=script.name, module=name)
        self._plan()

    async def _remove(self, script: Script) -> None:
        module, script.module = script.module, None
        if module is not None:
            await self._discard(module)
            log().info(f"script {script.name} was removed", script=script.name)
        script.log.flush(everything=True)

    async def _unload_orphans(self) -> None:
        for name in list(self._orphans):
            log().info(f"orphaned module {name} is unloaded", module=name)
            await self._discard(self._orphans.pop(name))

    async def _discard(self, module: LoadedModule) -> None:
        """Stop and unload a module; errors are only logged, because nothing else can be done."""
        try:
            await module.stop()
        except ModuleError as error:
            log().error(str(error), module=module.name)
        try:
            await module.unload(self._modules)
        except ModuleError as error:
            log().error(str(error), module=module.name)

    def _failed(self, script: Script, reason: str) -> None:
        script.fail(reason)
        log().error(f"script {script.name} failed: {reason}", script=script.name)

    def _script_of(self, module: LoadedModule) -> Script | None:
        return next((s for s in self.scripts.values() if s.module is module), None)

    def _on_event(self, module: LoadedModule, event: Event) -> None:
        name = module.manifest.name
        script = self._script_of(module) or self.scripts.get(name)
        if script is not None:
            script.log.add(event, module.manifest, module.device.header().time_offset)

    def _on_exit(self, module: LoadedModule) -> None:
        """The script called exit() or made too many errors: run end probes, keep the values."""
        task = asyncio.get_running_loop().create_task(self._finish(module))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, module: LoadedModule) -> None:
        async with self._lock:
            script = self._script_of(module)
            if script is None:
                return  # it has been replaced meanwhile
            try:
                await module.stop()
            except ModuleError as error:
                module.broken = module.broken or str(error)
            module.detach()
            script.log.flush(everything=True)
            if module.broken:
                self._failed(script, module.broken)
            elif module.gave_up:
                script.state = ScriptState.FAILED
                script.reason = script.detail = "it made more errors than max_errors allows"
            else:
                script.state, script.reason, script.detail = ScriptState.EXITED, "", ""
            log().info(f"script {script.name} ended", script=script.name, state=script.state.value)

    def _plan(self) -> None:
        """Compute the families to serve. If they have changed, page templates are rebuilt."""
        running = [
            (script.name, script.module.manifest, script.settings.metrics)
            for script in self.scripts.values()
            if script.module is not None
        ]
        families, problems = plan(running, self._reserved)
        if families != self.exposition.families:
            self.exposition = Exposition(families)
        for script in self.scripts.values():
            mine = tuple(p.message for p in problems if p.script == script.name)
            if mine != script.problems:
                script.problems = mine
                _report(problems, script.name)


def _value_or_raise(result: _Prepared | BaseException) -> _Prepared:
    if isinstance(result, BaseException):
        raise result
    return result


def _report(problems: tuple[Problem, ...], script: str) -> None:
    for problem in problems:
        if problem.script == script:
            log().warning(f"metric problem: {problem.message}", script=script)
