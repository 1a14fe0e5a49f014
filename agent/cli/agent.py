# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch agent`: run the service, or only check its configuration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.cli.command import Parser, Subparsers, UsageError
from agent.config.settings import MAIN_FILE, Address
from runtime.support.record import record

USAGE_STATUS = 2


@record
class AgentOptions:
    """`config`: None for the default file. `listen`: empty for the configuration's addresses."""

    config: Path | None
    listen: tuple[Address, ...]
    check: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = subparsers.add_parser("agent", help="run the service")
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument(
        "--listen",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="serve this address instead of the configuration's; may be repeated",
    )
    command.add_argument(
        "--check", action="store_true", help="check the configuration, and do nothing else"
    )
    return command


def parse(given: argparse.Namespace) -> AgentOptions:
    """Raises UsageError."""
    _save_memory()
    from agent.config import load

    try:
        listen = tuple(map(load.parse_address, given.listen))
    except ValueError as error:
        raise UsageError(f"--listen: {error}") from None
    return AgentOptions(given.config, listen, given.check)


def run(options: AgentOptions) -> int:
    """Serve until a signal. The exit status is 2 for a wrong configuration."""
    if options.check:
        return _check(options.config)
    import asyncio

    from agent.daemon.service import Service

    async def serve() -> int:
        return await Service(options.config, options.listen).run()

    return asyncio.run(serve())


def _check(config: Path | None) -> int:
    from agent.config import load

    try:
        settings = load.load(config)
    except load.ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"the configuration is good: {len(settings.scripts)} scripts")
    return 0


def _save_memory() -> None:
    """Reduce the memory footprint. Runs before other imports, whose memory is never returned."""
    from runtime.support.footprint import avoid_huge_pages, leave_out_openssl

    avoid_huge_pages()
    leave_out_openssl()
