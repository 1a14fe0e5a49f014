# SPDX-License-Identifier: GPL-2.0-or-later
"""Loads and ends the modules of scripts, and takes over those that an agent has left.

loading = Loading(scripts, modules, owner, arming)
await loading.find_orphans()                                  # modules that are loaded already
loading.adopt()                                               # those of known scripts are served
new, carry = await loading.load(script, wanted, compiled, total)   # or the orphan that is the same
await loading.discard(module)                                 # stopped and unloaded
await loading.unload_orphans()                                # those that nobody wants
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from time import monotonic
from typing import TypeAlias

from agent.config.budgets import TotalBudgets
from agent.config.settings import ScriptSettings
from agent.daemon import memory_budget, script_reports
from agent.daemon.arming import Arming
from agent.log_messages import Message
from agent.log_sinks import log
from agent.scripts import adoption, carry_over
from agent.scripts.carry_over import CarryOver
from agent.scripts.compile_client import Compiled
from agent.scripts.kernel_modules import BusyError, Keeper, ModuleError, Modules
from agent.scripts.module_control import for_kernel
from agent.scripts.script import LoadedModule, Owner, Script, ScriptState
from agent.scripts.turns import Turns
from runtime.abi.structs import State

Loaded: TypeAlias = "tuple[LoadedModule, CarryOver | None]"


class Loading:
    """All modules of the agent. Orphans: modules of an agent that has ended, which no script has taken."""

    def __init__(
        self, scripts: Mapping[str, Script], modules: Modules, owner: Owner, arming: Arming
    ) -> None:
        self._scripts, self._modules, self._owner = scripts, modules, owner
        self._arming = arming
        self._turns = Turns()
        self._one_at_a_time = asyncio.Lock()
        self._orphans: dict[str, LoadedModule] = {}

    @property
    def orphaned_scripts(self) -> list[str]:
        """The scripts of the orphans."""
        return sorted({module.manifest.name for module in self._orphans.values()})

    async def find_orphans(self) -> None:
        """Open the modules of an agent that has ended, once."""
        if self._orphans:
            return
        for name in await asyncio.to_thread(self._modules.names):
            if await asyncio.to_thread(self._modules.keeper, name) is Keeper.USER:
                text = f"module {name} ignored: its user has left it running"
                log().info(text, message_id=Message.MODULE_IGNORED, module=name)
                continue
            try:
                device = await asyncio.to_thread(self._modules.open, name)
                self._orphans[name] = LoadedModule(device, self._owner, self._turns)
                with contextlib.suppress(ModuleError):  # an older version's has no keeper
                    await asyncio.to_thread(self._modules.keep, name, Keeper.AGENT)
            except BusyError as error:
                text = f"module ignored: {error}"
                log().info(text, message_id=Message.MODULE_IGNORED, module=name)
            except ModuleError as error:
                text = f"module {name} cannot be adopted: {error}"
                log().warning(text, message_id=Message.MODULE_FAILED, module=name)

    def adopt(self) -> None:
        """Serve running orphans now; the compiler decides later whether they are current.

        Of two versions the older one, which has counted all along: the agent was killed in a swap.
        """
        for name, found in sorted(self._orphans.items(), key=lambda item: item[1].started_ns):
            script = self._scripts.get(found.manifest.name)
            if script is None or script.module is not None or not found.started_ns:
                continue
            script.module = self._orphans.pop(name)
            script.enter(ScriptState.RUNNING)
            script.module.attach()
            script_reports.adopted(script.name, name)

    async def unload_orphans(self) -> None:
        for name in list(self._orphans):
            text = f"orphaned module {name} is unloaded"
            log().info(text, message_id=Message.MODULE_UNLOADED, module=name)
            await self.discard(self._orphans.pop(name))

    async def leave_orphans(self) -> None:
        """They stay loaded for the next agent."""
        for orphan in self._orphans.values():
            await orphan.leave()
        self._orphans.clear()

    async def load(
        self, script: Script, wanted: ScriptSettings, compiled: Compiled, total: TotalBudgets
    ) -> Loaded:
        """Load and start a module, or take the orphan that is the same. An older version of the script gives
        way when the new one runs, and its values that are kept are to be carried over. Raises ModuleError."""
        started = monotonic()
        found = self._orphans.pop(compiled.module, None)
        if found is not None:
            if found.manifest.identity == compiled.identity and adoption.goes_on(found, script):
                await self._arming.trying(script, compiled.module)
                script_reports.adopted(script.name, found.name)
                return await self._begin(found, script, wanted, started)
            await self.discard(found)
        async with self._one_at_a_time:
            return await self._load_new(script, wanted, compiled, total, started)

    async def _load_new(
        self,
        script: Script,
        wanted: ScriptSettings,
        compiled: Compiled,
        total: TotalBudgets,
        started: float,
    ) -> Loaded:
        loaded = [s.module for s in self._scripts.values() if s is not script]
        others = sum(module.memory for module in loaded if module is not None)
        memory_budget.check(compiled.path, wanted.budgets, total, others)
        await self._arming.trying(script, compiled.module)
        try:
            device = await asyncio.to_thread(self._modules.load, compiled.path, compiled.module)
        finally:
            await self.forget(compiled)
        try:
            new = LoadedModule(device, self._owner, self._turns)
        except ModuleError:
            with contextlib.suppress(ModuleError):
                await asyncio.to_thread(self._modules.unload, compiled.module)
            raise
        return await self._begin(new, script, wanted, started)

    async def forget(self, compiled: Compiled) -> None:
        """The file of a module is not needed any more: the cache has a copy."""
        with contextlib.suppress(ModuleError):
            await asyncio.to_thread(self._modules.forget, compiled.path)

    async def _begin(
        self, new: LoadedModule, script: Script, wanted: ScriptSettings, started: float
    ) -> Loaded:
        """Start the module. An older version is served until this has succeeded."""
        carry: CarryOver | None = None
        try:
            if new.state is State.LOADED:
                carry = carry_over.begin(script.module, new, wanted)
                if wanted.paused:
                    await asyncio.to_thread(carry.shared)
                else:
                    await new.start(
                        wanted.max_errors,
                        budgets=for_kernel(wanted.budgets),
                        instead_of=script.module,
                        first=carry.shared,
                    )
            new.attach()
        except ModuleError:
            with contextlib.suppress(ModuleError):
                await self.discard(new)
            raise
        finally:
            script.load_seconds = monotonic() - started
        return new, carry

    async def discard(self, module: LoadedModule) -> None:
        """Stop and unload a module; errors are only logged, because nothing else can be done."""
        await self.stop(module)
        await self.unload(module)

    async def stop(self, module: LoadedModule) -> None:
        """Run end probes and read the last events. An error is only logged."""
        try:
            await module.stop()
        except ModuleError as error:
            log().error(str(error), message_id=Message.MODULE_FAILED, module=module.name)

    async def unload(self, module: LoadedModule) -> None:
        """Unload a module that was stopped. An error is only logged."""
        try:
            await module.unload(self._modules)
        except ModuleError as error:
            log().error(str(error), message_id=Message.MODULE_FAILED, module=module.name)
