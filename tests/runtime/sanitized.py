# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds C on the runtime's user-space side, under AddressSanitizer and UndefinedBehaviorSanitizer.

build(Path("script.c"), Path("out"), with_main=True)   # -> an executable
"""

from __future__ import annotations

import subprocess
from pathlib import Path

RUNTIME = Path(__file__).parents[2] / "runtime"
SHARED = (
    *("memory", "string", "regex", "format", "event", "array", "statistic", "number", "syscall"),
)
# as the kernel: signed numbers wrap
FLAGS = ("-g", "-O1", "-std=gnu11", "-DSW_USERSPACE", "-fwrapv", "-fno-strict-aliasing")
WARNINGS = ("-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")


def build(source: Path, output: Path, *, includes: tuple[Path, ...] = (), with_main: bool) -> Path:
    """Compile and link `source`; with `with_main` it is a script, else it has a main() itself."""
    user = ("main", "world", "process") if with_main else ("world", "process")
    sources = [source, *(RUNTIME / "src" / f"{name}.c" for name in SHARED)]
    sources += [RUNTIME / "user" / f"{name}.c" for name in user]
    folders = [RUNTIME / "include", RUNTIME / "src", RUNTIME / "user", *includes]
    command = ["gcc", *FLAGS, *WARNINGS, *SANITIZERS, *(f"-I{folder}" for folder in folders)]
    subprocess.run([*command, *sources, "-o", output], check=True, timeout=120)
    return output
