# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch arm SCRIPT...`: arm scripts that are disarmed, paused or in quarantine.

script vfs is armed
"""

from __future__ import annotations

from functools import partial

from agent.cli import script_request
from agent.cli.command import Parser, Subparsers, add_command

USAGE_STATUS = 2
_ABOUT = f"""\
Put the probes of scripts into the kernel again that are disarmed, by a budget or by the
operator, paused by the configuration, or in quarantine. Their values go on. The pauses
after further breaches start over, and the agent remembers that you have armed them.

{script_request.EXIT_STATUS}"""
_EXAMPLES = (
    ("its budget was breached by a storm that is over", "stapwatch arm vfs"),
    ("all that you had disarmed", "stapwatch arm vfs opens tcp"),
)


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "arm",
        "arm scripts of the running agent that are disarmed, paused or in quarantine",
        _ABOUT,
        _EXAMPLES,
    )
    return script_request.add_arguments(command)


parse = script_request.parse
run = partial(script_request.ask, "arm")
