# SPDX-License-Identifier: GPL-2.0-or-later
"""How long scripts have run without losses or breaches, for those that wait for it.

clean.measure(["opens"])   -> {"opens": 120.5}; a script that does not run is left out

A script is looked at when it is asked for, not all the time. So a loss counts from the look that found it:
the time that is told is never too long.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping

from agent.daemon.losses import lost
from agent.scripts.script import Script, ScriptState
from runtime.reader.device import DeviceError
from runtime.support.record import record


@record
class _Look:
    """A module, and what it had lost and breached."""

    module: str
    lost: int
    disarms: int


class CleanRuns:
    def __init__(self, scripts: Mapping[str, Script], clock: Callable[[], float]) -> None:
        self._scripts, self._clock = scripts, clock
        self._since: dict[str, tuple[_Look, float]] = {}

    def measure(self, names: Iterable[str]) -> dict[str, float]:
        """Seconds by script."""
        found = {}
        for name in names:
            look = self._look(name)
            if look is None:
                self._since.pop(name, None)
                continue
            last = self._since.get(name)
            if last is None or last[0] != look:
                last = self._since[name] = look, self._clock()
            found[name] = self._clock() - last[1]
        return found

    def _look(self, name: str) -> _Look | None:
        script = self._scripts.get(name)
        if script is None or script.module is None or script.shown is not ScriptState.RUNNING:
            return None
        with contextlib.suppress(DeviceError):  # missed hits are then those of the last sync
            script.module.device.sync()
        disarms = sum(script.rearming.counts.values())
        return _Look(script.module.name, lost(script.module.snapshot()), disarms)
