# SPDX-License-Identifier: GPL-2.0-or-later
"""Which scripts are armed: budgets, pauses, quarantine, and the boot guard.

    await arming.refusal(script, module)      # before a module is loaded: may it be?
    arming.notice(script)                     # the kernel has disarmed it: say why, arm it again later
    arming.tick()                             # once a second
    await arming.release(script)              # `stapwatch arm`
    await arming.disarm(script)               # `stapwatch disarm`

The module's hooks are taken out and put back in threads, and no reload delays that. The tick is what arms a
script again, so a pause is up to a second longer than it says.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from agent.config.rollout_settings import Arm
from agent.config.settings import ScriptSettings, Settings
from agent.daemon.total_cpu import Excess, TotalCpu
from agent.log_messages import Message
from agent.log_sinks import log
from agent.scripts.guard import Guard
from agent.scripts.kernel_modules import ModuleError
from agent.scripts.module_control import for_kernel
from agent.scripts.rearming import PAUSED, Disarm
from agent.scripts.script import LoadedModule, Script, ScriptState
from agent.scripts.script_records import Quarantine, Record, ScriptRecords
from runtime.abi.structs import State
from runtime.support.record import replace

T = TypeVar("T")
_AGAIN = 64.0  # seconds until arming is tried again that has failed


class Arming:
    """Of all scripts. `clock`: seconds that no change of the date moves."""

    def __init__(
        self, scripts: Mapping[str, Script], clock: Callable[[], float] = monotonic
    ) -> None:
        self._scripts, self._clock = scripts, clock
        self._settings = Settings()
        self._guard = Guard(ScriptRecords(self._settings.state_folder), clock=clock)
        self._guarding = asyncio.Lock()  # its calls are in threads
        self._problem = ""
        self._held: set[str] = set()  # scripts that a person has disarmed
        self._total = TotalCpu(clock)
        self._excess: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def problem(self) -> str:
        """Why the state folder cannot be written; "" if it can."""
        return self._problem

    def configure(self, settings: Settings) -> None:
        if settings.state_folder != self._settings.state_folder:
            self._guard = Guard(ScriptRecords(settings.state_folder), clock=self._clock)
        self._settings = settings

    # -- loading ------------------------------------------------------------------------------------

    # Modules are known by their names here: a name says the script's identity and the compiler.

    async def refusal(self, script: Script, module: str) -> Quarantine | None:
        """Why this version of the script must not be started."""
        wanted, revision = self._wanted(script.settings), script.settings.revision
        return await self._guarded(lambda: self._guard.check(script.name, module, wanted, revision))

    async def trying(self, script: Script, module: str) -> None:
        """The module is about to be loaded."""
        await self._guarded(lambda: self._guard.trying(script.name, module))

    async def stopped(self, script: Script) -> None:
        """The script was stopped in order, or could not be started."""
        await self._guarded(lambda: self._guard.stopped(script.name))

    async def adopted(self, script: Script) -> None:
        """The module is one that a dead agent has started."""
        await self._guarded(lambda: self._guard.adopted(script.name))

    def loaded(self, script: Script) -> None:
        """The script has a new module, which is running."""
        script.rearming.start_over()
        script.rearming.armed()
        script.in_force = self._wanted(script.settings)
        if script.is_paused:  # it has not been tried: no mark, and nothing is proven
            self._spawn(self.stopped(script))
        elif script.name in self._held:  # it was on its way when the person said so
            self._spawn(self.disarm(script))

    async def follow(self, script: Script) -> None:
        """The script goes on unchanged: its budgets may have changed. ModuleError is only logged."""
        module = script.module
        if module is None:
            return
        is_held = script.name in self._held
        if script.settings.held != is_held:  # the settings were made before a person's last word
            script.settings = replace(script.settings, paused=is_held, held=is_held)
        if await self._pause_or_arm(script, module):
            return
        budgets, known = for_kernel(script.settings.budgets), module.control.budgets
        wanted, before = self._wanted(script.settings), script.in_force
        script.in_force = wanted
        if known is None and module.state is State.DISARMED:  # adopted
            module.control.budgets = budgets
            await self._adopt_disarmed(script, module)
        elif known != budgets or (script.rearming.disarm is not None and wanted != before):
            await self._guarded(lambda: self._guard.release(script.name))
            script.rearming.start_over()
            await self._arm(script)

    async def _pause_or_arm(self, script: Script, module: LoadedModule) -> bool:
        """Follow `paused`. Returns whether the script is paused, or was until now."""
        if script.rearming.quarantined or module.ended:
            return False
        if not script.settings.paused:
            if not script.is_paused:
                return False
            script.in_force = self._wanted(script.settings)
            await self._arm(script)
            return True
        try:
            await module.control.disarm(Disarm(PAUSED))
        except ModuleError as error:
            text = f"script {script.name} is not paused: {error}"
            log().error(text, message_id=Message.MODULE_FAILED, script=script.name)
            return False
        if module.state is State.DISARMED and not script.rearming.paused:
            module.control.disarmed()  # it is told here
            self._hold(script)
        return script.is_paused

    def _hold(self, script: Script) -> None:
        script.rearming.hold()
        if script.settings.held:
            text = (
                f"script {script.name} is disarmed by the operator, its values stay, until: "
                f"stapwatch arm {script.name}"
            )
            log().warning(text, message_id=Message.SCRIPT_DISARMED_BY_OPERATOR, script=script.name)
            return
        text = f"script {script.name} is paused, its values stay"
        log().info(text, message_id=Message.SCRIPT_PAUSED, script=script.name)

    async def _adopt_disarmed(self, script: Script, module: LoadedModule) -> None:
        """A dead agent's pause starts again; its quarantine goes on."""
        found = await self.refusal(script, module.name)
        why = module.control.disarmed()
        if found is not None and why is not None:
            script.rearming.quarantine(why)
        elif why is not None:
            self._disarmed(script, why)

    # -- disarms ------------------------------------------------------------------------------------

    def notice(self, script: Script) -> None:
        """Look whether the script was disarmed since the last look."""
        if script.module is None or script.module.ended or script.module.control.budgets is None:
            return  # `follow` sees to adopted modules
        if (why := script.module.control.disarmed()) is not None:
            self._disarmed(script, why)

    def _disarmed(self, script: Script, why: Disarm) -> None:
        if why.budget == PAUSED:
            self._hold(script)
            return
        pause = script.rearming.disarmed(why, script.settings.budgets.pauses)
        fields: dict[str, Any] = {"budget": why.budget, "value": why.value, "limit": why.limit}
        if why.probe:
            fields["probe"] = why.probe
        if pause is not None:
            log().warning(
                f"script {script.name} {why}; it is disarmed, its values stay, and it is armed again in "
                f"{pause:g} s",
                message_id=Message.SCRIPT_DISARMED,
                script=script.name,
                pause_seconds=pause,
                **fields,
            )
            return
        times = sum(script.rearming.counts.values())
        log().error(
            f"script {script.name} {why}; it was disarmed {times} times and is quarantined, its values stay, "
            f"until it changes, or: stapwatch arm {script.name}",
            message_id=Message.SCRIPT_QUARANTINED,
            script=script.name,
            **fields,
        )
        if script.module is not None:
            found = Quarantine(
                script.module.name,
                self._wanted(script.settings),
                why.budget,
                f"it {why}; it was disarmed too often; to start it all the same: stapwatch arm {script.name}",
            )
            revision = script.revision
            self._spawn(self._guarded(lambda: self._guard.quarantine(script.name, found, revision)))

    def tick(self) -> None:
        """Once a second: arm what is due, prove what has run for a minute, watch the total."""
        if self._stopping:
            return
        for script in self._scripts.values():
            self.notice(script)
            if script.module is not None and script.rearming.is_due:
                self._spawn(self._arm(script))
        for name in self._guard.due():
            self._spawn(self._guarded(partial(self._guard.settle, name)))
        self._watch_total()

    async def _arm(self, script: Script) -> bool:
        """Arm a script, or give a running one its budgets; returns whether that has worked."""
        module, before = script.module, script.rearming.disarm
        if module is None:
            return False
        budgets = for_kernel(script.settings.budgets)
        is_first = module.state is State.LOADED
        try:
            with script.rearming.arming():
                if is_first:
                    await self.trying(script, module.name)
                    await module.start(script.settings.max_errors, budgets=budgets)
                else:
                    await module.control.arm(budgets)
        except ModuleError as error:
            again = " again" if before is not None else ""
            text = f"script {script.name} is not armed{again}: {error}"
            log().error(text, message_id=Message.SCRIPT_NOT_ARMED, script=script.name)
            if is_first:
                module.broken = f"it cannot be started: {error}"
            elif before is not None:
                script.rearming.not_armed(before, _AGAIN)
            return False
        if before is not None:
            text = f"script {script.name} is armed again"
            log().info(text, message_id=Message.SCRIPT_ARMED, script=script.name)
        return True

    def _watch_total(self) -> None:
        limit = self._settings.total.cpu
        if limit is None or (self._excess is not None and not self._excess.done()):
            return
        modules = [s.module for s in self._scripts.values() if s.module is not None]
        found = self._total.measure((m for m in modules if not m.ended), limit)
        if found is not None:
            self._excess = self._spawn(self._end_excess(found))

    async def _end_excess(self, found: Excess) -> None:
        try:
            await found.module.control.disarm(found.why)
        except ModuleError as error:
            log().error(str(error), message_id=Message.MODULE_FAILED, module=found.module.name)

    # -- a person's word ------------------------------------------------------------------------------

    async def release(self, script: Script) -> bool:
        """Arm a script that is loaded, or let one be loaded again; returns whether that has worked."""
        await self._guarded(lambda: self._guard.release(script.name))
        self._held.discard(script.name)
        script.rearming.start_over()
        settings = script.settings
        if settings.paused:
            revision = script.revision
            script.settings = replace(settings, paused=False, held=False)
            if not settings.held or settings.rollout.arm is Arm.PAUSED:
                await self._guarded(lambda: self._guard.allow(script.name, armed=revision))
        text = f"script {script.name} is armed on request"
        log().info(text, message_id=Message.SCRIPT_ARMED, script=script.name)
        if script.module is not None:
            return await self._arm(script)
        script.enter(ScriptState.WAITING)
        return True

    async def disarm(self, script: Script) -> None:
        """Take the probes out of the kernel at a person's word. No module of the script is armed until
        `release`, whatever its text, and whichever agent it is. ModuleError is only logged."""
        self._held.add(script.name)
        script.settings = replace(script.settings, paused=True, held=True)
        if script.module is not None:
            await self._pause_or_arm(script, script.module)
        await self._guarded(lambda: self._guard.hold(script.name))

    async def remembered(self, scripts: Iterable[str]) -> dict[str, Record]:
        """For each script, what a person has said of it, and what it has waited for."""
        names = list(scripts)
        found = await self._guarded(lambda: {n: self._guard.remembered(n) for n in names})
        self._held |= {name for name, record in found.items() if record.held}
        return found

    async def passed(self, script: str, revision: str) -> None:
        """Remember that the script need not wait for another one again."""
        await self._guarded(lambda: self._guard.allow(script, passed=revision))

    async def stop(self) -> None:
        """Wait for what is in progress; nothing new begins."""
        self._stopping = True
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- the rest -------------------------------------------------------------------------------------

    def _wanted(self, settings: ScriptSettings) -> str:
        """The budgets that a quarantine is about."""
        return (
            f"{for_kernel(settings.budgets)} {settings.budgets.pauses} {self._settings.total.cpu}"
        )

    async def _guarded(self, action: Callable[[], T]) -> T:
        async with self._guarding:
            result = await asyncio.to_thread(action)
        if self._guard.problem and not self._problem:
            log().warning(
                f"the state folder cannot be written: {self._guard.problem}; scripts run all the same, but a "
                "crash of the machine will not be remembered",
                message_id=Message.STATE_UNWRITABLE,
            )
        self._problem = self._guard.problem
        return result

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        async def run() -> None:
            await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def quarantine(script: Script, found: Quarantine) -> None:
    """The script is not started."""
    script.enter(ScriptState.QUARANTINED, found.reason, found.reason)
    log().error(
        f"script {script.name} is quarantined: {found.reason}",
        message_id=Message.SCRIPT_QUARANTINED,
        script=script.name,
        budget=found.budget,
    )
