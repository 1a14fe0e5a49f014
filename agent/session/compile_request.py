# SPDX-License-Identifier: GPL-2.0-or-later
"""From the options of `run` and `check` to a compile request.

-D MAXACTION=5000 -G limit=3 -g  ->  {"defines": {"MAXACTION": "5000"}, "globals": {"limit": 3}, ...}
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from agent.config.settings import Settings
from agent.scripts.compile_client import Request
from agent.session import options as run_options
from agent.session.target_process import program_of

_TIME_LIMITS = ("MAXACTION", "MAXACTION_INTERRUPTIBLE", "MAXTRYLOCK")


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
        "defines": _defines(options),
        "guru": options.guru,
        "optimise": getattr(options, "optimise", True),
        "display": run_mode and getattr(options, "display", False),
        "extra": getattr(options, "extra", []),
        "listing": run_options.listing(options) if run_mode else None,
        "compatible": getattr(options, "compatible", None),
        "export": not run_mode,
        "statistics": {},
        "capacities": {},
        "output": str(output),
        "cache": str(output / "cache" if _anew(options) else cache_folder()),
        "kernel": _kernel(options),
        "library": options.library,
        "last_pass": last_pass,
        "run_mode": run_mode,
        "target": _target(options),
    }


def _target(options: argparse.Namespace) -> str:
    """The program of -c or -x, for probe points that name none; "" where there is none."""
    if getattr(options, "shell", None):
        return program_of(options.shell) or ""
    try:
        return str(Path(f"/proc/{getattr(options, 'target', 0)}/exe").readlink())
    except OSError:
        return ""


def cache_folder() -> Path:
    """The agent's cache where it can be written, else the user's own."""
    common = Settings().cache_folder
    parent = common if common.exists() else common.parent
    if os.access(parent, os.W_OK):
        return common
    own = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) / "stapwatch"


def _anew(options: argparse.Namespace) -> bool:
    return getattr(options, "disable_cache", False)


def _kernel(options: argparse.Namespace) -> dict[str, str] | None:
    """The kernel of -r; None for the running one."""
    release = getattr(options, "release", None)
    if release is None or (release == os.uname().release and options.sysroot == "/"):
        return None
    return {"root": options.sysroot, "release": release}


def _defines(options: argparse.Namespace) -> dict[str, str]:
    """-D, and what other options mean by it."""
    defines = dict(map(_define, options.defines))
    if getattr(options, "unlimited", False):
        defines |= dict.fromkeys(_TIME_LIMITS, str((1 << 31) - 1))
    if getattr(options, "buffer", None):
        defines |= {"RINGSIZE": str(options.buffer << 20)}
    return defines


def _define(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    return name, value if equals else "1"


def _initial(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return name, value
