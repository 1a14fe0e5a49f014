# SPDX-License-Identifier: GPL-2.0-or-later
"""From the options of `run` and `check` to a compile request.

check_request(CompileOptions(guru=True), "x.stp", Path("/tmp/out"))
  -> Request("x", source="x.stp", guru=True, output="/tmp/out", ...)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from agent.config.settings import Settings
from agent.session.compile_options import CompileOptions
from agent.session.options import RunOptions
from agent.session.target_process import program_of
from agent.session.target_root import TargetRoot
from compiler.protocol import Request
from runtime.support.record import replace


def check_request(options: CompileOptions, file: str | None, output: Path) -> Request:
    """The request to compile one script without running it. `file`: None if the text is elsewhere."""
    return Request(
        name=Path(file).stem if file else "script",
        source=file,
        module=options.module,
        globals=options.globals,
        defines=options.defines,
        guru=options.guru,
        output=str(output),
        cache=str(cache_folder()),
        library=options.library,
        last_pass=options.last_pass,
    )


def run_request(
    options: RunOptions, output: Path, last_pass: int, root: TargetRoot | None = None
) -> Request:
    """The request to compile the script of a run. `root`: the files that the target sees, if they are others.
    OSError if standard input cannot be read."""
    file, text = options.file, options.text
    if file == "-":
        file, text = None, Path("/dev/stdin").read_text("utf-8", "surrogateescape")
    request = check_request(options.compile, file, output)
    return replace(
        request,
        text=text,
        args=options.arguments,
        optimise=options.optimise,
        skip_badvars=options.skip_badvars,
        unwind=tuple(map(_absolute, options.unwind)),
        end_of_run_globals=options.end_of_run_globals,
        extra=options.extra,
        listing=options.listing,
        compatible=options.compatible,
        export=False,
        cache=request.cache if options.use_cache else str(output / "cache"),
        kernel=options.kernel,
        last_pass=last_pass,
        run_mode=True,
        target=_target_program(options),
        target_root=root.seen_at if root else "",
        target_folder=root.folder if root else "",
    )


def cache_folder() -> Path:
    """The agent's cache if it is writable, else the user's own."""
    common = Settings().cache_folder
    parent = common if common.exists() else common.parent
    if os.access(parent, os.W_OK):
        return common
    own = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) / "stapwatch"


def _absolute(name: str) -> str:
    """A program's path, whatever the current folder and PATH are; names without a file stay."""
    return str(Path(name).absolute()) if "/" in name else shutil.which(name) or name


def _target_program(options: RunOptions) -> str:
    """The program of -c or -x, for probe points that name none; "" without either."""
    if options.command:
        return program_of(options.command) or ""
    try:
        return str(Path(f"/proc/{options.target}/exe").readlink())
    except OSError:
        return ""
