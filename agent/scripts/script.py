# SPDX-License-Identifier: GPL-2.0-or-later
"""One script of the agent: its state, and its loaded module.

waiting -> compiling -> running -> exited            exit() was called; values stay
                    \\-> failed                       `reason` says why
           (a new version fails) -> outdated          the version before it keeps running
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from enum import StrEnum

from agent.config.settings import ScriptSettings
from agent.scripts.compile_client import Compiled
from agent.scripts.kernel_modules import ModuleError, Modules
from agent.scripts.script_log import ScriptLog
from runtime.abi.manifest import Manifest
from runtime.abi.structs import UNLIMITED_ERRORS, State
from runtime.events.decode import Event
from runtime.reader.device import Device, DeviceError
from runtime.reader.snapshot import Snapshot, SnapshotReader
from runtime.support.record import field, record

_JUMP_NS = 1_000_000  # a change of the clocks' distance that makes the module read it again
# A device at a time, so that a busy one starves neither the others nor a signal that ends the script.
_TURN_SECONDS = 0.02
_TURN_ROOM = 1 << 15  # bytes; hundreds of lines, which are formatted in about as long


class ScriptState(StrEnum):
    WAITING = "waiting"
    COMPILING = "compiling"
    RUNNING = "running"
    EXITED = "exited"
    OUTDATED = "outdated"
    FAILED = "failed"


FINAL = {ScriptState.RUNNING, ScriptState.EXITED, ScriptState.OUTDATED, ScriptState.FAILED}


class LoadedModule:
    """A loaded module that this process reads. `on_event` gets every event, and `on_exit` is called
    once, when the script has ended by itself."""

    def __init__(
        self,
        device: Device,
        on_event: Callable[[LoadedModule, Event], None],
        on_exit: Callable[[LoadedModule], None],
    ) -> None:
        """Own an open device. ModuleError, and the device is closed, if its tables cannot be read."""
        self.device = device
        self.name = device.name
        self.ended = False
        self.broken = ""  # why the device can no longer be read
        self._on_event, self._on_exit = on_event, on_exit
        self._loop: asyncio.AbstractEventLoop | None = None
        self._distance = 0  # of the clocks, when the module last read them because of events
        try:
            self.manifest: Manifest = device.manifest()
            self._reader = SnapshotReader(device)
        except ValueError as error:
            device.close()
            raise ModuleError(f"module {device.name}: {error}") from error

    def attach(self) -> None:
        """Read events from now on, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.device.fileno(), self._readable)

    def detach(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self.device.fileno())
            self._loop = None

    def _readable(self) -> None:
        try:
            self._read_events(_TURN_ROOM, time.monotonic() + _TURN_SECONDS)
        except ModuleError as error:
            self.detach()  # the loop would report it as readable for ever
            self.broken, self.ended = str(error), True
            self._on_exit(self)

    def drain(self) -> None:
        """Pass all pending events of a stopped module to `on_event`; ModuleError if they cannot be read."""
        self._read_events(1 << 18, math.inf)

    def _read_events(self, room: int, end: float) -> None:
        """Until `end`, in pieces of `room` bytes."""
        try:
            while found := self.device.read_events(room):
                self._follow_clock()
                for event in found:
                    self._on_event(self, event)
                if time.monotonic() >= end:
                    break
        except (DeviceError, ValueError) as error:
            raise ModuleError(f"module {self.name}: {error}") from error
        self.check_ended()

    def _follow_clock(self) -> None:
        """Let the module read its `time_offset` again if CLOCK_REALTIME was set, or the machine slept.

        The difference is not used itself, because a time namespace has another CLOCK_MONOTONIC.
        """
        distance = time.time_ns() - time.monotonic_ns()
        if abs(distance - self._distance) > _JUMP_NS:
            with contextlib.suppress(DeviceError):
                self.device.sync()
                self._distance = distance

    def check_ended(self) -> None:
        """Call `on_exit` if the script has ended by itself."""
        if not self.ended and self.state in (State.EXITING, State.STOPPED):
            self.ended = True
            self._on_exit(self)

    @property
    def state(self) -> State:
        return self.device.header().state

    @property
    def gave_up(self) -> bool:
        """Whether the script made more errors than allowed."""
        return self.device.header().failed

    def snapshot(self, spread: bool = False) -> Snapshot:
        """The values now. `spread`: include min, max and variance, which are not exported."""
        return self._reader.read(spread)

    async def start(self, max_errors: int | None, target: int = 0) -> None:
        limit = UNLIMITED_ERRORS if max_errors is None else max_errors
        await _in_thread(lambda: self.device.start(limit, target))

    async def stop(self) -> None:
        """Run end probes and read their events; tables keep their values."""
        self.ended = True
        if self.state not in (State.STOPPED, State.LOADED):
            await _in_thread(self.device.stop)
        self.drain()

    async def unload(self, modules: Modules) -> None:
        """Close the device and unload the module; this object cannot be used afterwards."""
        self.detach()
        self.device.close()
        await _in_thread(lambda: modules.unload(self.name))


@record(frozen=False)
class Script:
    """One script; only the supervisor changes it."""

    name: str
    settings: ScriptSettings
    log: ScriptLog
    state: ScriptState = ScriptState.WAITING
    reason: str = ""
    detail: str = ""  # the reason in full: rendered diagnostics
    fingerprint: str = ""  # of the request that `module` was compiled from
    module: LoadedModule | None = None
    compiled: Compiled | None = None
    compile_seconds: float = 0.0
    compile_failures: int = 0
    load_seconds: float = 0.0
    problems: tuple[str, ...] = field(default=())

    def fail(self, reason: str, detail: str = "") -> None:
        """A version failed; an older one keeps running if there is one."""
        older = self.module is not None
        self.state = ScriptState.OUTDATED if older else ScriptState.FAILED
        self.reason, self.detail = reason, detail or reason


async def _in_thread(action: Callable[[], object]) -> None:
    """Run a blocking call; its DeviceError becomes a ModuleError."""
    try:
        await asyncio.to_thread(action)
    except DeviceError as error:
        raise ModuleError(error.strerror or str(error)) from error
