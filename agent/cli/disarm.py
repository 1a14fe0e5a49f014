# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch disarm SCRIPT...`: take scripts' probes out of the kernel, and keep serving their values.

script vfs is disarmed, until: stapwatch arm vfs
"""

from __future__ import annotations

from functools import partial

from agent.cli import script_request
from agent.cli.command import Parser, Subparsers, add_command

USAGE_STATUS = 2
_ABOUT = f"""\
Take all probes of scripts out of the kernel at once. Their values stay and are served,
and what happens meanwhile is not counted. They stay disarmed until `stapwatch arm`:
over reloads, changes of their text, restarts of the agent and of the machine. Scripts
in the state disarmed_by_operator are no failure: a reload succeeds with them.

{script_request.EXIT_STATUS}"""
_EXAMPLES = (
    ("is it this script that makes the machine slow?", "stapwatch disarm vfs"),
    ("it was not", "stapwatch arm vfs"),
)


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "disarm",
        "take scripts' probes out of the kernel, until they are armed again",
        _ABOUT,
        _EXAMPLES,
    )
    return script_request.add_arguments(command)


parse = script_request.parse
run = partial(script_request.ask, "disarm")
