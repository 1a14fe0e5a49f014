# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch unload`: stop and unload the modules that an agent has left loaded.

2 scripts were stopped: tcp, vfs
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.cli.command import Parser, Subparsers, add_command
from agent.config.settings import MAIN_FILE, Settings
from runtime.support.record import record

USAGE_STATUS = 2
_ABOUT = """\
An agent that crashes or restarts leaves its modules loaded: they go on counting, and the
next agent serves them. This command ends them if no agent is to follow. `systemctl stop
stapwatch` does it by itself.

exit status:
  0  no module is left that no process reads
  1  one could not be unloaded; does an agent read it?
"""
_EXAMPLES = (("the agent was killed, and is not to come back", "stapwatch unload"),)


@record
class UnloadOptions:
    """`config`: None for the default file, which says how lines are logged."""

    config: Path | None


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "unload",
        "stop the scripts that an agent has left running",
        _ABOUT,
        _EXAMPLES,
    )
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    return command


def parse(given: argparse.Namespace) -> UnloadOptions:
    return UnloadOptions(given.config)


def run(options: UnloadOptions) -> int:
    """0: no module is left that no process reads; 1: one could not be unloaded."""
    import asyncio

    from agent import log_sinks
    from agent.config import load
    from agent.daemon import orphaned_modules
    from agent.scripts.kernel_modules import Keeper, Modules

    try:
        settings = load.load(options.config)
    except load.ConfigError:
        settings = Settings()  # it may be wrong, or removed: modules are unloaded all the same
    log_sinks.configure(settings.log)
    modules = Modules(keeper=Keeper.AGENT)
    stopped = asyncio.run(orphaned_modules.unload(settings, modules))
    log_sinks.close()
    left = [name for name in modules.names() if modules.keeper(name) is Keeper.AGENT]
    if stopped:
        print(f"{len(stopped)} scripts were stopped: {', '.join(stopped)}")
    elif not left:
        print("none is left")
    for name in left:
        print(f"error: module {name} is loaded; does an agent read it?", file=sys.stderr)
    return 1 if left else 0
