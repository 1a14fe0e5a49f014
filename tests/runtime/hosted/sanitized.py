# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds C on the runtime's user-space side, under AddressSanitizer and UndefinedBehaviorSanitizer.

build(Path("script.c"), Path("out"), with_main=True)   # -> an executable
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests import PROJECT

RUNTIME = PROJECT / "runtime"
SHARED = (
    *(
        "lib/charge",
        "lib/read_string",
        "lib/string",
        "lib/regex",
        "lib/sprintf",
        "core/event",
        "core/meter",
        "lib/array",
        "lib/statistic",
        "lib/histogram_text",
        "lib/int64",
        "lib/float64",
        "lib/float64_text",
        "lib/flag_names",
        "lib/carry",
        "lib/table",
        "lib/expire",
    ),
)
# as the kernel: signed numbers wrap
DIALECT = ("-std=gnu11", "-DSW_USERSPACE", "-fwrapv", "-fno-strict-aliasing")
WARNINGS = ("-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
FOLDERS = (RUNTIME / "kernel/include", RUNTIME / "kernel", RUNTIME / "hosted")


def sources(*user: str) -> list[Path]:
    """The runtime's files that also run in user space, and the named files of runtime/hosted/."""
    shared = [RUNTIME / "kernel" / f"{name}.c" for name in SHARED]
    return shared + [RUNTIME / "hosted" / f"{name}.c" for name in user]


def gcc(*arguments: str | Path, folders: Iterable[Path] = (), sanitize: bool = True) -> None:
    """Call the compiler once with sanitizers and warnings. Raises CalledProcessError with its output."""
    includes = [f"-I{folder}" for folder in (*FOLDERS, *folders)]
    sanitizers = SANITIZERS if sanitize else ()
    command = ["gcc", *DIALECT, *WARNINGS, *sanitizers, *includes, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=300)


def build(source: Path, output: Path, *, includes: tuple[Path, ...] = (), with_main: bool) -> Path:
    """Compile and link `source`; with `with_main` it is a script, else it has a main() itself."""
    user = ("main", "run", "harness", "fake_kernel") if with_main else ("harness", "fake_kernel")
    gcc("-g", "-O1", source, *sources(*user), "-o", output, folders=includes)
    return output
