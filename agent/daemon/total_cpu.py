# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPU time of all scripts together, against the total's budget.

total.measure(modules, limit=100_000) -> Excess(module, Disarm("total.cpu", ...)), or None
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from time import monotonic

from agent.scripts.rearming import Disarm
from agent.scripts.script import LoadedModule
from runtime.abi.structs import MILLION, State
from runtime.reader.device import DeviceError
from runtime.support.record import record

_NS = 1_000_000_000


@record
class Excess:
    """All scripts together took too much, and this module most of it."""

    module: LoadedModule
    why: Disarm


class TotalCpu:
    """Compares what modules took between two calls. `clock`: seconds that no change of the date moves."""

    def __init__(
        self,
        clock: Callable[[], float] = monotonic,
        cpus: Callable[[], int] = lambda: os.sysconf("SC_NPROCESSORS_ONLN"),
    ) -> None:
        self._clock, self._cpus = clock, cpus
        self._before: float | None = None

    def measure(self, modules: Iterable[LoadedModule], limit: int) -> Excess | None:
        """`limit`: millionths of the time of all CPUs."""
        now, before = self._clock(), self._before
        self._before = now
        whole, most, costliest = 0, 0, None
        for module in modules:
            if module.state is not State.RUNNING:
                continue
            with contextlib.suppress(DeviceError):
                growth = module.control.cpu_growth()
                taken = sum(growth)
                whole += taken
                if taken > most:
                    most, costliest = taken, (module, module.control.probe(growth))
        if before is None or costliest is None or now <= before:
            return None
        share = round(whole * MILLION / ((now - before) * _NS * self._cpus()))
        if share <= limit:
            return None
        module, probe = costliest
        return Excess(module, Disarm("total.cpu", probe, share, limit))
