# SPDX-License-Identifier: GPL-2.0-or-later
"""Unloads the modules that an agent has left loaded and that no agent will adopt.

await unload(settings, Modules(keeper=Keeper.AGENT))  -> ["vfs", "tcp"]   the scripts whose modules are gone

It does what the agent's own stop does: end probes run, their lines and those that wait in the rings are
logged, and the boot guard learns that the scripts were stopped in order.
"""

from __future__ import annotations

from agent.config.settings import ScriptSettings, Settings
from agent.config.yaml_tree import Position
from agent.daemon.supervisor import Supervisor
from agent.scripts.compile_client import Compiler
from agent.scripts.kernel_modules import Modules
from runtime.support.record import replace


async def unload(settings: Settings, modules: Modules) -> list[str]:
    """`settings`: how lines are logged. Modules that another process reads stay."""
    supervisor = Supervisor(modules, lambda found: Compiler(found.compile))
    await supervisor.loading.find_orphans()
    scripts = dict(settings.scripts)
    for name in (
        supervisor.loading.orphaned_scripts
    ):  # of which the configuration may know nothing any more
        known = scripts.get(name) or ScriptSettings(name, Position("", 0, 0), text="")
        scripts[name] = replace(known, enabled=True)
    await supervisor.adopt(replace(settings, scripts=scripts))
    stopped = [name for name, s in supervisor.scripts.items() if s.module is not None]
    await supervisor.stop()
    return stopped
