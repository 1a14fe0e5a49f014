# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch status`: ask the running agent over its socket, or any agent over HTTP.

SCRIPT  STATE    HITS  ERRORS  LOST  MEMORY  WHY
vfs     running  4711       0     0   65536
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from agent.cli.command import Parser, Subparsers
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

USAGE_STATUS = 2
NO_AGENT = 3


@record
class StatusOptions:
    """`config`: None for the default file. `url`: None to use the configuration's socket."""

    config: Path | None
    url: str | None
    json: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = subparsers.add_parser("status", help="show the running agent's scripts")
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument("--url", help="ask this agent, as http://127.0.0.1:9436")
    command.add_argument("--json", action="store_true", help="print the whole status as JSON")
    return command


def parse(given: argparse.Namespace) -> StatusOptions:
    return StatusOptions(given.config, given.url, given.json)


def run(options: StatusOptions) -> int:
    """Print the agent's state. 0: all is well; 1: a script or the last reload failed; 3: no agent."""
    import http.client

    from agent.cli import status_client
    from agent.daemon import status_page

    try:
        address, connection = status_client.connect(options.url, options.config)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        tree = status_client.fetch(connection)
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"error: no agent answers at {address}: {error}", file=sys.stderr)
        print("hint: is it running? systemctl status stapwatch", file=sys.stderr)
        return NO_AGENT
    finally:
        connection.close()
    print(json.dumps(tree, indent=2) if options.json else status_page.table(tree))
    if failure := tree["reload"]["error"]:
        print(
            f"\nthe last reload failed, the configuration before it runs on:\n{failure}",
            file=sys.stderr,
        )
    bad = any(script["state"] in ("failed", "outdated") for script in tree["scripts"])
    return 1 if bad or failure else 0
