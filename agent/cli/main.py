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
from typing import NoReturn

from agent.config.settings import MAIN_FILE
from agent.session import options as run_options
from compiler.version import VERSION

_STATUS = """exit status:
  0  all went well
  1  a script is wrong, or something could not be done
  2  the command line or the configuration is wrong; of run, 1, as with stap
  3  status: no agent answers
  130  ended by Ctrl-C before the script ran
"""
_RUN_STATUS = 1  # of a wrong command line of `run`, as stap's


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit status."""
    words = run_options.complete(sys.argv[1:] if argv is None else argv)
    top = parser()
    if words[:1] == ["run"]:
        top.status = _RUN_STATUS  # it is the one to find words that no command knows
    options = top.parse_args(words)
    try:
        match options.command:
            case "agent":
                return _agent(options)
            case "run":
                return _run(options)
            case "check":
                from agent.cli.check import check

                wrong = run_options.shared_mistake(options)
                return check(options) if wrong is None else _wrong(wrong, 2)
            case _:
                from agent.cli.status import status

                return status(options)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away: nothing is left to say, also not at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, and where the options are listed."""

    status = 2  # of a command line that is wrong

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}\nhint: '{self.prog} --help' lists the options", file=sys.stderr)
        raise SystemExit(self.status)


def parser() -> _Parser:
    top = _Parser(
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

    run = commands.add_parser(
        "run", help="compile, load and run one script, as stap does", allow_abbrev=False
    )
    run.status = _RUN_STATUS
    run_options.add(run)
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
    from runtime.support.footprint import avoid_huge_pages, leave_out_openssl

    avoid_huge_pages()  # first of all: what is imported stays
    leave_out_openssl()

    import asyncio

    from agent.config import load

    try:
        addresses = tuple(map(load.parse_address, options.listen))
    except ValueError as error:
        print(f"error: --listen: {error}", file=sys.stderr)
        return 2
    if options.check:
        try:
            settings = load.load(options.config)
        except load.ConfigError as error:
            print(error, file=sys.stderr)
            return 2
        for warning in settings.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        print(f"the configuration is good: {len(settings.scripts)} scripts")
        return 0

    from agent.daemon.service import Service

    async def serve() -> int:
        return await Service(options.config, addresses).run()

    return asyncio.run(serve())


def _run(options: argparse.Namespace) -> int:
    import asyncio

    from agent.session.session import Session

    rest = options.rest[1:] if options.rest[:1] == ["--"] else options.rest
    wrong = run_options.mistake(options)
    if wrong is not None:
        return _wrong(wrong, _RUN_STATUS)
    pattern = options.points or options.variables
    if run_options.listing(options) is not None:
        options.text = f"probe {pattern or 'begin'} {{}}"
    elif options.attach is not None:
        options.text = ""
    if options.text is None and not rest:
        return _wrong("no script: give a file, or its text with -e", _RUN_STATUS)
    file = None if options.text is not None else rest[0]
    arguments = rest if options.text is not None else rest[1:]
    return asyncio.run(Session(options, file, arguments).run())


def _wrong(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status
