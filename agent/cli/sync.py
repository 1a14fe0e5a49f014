# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch sync`: what stapwatch-sync.service runs. It fetches modules from the configuration's stores."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, add_command, file_error
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

if TYPE_CHECKING:
    from agent.config.settings import Settings

USAGE_STATUS = 2
_ABOUT = """\
Fetch the modules that this host's scripts need from the stores of the configuration
(`modules:`), for each kernel that is installed. stapwatch-sync.timer does it at the boot and
then every hour. Their signatures are verified here, and again by whoever loads them. What a store
cannot give leaves what was fetched before.

With --tell, nothing is fetched: the running agent is told to look again for scripts that it
could not compile.

exit status:
  0  all that the stores have for the running kernel is there
  1  a store gave nothing for the running kernel; the message says why
  2  the configuration is wrong, or root runs it by hand
  3  --tell: no agent answers
"""
_EXAMPLES = (
    ("now, and not in an hour", "systemctl start stapwatch-sync"),
    ("what stapwatch-sync.service runs", "stapwatch sync"),
    ("and when it has fetched", "stapwatch sync --tell"),
)


@record
class SyncOptions:
    """`config`: None for the default file. `folder`: None for that of the unit."""

    config: Path | None
    folder: Path | None
    tell: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers, "sync", "fetch modules from the configuration's stores", _ABOUT, _EXAMPLES
    )
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument("--folder", type=Path, metavar="FOLDER", help="where modules are put")
    command.add_argument("--tell", action="store_true", help="tell the running agent")
    return command


def parse(given: argparse.Namespace) -> SyncOptions:
    return SyncOptions(given.config, given.folder, given.tell)


def run(options: SyncOptions) -> int:
    """0 if all is there; 1 if a store has failed; 2 for a wrong configuration; 3 if no agent answers."""
    from agent.config import load

    if options.tell:
        return _tell(options.config)
    try:
        settings = load.load(options.config, insecure_files=True)  # it trusts nothing that it reads
    except load.ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE_STATUS
    if os.geteuid() == 0 and options.folder is None:
        # what root wrote there, the unit could not replace
        print("error: it has a user of its own: systemctl start stapwatch-sync", file=sys.stderr)
        return USAGE_STATUS
    if not settings.stores.all:
        print("no store is configured: modules: [https://...] in the configuration")
        return 0
    return _sync(settings, options.folder)


def _sync(settings: Settings, folder: Path | None) -> int:
    from agent.prebuilt.host_kernels import host_kernels
    from agent.prebuilt.syncing import note, state_folder, sync, text_of
    from agent.store.serials import Serials
    from agent.store.spool import FOLDER, Spool

    folder = folder or state_folder(FOLDER)
    kernels = host_kernels(settings, folder)
    try:
        results = sync(settings.stores, Spool(folder), Serials(folder), kernels, print)
        note(results, folder)
    except OSError as error:
        print(file_error(error, folder), file=sys.stderr)
        return 1
    for result in results:
        print(text_of(result), file=sys.stderr if result.problem else sys.stdout)
    # what there is not for another kernel may still be built
    running = os.uname().release
    return 1 if any(result.problem and result.release == running for result in results) else 0


def _tell(config: Path | None) -> int:
    import http.client

    from agent.cli import status_client

    address, connection = status_client.connect(None, config, 200.0)
    try:
        done, text = status_client.post(connection, "/look-again")
    except (OSError, http.client.HTTPException) as error:
        return status_client.not_done(address, error)
    finally:
        connection.close()
    print(text)
    return 0 if done else 1
