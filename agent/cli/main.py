# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line.

    stapwatch agent --config /etc/stapwatch/stapwatch.yaml
    stapwatch run -v script.stp arg1 arg2
    stapwatch check *.stp
    stapwatch fmt *.stp
    stapwatch status
    stapwatch status SCRIPT
    stapwatch explain script.stp
    stapwatch install script.stp
    stapwatch dashboards -o FOLDER
    stapwatch arm SCRIPT
    stapwatch disarm SCRIPT
    stapwatch unload
    stapwatch reload
    stapwatch plan
    stapwatch prepare RELEASE
    stapwatch build -o STORE
    stapwatch key status
    stapwatch sync

To add a subcommand, write its module (see command.py) and add its name to `COMMANDS`. Only the module
of the given subcommand is imported, and it imports what it needs when it runs: the agent stays small.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from agent.cli.command import Command, Parser, UsageError
from compiler.version import VERSION

COMMANDS = (
    "agent",
    "run",
    "check",
    "fmt",
    "explain",
    "install",
    "dashboards",
    "status",
    "arm",
    "disarm",
    "unload",
    "reload",
    "plan",
    "prepare",
    "build",
    "key",
    "sync",
    "loader",
    "compiler",
)  # each is a module of this package

_STATUS = """exit status:
  0  success
  1  a script is wrong, or something could not be done
  2  the command line or the configuration is wrong; for run, 1, as with stap
  3  status, arm, disarm, reload: no agent answers
  130  ended by Ctrl-C before the script ran
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; the result is the exit status. A link `stap` to the program is `stapwatch run`."""
    if argv is None and Path(sys.argv[0]).name == "stap":
        sys.argv.insert(1, "run")
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
    given = parser(argv).parse_args(argv)
    command = _module(given.command)
    try:
        return command, command.parse(given)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(command.USAGE_STATUS) from None


def parser(argv: Sequence[str] = ()) -> Parser:
    """The parser for a command line; without a subcommand in front, that of all subcommands."""
    names = [name for name in COMMANDS if name in argv[:1]]
    top = Parser(
        prog="stapwatch",
        description="Probe scripts in the SystemTap language as Prometheus series and logs.",
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("-V", "--version", action="version", version=f"stapwatch {VERSION}")
    subparsers = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names or COMMANDS:
        command = _module(name)
        command.add_parser(subparsers).usage_status = command.USAGE_STATUS
        if names:
            top.usage_status = (
                command.USAGE_STATUS
            )  # it reports words that the subparser leaves over
    return top


def _module(name: str) -> Command:
    return cast(Command, import_module(f"agent.cli.{name}"))
