# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch run`: compile, load and run one script, as SystemTap's stap does."""

from __future__ import annotations

import argparse

from agent.cli.command import Parser, Subparsers
from agent.session import options as run_options
from agent.session.options import RunOptions

USAGE_STATUS = 1  # stap's


def add_parser(subparsers: Subparsers) -> Parser:
    command = subparsers.add_parser(
        "run", help="compile, load and run one script, as stap does", allow_abbrev=False
    )
    command.complete = run_options.complete
    run_options.add_arguments(command)
    return command


def parse(given: argparse.Namespace) -> RunOptions:
    """Raises UsageError."""
    return run_options.parse(given)


def run(options: RunOptions) -> int:
    """Run the script to its end."""
    import asyncio

    from agent.session.session import Session

    async def work() -> int:
        return await Session(options).run()

    return asyncio.run(work())
