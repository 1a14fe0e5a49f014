# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch status [SCRIPT]`: ask the running agent over its socket, or any agent over HTTP.

The text is for people (status_table.py, status_script.py); --json has the same for programs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from agent.cli.command import Parser, Subparsers, UsageError, add_command
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

USAGE_STATUS = 2
_NARROW = 60  # columns
_ABOUT = """\
Show what the running agent's scripts do: their state and since when, hits a second, the
cost of a hit, their share of all CPUs' time, series, kernel memory, and what was lost.
Scripts that do not run as they should come first. With SCRIPT, show that one in full:
its metrics, its hooks and why some are not attached, losses and errors.

Rates are measured for a second while the command waits; --seconds 0 answers at once,
without them. The cost of a hit is the mean since the module was started, what the hook
takes included. docs/status.md explains the names of --json, which stay as they are.

exit status:
  0  every script runs as it should
  1  one does not, or the last reload failed
  2  the command line or the URL is wrong
  3  no agent answers
"""
_EXAMPLES = (
    ("what runs here, and what is wrong", "stapwatch status"),
    ("one script in full, with the rates of ten seconds", "stapwatch status vfs --seconds 10"),
    ("for programs", "stapwatch status --json"),
    ("another host's agent", "stapwatch status --url http://127.0.0.1:9436"),
)


@record
class StatusOptions:
    """`config`: None for the default file. `url`: None to use the configuration's socket. `script`: "" for
    all. `seconds`: for which rates are measured; 0: they are not."""

    config: Path | None
    url: str | None
    json: bool
    script: str = ""
    seconds: float = 1.0


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers, "status", "show the running agent's scripts", _ABOUT, _EXAMPLES
    )
    command.add_argument("script", nargs="?", default="", metavar="SCRIPT", help="only this one")
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument(
        "--url", help="ask this agent, as http://127.0.0.1:9436 or https://USER:PASSWORD@HOST:9436"
    )
    command.add_argument("--json", action="store_true", help="print the whole status as JSON")
    command.add_argument(
        "--seconds",
        type=float,
        default=1.0,
        metavar="N",
        help="measure rates for so long; default: 1",
    )
    return command


def parse(given: argparse.Namespace) -> StatusOptions:
    """Raises UsageError."""
    if not 0 <= given.seconds <= 60:
        raise UsageError("--seconds is a number from 0 to 60")
    return StatusOptions(given.config, given.url, given.json, given.script, given.seconds)


def run(options: StatusOptions) -> int:
    """Print the agent's state. 0: all is well; 1: a script does not run as it should, or the last
    reload failed; 3: no agent."""
    import http.client

    from agent.cli import status_client

    try:
        address, connection = status_client.connect(
            options.url, options.config, status_client.TIMEOUT + options.seconds
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        tree = status_client.fetch(connection, options.script, options.seconds)
    except LookupError as error:
        print(f"error: {error.args[0]}", file=sys.stderr)
        return 1
    except (OSError, ValueError, http.client.HTTPException) as error:
        return status_client.no_agent(address, error)
    finally:
        connection.close()
    return _show(tree, options)


def _show(tree: dict[str, Any], options: StatusOptions) -> int:
    from agent.cli import status_script, status_table

    now = time.time()
    if options.json:
        print(json.dumps(tree, indent=2))
    elif options.script:
        print(status_script.text(tree, options.script, now, _width()))
    else:
        print(status_table.table(tree, now, _width()))
    if failure := tree["reload"]["error"]:
        print(
            f"\nnot all of the configuration is in force:\n{failure}",
            file=sys.stderr,
        )
    if problem := tree.get("state_folder"):
        print(f"\nno crash is remembered: {problem}", file=sys.stderr)
    bad = any(script["state"] in status_table.BAD for script in tree["scripts"])
    return 1 if bad or failure else 0


def _width() -> int | None:
    """Where sentences are broken in a terminal; a pipe gets each on one line."""
    return max(_NARROW, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None
