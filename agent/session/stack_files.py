# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes the stacks of a run that has ended: `run --folded FILE` and `--flame FILE`.

write(shot, RunOptions(folded="out.folded", flame="out.svg"))  -> the number of stacks
"""

from __future__ import annotations

import os
from pathlib import Path

from agent.labels.symbols import KernelSymbols
from agent.session import flame_graph
from agent.session.options import RunOptions
from agent.session.process_symbols import ProcessSymbols
from agent.session.stacks import folded, resolver, stacks
from compiler.arch import arch_of
from runtime.reader.snapshot import Snapshot


class StackFileError(Exception):
    """A file cannot be written."""


def write(shot: Snapshot, options: RunOptions) -> int:
    """Write the files that the options name. The result is how many stacks there are. StackFileError."""
    resolve = resolver(KernelSymbols().name, ProcessSymbols(arch_of(os.uname().machine)).name)
    found = stacks(shot, resolve, options.target)
    if options.folded:
        _write(options.folded, folded(found))
    if options.flame:
        name = Path(options.file).name if options.file and options.file != "-" else "stapwatch run"
        _write(options.flame, flame_graph.svg(found, name))
    return len(found)


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, "utf-8", "replace")
    except OSError as error:
        raise StackFileError(f"cannot write {file}: {error.strerror}") from error
