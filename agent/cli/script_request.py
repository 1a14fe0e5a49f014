# SPDX-License-Identifier: GPL-2.0-or-later
"""The part that `arm` and `disarm` share: ask the running agent to do one thing with each script.

ask("disarm", ScriptOptions(None, ("vfs",)))   prints "script vfs is disarmed, until: stapwatch arm vfs"
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.cli.command import Parser
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

_PATIENCE = 200.0  # seconds: a script that is not loaded may have to be compiled
EXIT_STATUS = """\
exit status:
  0  all of them are
  1  one is not; the message says why
  2  the command line is wrong
  3  no agent answers
"""


@record
class ScriptOptions:
    """`config`: None for the default file, which names the agent's socket."""

    config: Path | None
    scripts: tuple[str, ...]


def add_arguments(command: Parser) -> Parser:
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument(
        "scripts", nargs="+", metavar="SCRIPT", help="a name from stapwatch status"
    )
    return command


def parse(given: argparse.Namespace) -> ScriptOptions:
    return ScriptOptions(given.config, tuple(given.scripts))


def ask(verb: str, options: ScriptOptions) -> int:
    """The exit status."""
    import http.client
    from urllib.parse import urlencode

    from agent.cli import status_client

    address, connection = status_client.connect(None, options.config, _PATIENCE)
    status = 0
    try:
        for script in options.scripts:
            target = f"/{verb}?{urlencode({'script': script})}"
            done, text = status_client.post(connection, target)
            print(text if done else f"error: {text}", file=sys.stdout if done else sys.stderr)
            status = status if done else 1
    except (OSError, http.client.HTTPException) as error:
        return status_client.not_done(address, error)
    finally:
        connection.close()
    return status
