# SPDX-License-Identifier: GPL-2.0-or-later
"""Passes 1 to 4 of a run: compile the script, and output the result if one of them is the last pass.

await compile_script(options, folder, compiler, report, interrupt)
  -> Compiled, or None after an error or Ctrl-C, which is reported
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from agent.scripts.compile_client import Compiled, CompileError, Compiler
from agent.session.compile_request import run_request
from agent.session.options import RunOptions
from agent.session.report import Report
from agent.session.target_root import TargetRoot
from compiler.protocol import LAST_PASS, Request
from runtime.support.record import replace


async def compile_script(
    options: RunOptions,
    folder: Path,
    compiler: Compiler,
    report: Report,
    interrupt: asyncio.Event,
    root: TargetRoot | None = None,
) -> Compiled | None:
    """Compile into `folder`; with -k the C goes there, too. `root`: the files that the target sees, if they
    are others."""
    request = _request(options, folder, report, root)
    if request is None:
        return None
    compiled = await _until_interrupted(compiler, request, report, interrupt)
    if compiled is None:
        return None
    report.compiled(compiled)
    if options.strict and compiled.warnings:
        report.say("error: there are warnings, and -W makes them errors")
        return None
    if options.keep and options.listing is None:
        translated = await compiler.compile(replace(request, last_pass=LAST_PASS - 1))
        (folder / f"{translated.module}.c").write_text(translated.output, "utf-8")
    return compiled


def show_output(compiled: Compiled, options: RunOptions, folder: Path) -> bool:
    """Print the output or the module's path, if the run ends before its last pass.

    Returns whether `folder` must be kept, because the printed path is in it.
    """
    if options.compile.last_pass < LAST_PASS:
        print(compiled.output, end="" if compiled.output.endswith("\n") else "\n")
        return False
    path = save_named_module(compiled, options) or compiled.path
    print(path)
    return path is compiled.path and path.is_relative_to(folder)


def save_named_module(compiled: Compiled, options: RunOptions) -> Path | None:
    """-m: copy the module into the current folder. None without -m."""
    if options.compile.module is None:
        return None
    return Path(shutil.copy(compiled.path, f"{compiled.module}.ko"))


def _request(
    options: RunOptions, folder: Path, report: Report, root: TargetRoot | None
) -> Request | None:
    last_pass = min(options.compile.last_pass, LAST_PASS)
    what = "the script" if options.file in (None, "-") else options.file
    try:
        if options.file not in (None, "-"):
            with Path(str(options.file)).open("rb"):
                pass  # one clear error here, instead of one from the compiler
        return run_request(options, folder, last_pass, root)
    except OSError as error:
        report.say(f"error: cannot read {what}: {(error.strerror or '').lower()}")
        return None


async def _until_interrupted(
    compiler: Compiler, request: Request, report: Report, interrupt: asyncio.Event
) -> Compiled | None:
    """None: the script does not compile, which is reported, or Ctrl-C came first."""
    work = asyncio.create_task(compiler.compile(request, report.progress))
    end = asyncio.create_task(interrupt.wait())
    await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
    end.cancel()
    if not work.done():
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return None
    try:
        return work.result()
    except CompileError as error:
        report.not_compiled(error)
        return None
