# SPDX-License-Identifier: GPL-2.0-or-later
"""How often scripts are hit, and which share of the machine they take, measured while somebody waits for it.

    found = await measure(scripts, seconds=1.0)
    found["vfs"].hits_per_second    -> [4711.0, 0.0], one for each probe

Two readings of the modules' own counters are compared. So nothing is measured while nobody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

from agent.scripts.script import LoadedModule, Script
from runtime.reader.device import DeviceError
from runtime.reader.snapshot import hits_and_cpu
from runtime.support.record import record

MOST_SECONDS = 60.0  # that one request may take


@record
class Rates:
    """By probe. `cpu_share`: of the time of all CPUs that are online, from 0 to 1."""

    hits_per_second: list[float]
    cpu_share: list[float]


@record
class _Reading:
    module: LoadedModule
    at: float
    counts: list[tuple[int, int]]


async def measure(
    scripts: Mapping[str, Script],
    seconds: float,
    wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> dict[str, Rates]:
    """By script, without those whose module is another one at the end, or cannot be read."""
    before = await _read(scripts)
    await wait(seconds)
    after = await _read(scripts)
    cpus = os.sysconf("SC_NPROCESSORS_ONLN")
    return {
        name: _rates(before[name], now, cpus)
        for name, now in after.items()
        if name in before and before[name].module is now.module
    }


async def _read(scripts: Mapping[str, Script]) -> dict[str, _Reading]:
    """Other tasks run in between."""
    found = {}
    for name in list(scripts):
        script = scripts.get(name)
        if script is not None and (module := script.module) is not None:
            with contextlib.suppress(DeviceError):
                found[name] = _Reading(module, monotonic(), hits_and_cpu(module.device))
            await asyncio.sleep(0)
    return found


def _rates(before: _Reading, now: _Reading, cpus: int) -> Rates:
    seconds = now.at - before.at
    grown = [
        (hits - was_hits, ns - was_ns)
        for (hits, ns), (was_hits, was_ns) in zip(now.counts, before.counts, strict=True)
    ]
    return Rates(
        [hits / seconds for hits, _ in grown], [ns / (seconds * 1e9 * cpus) for _, ns in grown]
    )
