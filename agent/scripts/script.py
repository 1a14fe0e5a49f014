# SPDX-License-Identifier: GPL-2.0-or-later
"""One script of the agent: its state, and its loaded module.

waiting -> compiling -> running -> exited            exit() was called; values stay
                    \\-> failed                       `reason` says why
                    \\-> quarantined                  it must not be started: the boot guard, or its budgets
           (a new version fails) -> outdated          the version before it keeps running
           running, outdated <-> disarmed             over a budget; values stay, and it is armed again
                                 -> quarantined       values stay; a person or a change arms it again
paused                                                loaded and never armed, or disarmed by the configuration
disarmed_by_operator                                  the same, because a person said so
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from agent.config.settings import ScriptSettings
from agent.scripts.compile_client import Compiled
from agent.scripts.event_reader import EventReader
from agent.scripts.kernel_modules import ModuleError, Modules
from agent.scripts.module_control import ModuleControl
from agent.scripts.rearming import Rearming
from agent.scripts.script_log import ScriptLog
from agent.scripts.turns import Turns
from agent.scripts.variants import Seen
from runtime.abi.manifest import Manifest
from runtime.abi.structs import UNLIMITED_ERRORS, Budgets, State
from runtime.events.decode import Event
from runtime.reader.device import Device, DeviceError
from runtime.reader.snapshot import Snapshot, SnapshotReader
from runtime.support.record import field, record
from runtime.support.str_enum import StrEnum


class ScriptState(StrEnum):
    WAITING = "waiting"
    COMPILING = "compiling"
    RUNNING = "running"
    EXITED = "exited"
    OUTDATED = "outdated"
    FAILED = "failed"
    DISARMED = "disarmed"
    QUARANTINED = "quarantined"
    PAUSED = "paused"
    DISARMED_BY_OPERATOR = "disarmed_by_operator"


_PAUSED = (ScriptState.PAUSED, ScriptState.DISARMED_BY_OPERATOR)
ARMABLE = (ScriptState.DISARMED, ScriptState.QUARANTINED, *_PAUSED)
FINAL = set(ScriptState) - {ScriptState.WAITING, ScriptState.COMPILING}


class Owner:
    """Who handles the events of its modules."""

    def on_event(self, module: LoadedModule, event: Event) -> None:
        raise NotImplementedError

    def on_exit(self, module: LoadedModule) -> None:
        """Called once, when the script has ended by itself."""
        raise NotImplementedError

    def written(self, module: LoadedModule, done: Callable[[], None]) -> bool:
        """Whether all that the events have caused is out. If not, call `done` when it is, in any thread."""
        return True

    def oldest(self, module: LoadedModule) -> int | None:
        """`time_ns` of the oldest event whose line is not complete."""
        return None

    def cut(self, module: LoadedModule, before: int) -> None:
        """End the lines with an event that is older than `before`."""


@record
class _Target:
    """A module's events go to its owner."""

    module: LoadedModule
    owner: Owner

    def add(self, event: Event) -> None:
        self.owner.on_event(self.module, event)

    def written(self, done: Callable[[], None]) -> bool:
        return self.owner.written(self.module, done)

    def oldest(self) -> int | None:
        return self.owner.oldest(self.module)

    def cut(self, before: int) -> None:
        self.owner.cut(self.module, before)


