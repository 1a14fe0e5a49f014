# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line.

    stapwatch agent --config /etc/stapwatch/stapwatch.yaml
    stapwatch run -v script.stp arg1 arg2
    stapwatch check *.stp
    stapwatch status

Each command imports what it needs when it runs: the agent stays small, and `--help` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.settings import MAIN_FILE
from compiler.version import VERSION

_STATUS = """exit status:
  0  all went well
  1  a script is wrong, or something could not be done
  2  the command line or the configuration is wrong
  3  status: no agent answers
  130  ended by Ctrl-C before the script ran
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit status."""
    options = parser().parse_args(argv)
    try:
        match options.command:
            case "agent":
                return _agent(options)
            case "run":
                return _run(options)
            case "check":
                from agent.check import check

                return check(options)
            case _:
                from agent.status import status

                return status(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away: nothing is left to say, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="stapwatch",
        description="Probe scripts in the SystemTap language as Prometheus series and logs.",
        epilog=_STATUS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("-V", "--version", action="version", version=f"stapwatch {VERSION}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    agent = commands.add_parser("agent", help="run the service")
    agent.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    agent.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="serve here and not where the configuration says; may be repeated",
    )
    agent.add_argument(
        "--check", action="store_true", help="check the configuration, and do nothing else"
    )

    run = commands.add_parser("run", help="compile, load and run one script, as stap does")
    run.add_argument("-e", metavar="SCRIPT", dest="text", help="the script's text itself")
    run.add_argument(
        "-v", action="count", default=0, dest="verbose", help="say more; may be repeated"
    )
    run.add_argument("-c", metavar="CMD", dest="shell", help="run CMD, and end when it ends")
    run.add_argument("-x", metavar="PID", type=int, default=0, dest="target", help="target()")
    run.add_argument("-o", metavar="FILE", type=Path, dest="output", help="write output to FILE")
    run.add_argument("-k", action="store_true", dest="keep", help="keep the temporary folder")
    run.add_argument("-w", action="store_true", dest="quiet", help="no warnings")
    _add_compile_options(run, 5)
    run.add_argument(
        "rest", nargs=argparse.REMAINDER, metavar="FILE [ARG...]", help="script, and its arguments"
    )

    check = commands.add_parser("check", help="compile without loading; one message per mistake")
    _add_compile_options(check, 4)
    check.add_argument("files", nargs="+", type=Path, metavar="FILE")

    status = commands.add_parser("status", help="show the running agent's scripts")
    status.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    status.add_argument("--url", help="ask this agent, as http://127.0.0.1:9436")
    status.add_argument("--json", action="store_true", help="all that is known, as JSON")
    return top


def _add_compile_options(command: argparse.ArgumentParser, last: int) -> None:
    command.add_argument(
        "-p",
        metavar="N",
        type=int,
        default=last,
        choices=range(1, last + 1),
        dest="last_pass",
        help=f"end after pass N (1 to {last})",
    )
    command.add_argument("-m", metavar="NAME", dest="module", help="the module's name")
    command.add_argument(
        "-D", metavar="NAME=VALUE", action="append", default=[], dest="defines", help="set a limit"
    )
    command.add_argument(
        "-G",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="globals",
        help="a global's initial value",
    )
    command.add_argument(
        "-I", metavar="FOLDER", action="append", default=[], dest="library", help="library scripts"
    )
    command.add_argument("-g", action="store_true", dest="guru", help="guru mode: embedded C")


def _agent(options: argparse.Namespace) -> int:
    import asyncio

    from agent import config

    try:
        addresses = tuple(map(config.parse_address, options.listen))
    except ValueError as error:
        print(f"error: --listen: {error}", file=sys.stderr)
        return 2
    if options.check:
        try:
            settings = config.load(options.config)
        except config.ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        for warning in settings.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"the configuration is good: {len(settings.scripts)} scripts")
        return 0

    from agent.service import Service

    async def serve() -> int:
        return await Service(options.config, addresses).run()

    return asyncio.run(serve())


def _run(options: argparse.Namespace) -> int:
    import asyncio

    from agent.session import Session

    rest = options.rest[1:] if options.rest[:1] == ["--"] else options.rest
    if options.text is None and not rest:
        print("error: no script: give a file, or its text with -e", file=sys.stderr)
        return 2
    file = None if options.text is not None else rest[0]
    arguments = rest if options.text is not None else rest[1:]
    return asyncio.run(Session(options, file, arguments).run())
