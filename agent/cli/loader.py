# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch loader`: what stapwatch-loader.service runs. It loads modules for the agent, which may not."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, add_command
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

if TYPE_CHECKING:
    from agent.store.stored_modules import StoredModules

USAGE_STATUS = 2
_STATE = Path("/var/lib/stapwatch-loader")
_IDLE = 15.0  # seconds without a call after which the loader ends
_FIRST = 3  # SD_LISTEN_FDS_START
_ABOUT = """\
Load, start and unload modules for an agent that may not, as its configuration asks for. systemd
starts it on the first call (stapwatch-loader.socket), and it ends when nobody has called for 15 s.

exit status:
  0  nobody has called for a while
  2  the command line is wrong, or systemd has not started it
"""
_EXAMPLES = (
    ("what stapwatch-loader.service runs", "stapwatch loader"),
    (
        "for an agent with another configuration",
        "stapwatch loader --config /etc/other/stapwatch.yaml",
    ),
)


@record
class LoaderOptions:
    """`config`: None for the default file. Scripts that it does not ask for are not compiled."""

    config: Path | None


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "loader",
        "load modules for the agent (stapwatch-loader.service)",
        _ABOUT,
        _EXAMPLES,
    )
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    return command


def parse(given: argparse.Namespace) -> LoaderOptions:
    return LoaderOptions(given.config)


def run(options: LoaderOptions) -> int:
    """0 when nobody has asked for some seconds; 2 if systemd has not started it."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        print("error: systemd starts it: systemctl start stapwatch-loader.socket", file=sys.stderr)
        return USAGE_STATUS
    from agent.loader.operations import Operations
    from agent.loader.server import serve
    from agent.scripts.kernel_modules import Keeper, Modules
    from agent.signing.signer import Signer

    folder = Path(os.environ["RUNTIME_DIRECTORY"].partition(":")[0]) / "modules"
    modules = Modules(keeper=Keeper.AGENT, signer=Signer(options.config))
    state = Path(os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or _STATE)
    operations = Operations(modules, folder, options.config, _stored(state))
    serve(socket.socket(fileno=_FIRST), operations, _IDLE, _sigterm())
    return 0


def _sigterm() -> int:
    """A descriptor that SIGTERM makes readable; it does not end the process any more."""
    heard, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGTERM, lambda *_: None)
    return heard


def _stored(state: Path) -> StoredModules:
    """Modules of stores; what is refused is told in the journal."""
    from agent.store.serials import Serials
    from agent.store.spool import Spool
    from agent.store.stored_modules import StoredModules

    return StoredModules(Spool(), Serials(state), lambda text: print(text, file=sys.stderr))