class LoadedModule:
    """A loaded module that this process reads. `turns`: those of all modules of its owner."""

    def __init__(self, device: Device, owner: Owner, turns: Turns) -> None:
        """Own an open device. ModuleError, and the device is closed, if its tables cannot be read."""
        self.device = device
        self.name = device.name
        self.ended = False
        self.broken = ""  # why the device can no longer be read
        self._owner = owner
        try:
            self.manifest: Manifest = device.manifest()
            self._reader = SnapshotReader(device)
        except ValueError as error:
            device.close()
            raise ModuleError(f"module {device.name}: {error}") from error
        self.memory = device.header().memory  # bytes, as long as it is loaded
        self.control = ModuleControl(device, self.manifest)
        target = _Target(self, owner)
        self._events = EventReader(device, turns, target, self.check_ended, self._on_error)

    def attach(self) -> None:
        """Read events from now on, in the running event loop."""
        self._events.attach()

    def detach(self) -> None:
        self._events.detach()

    def settle(self) -> None:
        """Lines have ended without an event: give their events back to the module."""
        self._events.settle()

    def _on_error(self, why: str) -> None:
        self.broken, self.ended = f"module {self.name}: {why}", True
        self._owner.on_exit(self)

    async def drain(self) -> None:
        """Pass all pending events to the owner; ModuleError if they cannot be read."""
        try:
            await self._events.drain()
        except (DeviceError, ValueError) as error:
            raise ModuleError(f"module {self.name}: {error}") from error

    def check_ended(self) -> None:
        """Tell the owner if the script has ended by itself."""
        if not self.ended and self.state in (State.EXITING, State.STOPPED):
            self.ended = True
            self._owner.on_exit(self)

    @property
    def state(self) -> State:
        return self.device.state

    @property
    def counts(self) -> bool:
        """Whether its probes are attached, or will be again."""
        return self.state in (State.STARTING, State.RUNNING, State.DISARMED)

    @property
    def started_ns(self) -> int:
        """When it was started; 0 if it was not, or if its start has failed or was killed."""
        return self.device.header().started_ns

    @property
    def gave_up(self) -> bool:
        """Whether the script made more errors than allowed."""
        return self.device.header().failed

    def snapshot(
        self,
        spread: bool = False,
        by_cpu: Collection[str] = (),
        doubles: Collection[str] = (),
    ) -> Snapshot:
        """The values now. `spread`: include min, max and variance, which are not exported. `by_cpu`: the
        globals whose values by CPU are wanted, too. `doubles`: those whose counts may be doubles."""
        return self._reader.read(spread, by_cpu, doubles)

    async def start(
        self,
        max_errors: int | None,
        target: int = 0,
        budgets: Budgets | None = None,
        instead_of: LoadedModule | None = None,
        first: Callable[[], None] = lambda: None,
    ) -> None:
        """`instead_of` counts nothing more as soon as this module counts. `first` is done before."""
        limit = UNLIMITED_ERRORS if max_errors is None else max_errors
        other = None if instead_of is None else instead_of.device

        def start() -> None:
            first()
            self.device.start(limit, target, budgets, other)

        with contextlib.nullcontext() if instead_of is None else instead_of.ending():
            await _in_thread(start)
        self.control.budgets = budgets

    @contextmanager
    def ending(self) -> Iterator[None]:
        """The owner ends the script, which is no end by itself. After an error, it goes on."""
        before, self.ended = self.ended, True
        try:
            yield
        except ModuleError:
            self.ended = before
            raise

    async def stop(self) -> None:
        """Run end probes and read their events; tables keep their values.

        No other probe runs from the start on. What they have printed is read before the end probes run, whose
        events would find no room in full rings.
        """
        self.ended = True  # the owner has ended it
        if self.state not in (State.STOPPED, State.LOADED):
            self.device.close_gates()
            with contextlib.suppress(ModuleError):  # the second one reports it
                await self.drain()
            await _in_thread(self.device.stop)
        await self.drain()

    async def leave(self) -> None:
        """Close the device of a module that stays loaded for the next reader."""
        self.ended = True
        await self._events.leave()
        await self.control.close()
        self.device.close()

    async def unload(self, modules: Modules) -> None:
        """Close the device and unload the module; this object cannot be used afterwards."""
        self.detach()
        await self.control.close()
        self.device.close()
        await _in_thread(lambda: modules.unload(self.name))


