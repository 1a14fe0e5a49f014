# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch check FILE...`: compile without loading, and say all that is wrong.

stapwatch check bad.stp  ->  error[syntax]: expected ')', found '}' ... and exit status 1
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from agent.scripts.compile_client import CompileError, Compiler
from agent.session.compile_request import compile_request


def check(options: argparse.Namespace) -> int:
    return asyncio.run(_check(options))


async def _check(options: argparse.Namespace) -> int:
    compiler = Compiler()
    with tempfile.TemporaryDirectory(prefix="stapwatch-") as folder:
        results = await asyncio.gather(
            *(
                _check_one(compiler, options, file, Path(folder) / str(number))
                for number, file in enumerate(options.files)
            )
        )
    for text, _ in results:
        if text:
            print(text, file=sys.stderr)
    return 0 if all(good for _, good in results) else 1


async def _check_one(
    compiler: Compiler, options: argparse.Namespace, file: Path, folder: Path
) -> tuple[str, bool]:
    """What is to be said of one script, and whether it is good."""
    try:
        with file.open("rb"):
            folder.mkdir()
    except OSError as error:
        return f"error: cannot read {file}: {(error.strerror or str(error)).lower()}", False
    request = compile_request(options, str(file), (), folder, options.last_pass, False)
    try:
        compiled = await compiler.compile(request)
    except CompileError as error:
        return "\n".join(map(str, (*error.diagnostics, *error.warnings))), False
    return "\n".join(map(str, compiled.warnings)), True
