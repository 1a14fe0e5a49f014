# SPDX-License-Identifier: GPL-2.0-or-later
"""Arming and disarming one loaded module, and what it says about its disarms.

control.disarmed()   -> Disarm("cpu", "timer.s(1)", 61_234, 50_000), once for each disarm; else None
control.cpu_growth() -> [1_200_000, 0]   ns that each probe has taken since the last call
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from agent.config.budgets import Budgets
from agent.scripts.kernel_modules import ModuleError
from agent.scripts.rearming import REQUEST, Disarm
from runtime.abi import structs
from runtime.abi.manifest import Manifest
from runtime.abi.structs import Breach, State
from runtime.reader.device import Device, DeviceError

_CPU_NS: Final = 4  # the word of struct sw_probe_counts
_NAMES: Final = {
    Breach.CPU: "cpu",
    Breach.ONE_CPU: "one_cpu",
    Breach.HIT_TIME: "hit_time",
    Breach.HIT_RATE: "hit_rate",
}


def for_kernel(budgets: Budgets) -> structs.Budgets:
    """The part of the budgets that the module watches itself."""
    return structs.Budgets(
        budgets.cpu or 0, budgets.one_cpu or 0, budgets.hit_time or 0, budgets.hit_rate or 0
    )


class ModuleControl:
    """One request at a time, and none once `close` has returned: the device may go then."""

    def __init__(self, device: Device, manifest: Manifest) -> None:
        self.budgets: structs.Budgets | None = None  # None: those that a dead agent has set
        self._device, self._manifest = device, manifest
        self._lock = asyncio.Lock()
        self._closed = False
        self._asked: Disarm | None = None  # the agent's own reason for a disarm
        self._seen = 0  # disarms that were reported
        self._cpu: list[int] = []

    async def arm(self, budgets: structs.Budgets) -> None:
        """Arm a disarmed module; in a running one, replace the budgets. ModuleError if that fails."""
        async with self._lock:
            if not self._closed and self._device.state in (State.RUNNING, State.DISARMED):
                if self._device.state is State.DISARMED:
                    self._cpu = []  # what it took before has had its consequence
                await _in_thread(lambda: self._device.arm(budgets))
                self.budgets = budgets

    async def disarm(self, why: Disarm) -> None:
        """Disarm a running module for a reason of the agent's own. ModuleError if that fails."""
        async with self._lock:
            if not self._closed and self._device.state is State.RUNNING:
                self._asked = why
                await _in_thread(self._device.disarm)

    async def close(self) -> None:
        """Wait for a request in progress; there will be no others."""
        async with self._lock:
            self._closed = True

    def disarmed(self) -> Disarm | None:
        """Why the module was disarmed, if that has not been reported."""
        if self._closed or self._device.state is not State.DISARMED:
            return None
        header = self._device.header()
        if header.disarms == self._seen:
            return None
        self._seen = header.disarms
        asked, self._asked = self._asked, None
        if header.breach not in _NAMES:
            return asked or Disarm(REQUEST)
        name = _NAMES[header.breach]
        return Disarm(
            name, self._probe(header.breach_probe), header.breach_value, header.breach_limit
        )

    def cpu_growth(self) -> list[int]:
        """ns that each probe has taken since the last call; the first call only begins."""
        width = self._device.sizes.probe_counts // 8
        count = width * len(self._manifest.probes)
        words = memoryview(self._device.sums(self._manifest.probe_counts, count)).cast("Q")
        before, self._cpu = self._cpu, words[_CPU_NS::width].tolist()
        return [now - then for now, then in zip(self._cpu, before, strict=False)]

    def probe(self, growth: list[int]) -> str:
        """The probe that has taken most."""
        return self._probe(growth.index(max(growth))) if growth else ""

    def _probe(self, number: int) -> str:
        probes = self._manifest.probes
        return probes[number].point if number < len(probes) else ""


async def _in_thread(action: Callable[[], None]) -> None:
    """Run a blocking request; its DeviceError becomes a ModuleError."""
    try:
        await asyncio.to_thread(action)
    except DeviceError as error:
        raise ModuleError(error.strerror or str(error)) from error
