# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch prepare RELEASE`: compile the scripts for a kernel that is to be booted next.

6.1.0-57: 3 of 4 scripts are compiled
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, UsageError, add_command, file_error
from agent.config.settings import MAIN_FILE, Settings
from compiler.kernel.release import RELEASE
from runtime.support.record import record

if TYPE_CHECKING:
    from agent.scripts.compile_client import Compiler
    from agent.scripts.prepared_kernels import PreparedKernels

USAGE_STATUS = 2
_ABOUT = """\
Compile all scripts that would run here under another kernel, and keep the modules in the cache.
After the reboot the agent loads them at once, and a script that does not compile is known before.
The packages' hooks start stapwatch-prepare@RELEASE.service for each kernel that is installed.
For a kernel that is not installed any more it removes what was prepared.

"outdated" in place of RELEASE stands for all kernels that were prepared with other scripts, or by
another compiler, than now. An agent that finds some at a reload has
stapwatch-prepare@outdated.service started.

exit status:
  0  every script is compiled, or the kernel is gone
  1  one is not: it has an error, or the kernel's headers are not installed
  2  the configuration or the command line is wrong
"""
_EXAMPLES = (
    ("before a reboot into that kernel", "stapwatch prepare 6.1.0-57"),
    ("the kernels whose scripts have changed", "stapwatch prepare outdated"),
    (
        "would a new configuration do, too?",
        "stapwatch prepare --config new/stapwatch.yaml 6.1.0-57",
    ),
)


@record
class PrepareOptions:
    """`config`: None for the default file."""

    release: str
    config: Path | None


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers, "prepare", "compile the scripts for the next kernel", _ABOUT, _EXAMPLES
    )
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument("release", metavar="RELEASE", help="as uname -r prints it there")
    return command


def parse(given: argparse.Namespace) -> PrepareOptions:
    """Raises UsageError."""
    if not RELEASE.fullmatch(given.release):
        raise UsageError(f"'{given.release}' is no release of a kernel; they are in /lib/modules")
    return PrepareOptions(given.release, given.config)


def run(options: PrepareOptions) -> int:
    """0: every script is compiled, or the kernel is gone; 1: one is not; 2: the configuration is wrong."""
    import asyncio

    from agent.config.load import ConfigError

    try:
        return asyncio.run(_run(options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(file_error(error), file=sys.stderr)
        return 1


async def _run(options: PrepareOptions) -> int:
    from agent.config import load
    from agent.daemon import next_kernel, privileges
    from agent.scripts.prepared_kernels import OUTDATED, PreparedKernels

    if options.release == OUTDATED:
        # before anything can fail: the unit is started as long as the file is there
        PreparedKernels(Path(os.environ.get("STATE_DIRECTORY") or Settings().state_folder)).take()
    settings = load.load(options.config)
    _, make_compiler = privileges.kernel()
    compiler, records = make_compiler(settings), PreparedKernels(settings.state_folder)
    releases = [options.release]
    if options.release == OUTDATED:
        records.take()
        version = await compiler.version(settings.cache_folder)
        releases = next_kernel.outdated(settings, version, records)
    return max([await _prepare(settings, each, compiler, records) for each in releases], default=0)


async def _prepare(
    settings: Settings, release: str, compiler: Compiler, records: PreparedKernels
) -> int:
    from agent.daemon import next_kernel
    from agent.scripts.prepared_kernels import State
    from compiler.kernel.kernel import is_installed

    if not is_installed(release):
        count = await next_kernel.forget(settings, release, compiler, records)
        print(f"{release} is not installed: {count} modules for it were removed")
        return 0
    kernel = await next_kernel.prepare(settings, release, compiler, records)
    for script, reason in kernel.failed.items():
        print(f"error: {script}: {reason}", file=sys.stderr)
    print(f"{release}: {len(kernel.identities)} of {kernel.scripts} scripts are compiled")
    return 0 if kernel.state is State.READY else 1
