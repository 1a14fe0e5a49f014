# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch install SCRIPT`: make a script that was run by hand one of the service's.

stapwatch install calls.stp  ->  installed /etc/stapwatch/probes.d/calls.stp
                                 series: stapwatch_calls_calls (counter) by execname
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, add_command, file_error
from agent.config.settings import MAIN_FILE
from runtime.support.record import record

if TYPE_CHECKING:
    from agent.config.settings import Settings
    from agent.session.installation import Installation

USAGE_STATUS = 2
_ABOUT = """\
Make a script that was run by hand one of the service's. It is compiled as the service
would compile it, copied into the first of the configuration's script_folders, and a file of
conf.d names what it exports, with types, help and labels, to be changed there. Then the
running agent reloads. What was done is said, and how it is undone. If anything is wrong,
nothing changes.

exit status:
  0  the script is installed and, if an agent runs, in force
  1  it is not: it does not compile, there is such a script already, or the agent refuses it
  2  the command line or the configuration is wrong
"""
_EXAMPLES = (
    ("look first at what would be written", "stapwatch install --dry-run calls.stp"),
    ("under another name", "stapwatch install --name read_calls calls.stp"),
    ("a script with arguments", "stapwatch install slow.stp 10"),
    ("a newer text of the same script", "stapwatch install --force calls.stp"),
)


@record
class InstallOptions:
    """`name`: "" for that of the file. `config`: None for the default file."""

    script: Path
    args: tuple[str, ...]
    name: str
    config: Path | None
    force: bool
    dry_run: bool


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers, "install", "make a script one of the service's", _ABOUT, _EXAMPLES
    )
    command.add_argument("--name", default="", metavar="NAME", help="default: the file's name")
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument(
        "--force", action="store_true", help="replace files that are there already"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="show what would be written, and change nothing"
    )
    command.add_argument("script", type=Path, metavar="FILE", help="the script")
    command.add_argument("args", nargs="*", metavar="ARG", help="the script's own arguments")
    return command


def parse(given: argparse.Namespace) -> InstallOptions:
    return InstallOptions(
        given.script, tuple(given.args), given.name, given.config, given.force, given.dry_run
    )


def run(options: InstallOptions) -> int:
    """Install one script. 1: it is not installed, or the agent refuses it; 2: the configuration is wrong."""
    from agent.config import load
    from agent.scripts.compile_client import CompileError
    from agent.session.installation import InstallError

    try:
        settings = load.load(options.config)
        return _install(options, settings)
    except load.ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except CompileError as error:
        print(error.text, file=sys.stderr)
        return 1
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 1
    except OSError as error:
        print(file_error(error, options.script), file=sys.stderr)
        return 1


def _install(options: InstallOptions, settings: Settings) -> int:
    import asyncio
    import tempfile

    from agent.session import installation

    main = options.config or MAIN_FILE
    name = options.name or options.script.stem
    with tempfile.TemporaryDirectory(prefix="stapwatch-") as work:
        found = asyncio.run(
            installation.planned(
                options.script, name, options.args, settings, main, Path(work) / "made"
            )
        )
    for warning in found.warnings:
        print(warning, file=sys.stderr)
    if (existing := found.existing) and not options.force:
        paths = " and ".join(map(str, existing))
        raise installation.InstallError(
            f"{paths} would be overwritten", "--force replaces it, --name takes another name"
        )
    if options.dry_run:
        _show(found)
        return 0
    installation.install(found, main, insecure=settings.insecure_files)
    return _report(options, found, settings, existing)


def _show(found: Installation) -> None:
    for path, text in found.files.items():
        print(f"would write {path}" + (":" if path.suffix == ".yaml" else ""))
        if path.suffix == ".yaml":
            print(text.decode(errors="replace"), end="")
    _show_series(found)


def _show_series(found: Installation) -> None:
    for family in found.families:
        labels = ", ".join(dict.fromkeys(n for m in family.members for n in m.labels))
        print(f"series: {family.name} ({family.type.value})" + (f" by {labels}" if labels else ""))
    if not found.families:
        print("series: none; what the script prints is in the agent's log")


def _report(
    options: InstallOptions, found: Installation, settings: Settings, replaced: list[Path]
) -> int:
    import http.client
    import shlex

    from agent.cli import status_client

    for path in found.files:
        print(f"{'replaced' if path in replaced else 'installed'} {path}")
    address, connection = status_client.connect_local(options.config, None)
    try:
        done, text = status_client.post(connection, "/reload")
        print(text, file=sys.stdout if done else sys.stderr)
    except (FileNotFoundError, ConnectionRefusedError):
        done = True
        print(f"no agent runs ({address}): the script starts with it; systemctl start stapwatch")
    except (OSError, http.client.HTTPException) as error:
        done = False
        print(f"error: {address}: {error}; the script is in force after a reload", file=sys.stderr)
    finally:
        connection.close()
    _show_series(found)
    if found.families and settings.listen:
        print(f"page: /metrics at {settings.listen[0]}")
    if not replaced:
        paths = " ".join(shlex.quote(str(path)) for path in found.files)
        print(f"undo: rm {paths} && stapwatch reload")
    return 0 if done else 1
