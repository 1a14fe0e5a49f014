# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch run`: compile, load and run one script, as SystemTap's stap does."""

from __future__ import annotations

import argparse

from agent.cli.command import Parser, Subparsers, add_command
from agent.session import options as run_options
from agent.session.command_words import arranged
from agent.session.options import RunOptions

USAGE_STATUS = 1  # stap's
_ABOUT = """\
Compile a script, load it, print what it prints, and unload it when it ends. The options have
stap's names, and may stand behind the script: what follows '--' are the script and its
arguments. At the end the globals that no handler reads are shown.

exit status:
  0  success
  1  the script or the command line is wrong, or it could not be done
  130  ended by Ctrl-C before the script ran
"""
_EXAMPLES = (
    ("hello", "stapwatch run -v -e 'probe begin { log(\"hello systemtap!\") exit() }'"),
    ("a script with an argument, for ten seconds", "stapwatch run -T 10 script.stp 4096"),
    ("what a command does", "stapwatch run -c 'ls /tmp' script.stp"),
    ("which functions can be probed", "stapwatch run -l 'kernel.function(\"vfs_*\")'"),
)


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "run",
        "compile, load and run one script, as stap does",
        _ABOUT,
        _EXAMPLES,
        allow_abbrev=False,
    )
    command.complete = lambda words: arranged(words, command)
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
