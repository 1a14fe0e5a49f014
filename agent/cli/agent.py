# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch agent`: run the service, or only check its configuration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.cli.command import Parser, Subparsers, UsageError, add_command
from agent.config.settings import MAIN_FILE, ListenAddress, Settings
from runtime.support.record import record

USAGE_STATUS = 2
_ABOUT = """\
Run the service in the foreground, as systemd does: compile and load the scripts of the
configuration, serve their metrics, log their lines. SIGHUP reloads; SIGINT ends it and
unloads all modules.

exit status:
  0  it was ended by a signal; with --check: a reload would succeed
  1  an error; with --check: a script does not compile
  2  the configuration is wrong
"""
_EXAMPLES = (
    ("is the configuration good, and do its scripts compile?", "stapwatch agent --check"),
    ("a second agent, for a try", "stapwatch agent --config try.yaml --listen 127.0.0.1:9437"),
    ("what systemd runs", f"stapwatch agent --config {MAIN_FILE}"),
)


@record
class AgentOptions:
    """`config`: None for the default file. `listen`: empty for the configuration's addresses.
    `web_config`: None for the file that the configuration names."""

    config: Path | None
    listen: tuple[ListenAddress, ...]
    check: bool
    compile: bool = True
    web_config: Path | None = None
    insecure_files: bool = False


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(subparsers, "agent", "run the service", _ABOUT, _EXAMPLES)
    command.add_argument("--config", type=Path, metavar="FILE", help=f"default: {MAIN_FILE}")
    command.add_argument(
        "--listen",
        "--web.listen-address",
        action="append",
        dest="listen",
        default=[],
        metavar="HOST:PORT",
        help="serve this address (or unix:/path, vsock:CID:PORT) instead of the configuration's; "
        "may be repeated",
    )
    command.add_argument(
        "--web.config.file",
        dest="web_config",
        type=Path,
        metavar="FILE",
        help="TLS, users and limits of requests, in the format of Prometheus' exporters",
    )
    command.add_argument(
        "--insecure-files",
        action="store_true",
        help="for development: read files that other users can change",
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="check the configuration and compile its scripts, and do nothing else",
    )
    command.add_argument(
        "--no-compile", action="store_true", help="with --check: do not compile the scripts"
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
    if given.no_compile and not given.check:
        raise UsageError("--no-compile needs --check")
    return AgentOptions(
        given.config,
        listen,
        given.check,
        not given.no_compile,
        given.web_config,
        given.insecure_files,
    )


def run(options: AgentOptions) -> int:
    """Serve until a signal. The exit status is 2 for a wrong configuration."""
    if options.check:
        return _check(options)
    import asyncio

    from agent.daemon.service import Service

    async def serve() -> int:
        return await Service(
            options.config,
            options.listen,
            web_config_file=options.web_config,
            insecure_files=options.insecure_files,
        ).run()

    return asyncio.run(serve())


def _check(options: AgentOptions) -> int:
    """0: a reload would succeed; 1: a script is wrong; 2: the configuration is."""
    from agent.config import load
    from agent.web import web_config

    try:
        settings = load.load(
            options.config,
            insecure_files=options.insecure_files,
            web_config_file=options.web_config,
        )
        web_config.check(settings)
    except load.ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    wrong = [str(found) for part in settings.refused for found in part.diagnostics]
    wrong += map(str, load.conflicts(settings))
    problems = _compile_all(settings) if options.compile else []
    for text in [*wrong, *problems]:
        print(text, file=sys.stderr)
    if wrong or problems:
        return 2 if wrong else 1
    print(f"the configuration is good: {len(settings.scripts)} scripts")
    return 0


def _compile_all(settings: Settings) -> list[str]:
    import asyncio
    import os
    import tempfile

    from agent.daemon.config_check import check_scripts
    from agent.session.compile_request import cache_folder

    own = settings.cache_folder
    cache = own if os.access(own, os.W_OK) else cache_folder()
    with tempfile.TemporaryDirectory(prefix="stapwatch-") as folder:
        problems, warnings = asyncio.run(check_scripts(settings, cache, Path(folder)))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return problems


def _save_memory() -> None:
    """Reduce the memory footprint. Runs before other imports, whose memory is never returned."""
    from runtime.support.footprint import avoid_huge_pages, leave_out_openssl

    avoid_huge_pages()
    leave_out_openssl()
