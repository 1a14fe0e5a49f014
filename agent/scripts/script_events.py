# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent as the owner of its modules: their events go to their script's log.

owner = ScriptEvents(scripts, on_exit, on_state)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent import log_sinks
from agent.scripts.script import LoadedModule, Owner, Script
from agent.scripts.script_log import ScriptLog
from runtime.abi.structs import EventKind
from runtime.events.decode import Event


class ScriptEvents(Owner):
    """`scripts`: those of the agent by name, as of now. `on_state`: called when a script's module has a new
    state."""

    def __init__(
        self,
        scripts: Mapping[str, Script],
        on_exit: Callable[[LoadedModule], None],
        on_state: Callable[[Script], None],
    ) -> None:
        self._scripts = scripts
        self._on_exit = on_exit
        self._on_state = on_state

    def on_event(self, module: LoadedModule, event: Event) -> None:
        log = self._log(module)
        if log is not None:
            log.add(event, module.manifest, module.device.header().time_offset)
        if event.kind is EventKind.STATE and (script := self.script(module)) is not None:
            self._on_state(script)

    def on_exit(self, module: LoadedModule) -> None:
        self._on_exit(module)

    def written(self, module: LoadedModule, done: Callable[[], None]) -> bool:
        return log_sinks.written(done)

    def oldest(self, module: LoadedModule) -> int | None:
        log = self._log(module)
        return log.oldest if log is not None else None

    def cut(self, module: LoadedModule, before: int) -> None:
        log = self._log(module)
        if log is not None:
            log.cut(before)

    def script(self, module: LoadedModule) -> Script | None:
        """The script whose current module this is."""
        return next((s for s in self._scripts.values() if s.module is module), None)

    def _log(self, module: LoadedModule) -> ScriptLog | None:
        """By name: a module that has been replaced, or is not adopted yet, logs as well."""
        script = self._scripts.get(module.manifest.name)
        return script.log if script is not None else None
