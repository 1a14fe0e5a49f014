# SPDX-License-Identifier: GPL-2.0-or-later
"""From the options of `run` and `check` to a compile request.

-D MAXACTION=5000 -G limit=3 -g  ->  {"defines": {"MAXACTION": "5000"}, "globals": {"limit": 3}, ...}
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from agent.compiling import Request
from agent.settings import Settings


def compile_request(
    options: argparse.Namespace,
    file: str | None,
    arguments: Sequence[str],
    output: Path,
    last_pass: int,
    run_mode: bool,
) -> Request:
    """The request for one script; `file` "-" reads it from standard input."""
    text = getattr(options, "text", None)
    if file == "-":
        file, text = None, Path("/dev/stdin").read_text("utf-8", "surrogateescape")
    stem = Path(file).stem if file else "script"
    return {
        "source": file,
        "text": text,
        "name": stem,
        "module": options.module,
        "args": list(arguments),
        "globals": dict(map(_initial, options.globals)),
        "defines": dict(map(_define, options.defines)),
        "guru": options.guru,
        "export": not run_mode,
        "statistics": {},
        "capacities": {},
        "output": str(output),
        "cache": str(cache_folder()),
        "kernel": None,
        "library": options.library,
        "last_pass": last_pass,
        "run_mode": run_mode,
    }


def cache_folder() -> Path:
    """The agent's cache where it can be written, else the user's own."""
    common = Settings().cache_folder
    parent = common if common.exists() else common.parent
    if os.access(parent, os.W_OK):
        return common
    own = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) / "stapwatch"


def _define(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return name, value if equals else "1"


def _initial(text: str) -> tuple[str, int | str]:
    name, _, value = text.partition("=")
    try:
        return name, int(value, 0)
    except ValueError:
        return name, value.removeprefix('"').removesuffix('"')
