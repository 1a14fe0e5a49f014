# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch reload`: have the running agent read its configuration again, and report the result.

script tcp does not compile: /etc/stapwatch/probes.d/tcp.stp:3:1: expected ')' or ',', found '}'
not all is in force: 1 problem; in force: vfs; unchanged: 7; not in force: tcp
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from agent.cli.command import Parser, Subparsers, add_command
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

USAGE_STATUS = 2
_ABOUT = """\
Have the running agent read its configuration and scripts again. The command returns when
all that changed is in force or refused, and says what is not, in the words of the log.
Scripts that are unchanged run on; a changed one is replaced without a gap.

exit status:
  0  all is in force
  1  something is not: what was there before runs on
  3  no agent answers
"""
_EXAMPLES = (
    ("look first at what would happen", "stapwatch plan"),
    ("after a change that has been checked", "stapwatch agent --check && stapwatch reload"),
    ("a new release's compiler for all scripts", "stapwatch reload --recompile"),
)


@record
class ReloadOptions:
    """`config`: None for the default file, which names the agent's socket. `pid`: the agent's.

    `recompile`: replace the modules of unchanged scripts as well.
    """

    config: Path | None
    pid: int | None
    recompile: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "reload",
        "put the running agent's changed configuration and scripts in force",
        _ABOUT,
        _EXAMPLES,
    )
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument(
        "--recompile",
        action="store_true",
        help="compile all scripts anew, also those that are unchanged; their counts start from 0",
    )
    return command


def parse(given: argparse.Namespace) -> ReloadOptions:
    pid = os.environ.get("MAINPID", "")  # systemd sets it for ExecReload=
    return ReloadOptions(given.config, int(pid) if pid.isdecimal() else None, given.recompile)


def run(options: ReloadOptions) -> int:
    """0: all is in force; 1: something is not; 3: no agent answers."""
    import http.client

    from agent.cli import status_client
    from agent.log_sinks import under_journald

    address, connection = status_client.connect_local(options.config, options.pid)
    try:
        done, text = status_client.post(
            connection, "/reload?recompile=1" if options.recompile else "/reload"
        )
    except (OSError, http.client.HTTPException) as error:
        return status_client.not_done(address, error)
    finally:
        connection.close()
    if not under_journald(
        1 if done else 2
    ):  # for ExecReload=: there the agent has logged it already
        print(text, file=sys.stdout if done else sys.stderr)
    return 0 if done else 1
