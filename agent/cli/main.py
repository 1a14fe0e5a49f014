# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line.

    stapwatch agent --config /etc/stapwatch/stapwatch.yaml
    stapwatch run -v script.stp arg1 arg2
    stapwatch check *.stp
    stapwatch status

To add a subcommand, write its module (see command.py) and add it to `COMMANDS`. The modules import
what they need when they run: the agent stays small, and `--help` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from agent.cli import agent, check, run, status
from agent.cli.command import Command, Parser, UsageError
from agent.session.options import complete
from compiler.version import VERSION

COMMANDS: Mapping[str, Command] = {"agent": agent, "run": run, "check": check, "status": status}

_STATUS = """exit status:
  0  success
  1  a script is wrong, or something could not be done
  2  the command line or the configuration is wrong; for run, 1, as with stap
  3  status: no agent answers
  130  ended by Ctrl-C before the script ran
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the result is the exit status."""
    try:
        command, options = parse(sys.argv[1:] if argv is None else argv)
        return command.run(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output is gone: write nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parse(argv: Sequence[str]) -> tuple[Command, Any]:
    """The subcommand and its options. A wrong command line is reported, and raises SystemExit."""
    words = complete(argv)
    top = parser()
    if words and words[0] in COMMANDS:
        top.usage_status = COMMANDS[words[0]].USAGE_STATUS  # it reports words that no parser knows
    given = top.parse_args(words)
    command = COMMANDS[given.command]
    try:
        return command, command.parse(given)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(command.USAGE_STATUS) from None


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser(
        prog="stapwatch",
        description="Probe scripts in the SystemTap language as Prometheus series and logs.",
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("-V", "--version", action="version", version=f"stapwatch {VERSION}")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS.values():
        command.add_parser(subparsers).usage_status = command.USAGE_STATUS
    return top