@record(frozen=False)
class Script:
    """One script; only the supervisor changes it."""

    name: str
    settings: ScriptSettings
    log: ScriptLog
    state: ScriptState = ScriptState.WAITING
    entered: float = field(default_factory=time.time)  # `state`, in seconds since 1970
    reason: str = ""
    detail: str = ""  # the reason in full: rendered diagnostics
    said: tuple[str, ...] = ()  # the log's lines about the last failure
    fingerprint: str = ""  # of the request that `module` was compiled from
    described: Seen | None = None  # as it was last read
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)  # held by who changes `module`
    module: LoadedModule | None = None
    compiled: Compiled | None = None
    kept_variant: str = ""  # of a module that was adopted, and not compiled here
    compile_seconds: float = 0.0
    compile_failures: int = 0
    load_seconds: float = 0.0
    problems: tuple[str, ...] = field(default=())
    rearming: Rearming = field(default_factory=Rearming)
    in_force: str = ""  # the budgets that the module was last given, and the pauses
    series: int = 0  # as of the last scrape
    series_left_out: int = 0
    left_out: tuple[str, ...] = ()  # the globals of these, with the reason
    expired: int = 0  # elements without a change for their ttl
    removed: int = 0  # those of them that have left the module
    # samples and elements that pages left out, by reason: agent/daemon/losses.py
    lost: Counter[str] = field(default_factory=Counter)
    withheld: int = 0  # of these, on the last page

    @property
    def revision(self) -> str:
        """That of the text that the module is made of; while a newer version fails, the older one's."""
        if self.module is None or self.compiled is None:
            return self.settings.revision
        return self.compiled.revision

    @property
    def variant(self) -> str:
        """The variant that runs; "" if the script has none."""
        if self.module is None:
            return ""
        return self.kept_variant if self.compiled is None else self.compiled.variant

    @property
    def shown(self) -> ScriptState:
        """The state as users see it: a version that is running may be disarmed."""
        if self.module is None:
            return self.state
        if self.module.state is State.LOADED or self.rearming.paused:
            held = self.settings.held
            return ScriptState.DISARMED_BY_OPERATOR if held else ScriptState.PAUSED
        if self.is_being_armed:
            return ScriptState.DISARMED
        if self.rearming.disarm is None:
            return self.state
        return ScriptState.QUARANTINED if self.rearming.quarantined else ScriptState.DISARMED

    @property
    def is_being_armed(self) -> bool:
        """Whether its hooks are being attached again: no hit is counted yet."""
        module = self.module
        return self.rearming.under_way and module is not None and module.state is State.DISARMED

    @property
    def is_paused(self) -> bool:
        """Whether it is not armed because the configuration or a person wants that."""
        return self.shown in _PAUSED

    @property
    def why(self) -> str:
        """The reason for the state as users see it."""
        disarm, reason = self.rearming.disarm, self.reason
        if self.is_paused:
            by = "it was disarmed by the operator, its values stay" if self.settings.held else ""
            return "; ".join(filter(None, [reason, by, f"to arm it: stapwatch arm {self.name}"]))
        if self.is_being_armed:
            return "it is being armed again"
        if self.module is None or disarm is None:
            return reason
        if self.rearming.quarantined:
            then = f"it is quarantined until it changes, or: stapwatch arm {self.name}"
        else:
            then = f"it is armed again in {self.rearming.left:.0f} s"
        return "; ".join(filter(None, [reason, f"it {disarm}; {then}"]))

    def runs(self, fingerprint: str, or_adopted: bool = False) -> bool:
        """Whether its module is of this text and these options. An adopted one has no fingerprint yet."""
        known = (fingerprint, "") if or_adopted else (fingerprint,)
        return self.module is not None and self.fingerprint in known

    def fail(self, reason: str, detail: str = "", said: tuple[str, ...] = ()) -> None:
        """A version failed; an older one keeps running if there is one. `said`: as it was logged."""
        older = self.module is not None
        self.enter(ScriptState.OUTDATED if older else ScriptState.FAILED, reason, detail or reason)
        self.said = said

    def enter(self, state: ScriptState, reason: str = "", detail: str = "") -> None:
        """Begin a state; to begin it again changes nothing but the reason."""
        if state is not self.state:
            self.entered = time.time()
        self.state, self.reason, self.detail = state, reason, detail

    @property
    def since(self) -> float:
        """When the state as users see it began, in seconds since 1970; an adopted module's goes on."""
        if self.module is None or self.module.state is State.LOADED:
            return self.entered
        held = self.rearming.since_change
        if held is not None and (self.rearming.disarm or self.state is ScriptState.RUNNING):
            return time.time() - held
        if self.state is ScriptState.RUNNING:
            return self.module.device.header().started_ns / 1e9 or self.entered
        return self.entered


async def _in_thread(action: Callable[[], object]) -> None:
    """Run a blocking call; its DeviceError becomes a ModuleError."""
    try:
        await asyncio.to_thread(action)
    except DeviceError as error:
        raise ModuleError(error.strerror or str(error)) from error
