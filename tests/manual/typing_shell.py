# SPDX-License-Identifier: GPL-2.0-or-later
"""An interactive shell in a terminal, in which a command line is typed with TAB.

typed("bash", "stapwatch relo\\t", folder) -> ["reload"]

A program called stapwatch stands first in PATH. It prints its arguments, and answers `run -l` with LISTED, since a
listing needs a kernel.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

from tests import PROJECT

LISTED = (
    "vfs.read",
    "vfs.read_iter",
    'kernel.function("vfs_read")',
    'kernel.trace("sched_switch")',
)
_PROGRAM = """#!/bin/sh
if [ "$1 $2" = "run -l" ]; then
	echo "$3" >>"$ASKED"
	printf '%s\\n' {listed}
else
	printf 'ARGUMENTS'
	printf '<%s>' "$@"
	printf '\\n'
fi
"""
_SHELLS = {"bash": ("bash", "--norc", "--noprofile", "-i"), "zsh": ("zsh", "-f", "-i")}
_SETUP = {
    "bash": "source {folder}/bash/stapwatch\n",
    "zsh": "fpath=({folder}/zsh $fpath); autoload -Uz compinit; compinit -u -D; unsetopt beep\n",
}
_PRINTED = re.compile(rb"ARGUMENTS((?:<[^\n]*>)+)\r?\n")


def environment(folder: Path) -> dict[str, str]:
    """With the program of tests in PATH; what it was asked is in `asked` of the folder."""
    program = folder / "stapwatch"
    words = " ".join(f"'{line}'" for line in LISTED)
    program.write_text(_PROGRAM.format(listed=words))
    program.chmod(0o755)
    own = {"PATH": f"{folder}:{os.environ['PATH']}", "ASKED": str(folder / "asked")}
    return {**os.environ, **own, "TERM": "dumb", "PS1": "", "INPUTRC": "/dev/null", "HISTFILE": ""}


def typed(shell: str, keys: str, completion: Path, folder: Path) -> list[str]:
    """The arguments of the command line that the keys make. `completion`: the folder of all completions.

    The shell runs in the project's folder. EOFError if it ends before the command runs.
    """
    here, there = pty.openpty()
    process = subprocess.Popen(
        _SHELLS[shell],
        stdin=there,
        stdout=there,
        stderr=there,
        env=environment(folder),
        cwd=PROJECT,
        start_new_session=True,
    )
    os.close(there)
    try:
        setup = _SETUP[shell].format(folder=completion)
        os.write(here, f"{setup}{keys}\n".encode())
        return _arguments(here)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(here)


def _arguments(terminal: int) -> list[str]:
    shown = b""
    while (printed := _PRINTED.search(shown)) is None:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            raise EOFError(shown.decode(errors="replace")) from None
    return printed[1].decode()[1:-1].split("><")
