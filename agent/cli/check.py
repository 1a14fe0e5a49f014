# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch check FILE...`: compile without loading, and report everything that is wrong.

stapwatch check bad.stp  ->  error[syntax]: expected ')', found '}' ... and exit status 1
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.command import Parser, Subparsers, add_command, file_error
from agent.session import compile_options
from agent.session.compile_options import CompileOptions
from compiler.protocol import LAST_PASS
from runtime.support.record import record

if TYPE_CHECKING:
    from agent.scripts.compile_client import Compiler

USAGE_STATUS = 2
_ABOUT = """\
Compile scripts for the running kernel without loading them. Each error is shown with its
place and the source line. No root is needed.

exit status:
  0  all files compile
  1  one does not, or cannot be read
"""
_EXAMPLES = (
    ("before a commit", "stapwatch check probes.d/*.stp"),
    ("syntax and types only, where there are no kernel headers", "stapwatch check -p2 vfs.stp"),
    ("what the service itself would compile, with its options", "stapwatch agent --check"),
)


@record
class CheckOptions:
    compile: CompileOptions
    files: tuple[Path, ...]


def add_parser(subparsers: Subparsers) -> Parser:
    command = add_command(
        subparsers,
        "check",
        "compile without loading, and report all errors of each file",
        _ABOUT,
        _EXAMPLES,
    )
    compile_options.add_arguments(command, LAST_PASS)
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    return command


def parse(given: argparse.Namespace) -> CheckOptions:
    """Raises UsageError."""
    return CheckOptions(compile_options.parse(given), tuple(given.files))


def run(options: CheckOptions) -> int:
    """Check all files. The exit status is 1 if one of them does not compile."""
    import asyncio

    return asyncio.run(_check(options))


async def _check(options: CheckOptions) -> int:
    import asyncio
    import tempfile

    from agent.scripts.compile_client import Compiler

    compiler = Compiler()
    with tempfile.TemporaryDirectory(prefix="stapwatch-") as folder:
        results = await asyncio.gather(
            *(
                _check_one(compiler, options.compile, file, Path(folder) / str(number))
                for number, file in enumerate(options.files)
            )
        )
    for text, _ in results:
        if text:
            print(text, file=sys.stderr)
    return 0 if all(good for _, good in results) else 1


async def _check_one(
    compiler: Compiler, options: CompileOptions, file: Path, folder: Path
) -> tuple[str, bool]:
    """The messages for one script, and whether it compiles."""
    from agent.scripts.compile_client import CompileError
    from agent.session.compile_request import check_request

    try:
        with file.open("rb"):
            folder.mkdir()
    except OSError as error:
        return file_error(error, file, "cannot read"), False
    try:
        compiled = await compiler.compile(check_request(options, str(file), folder))
    except CompileError as error:
        return error.text, False
    return "\n".join(map(str, compiled.warnings)), True
