# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one script in user space; returns its output and the texts of its errors.

run('probe begin { println(1 + 1) }')  -> Ran(output="2\\n", errors=())
"""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from functools import cache

from compiler.codegen.module import Generated
from compiler.ir.diagnostics import CompileError
from runtime.support.record import record
from tests.language.userspace import HostedRuntime, Script, translate


@record
class Ran:
    """A script's output, and the texts of its errors, in order, without their positions and callers."""

    output: str
    errors: tuple[str, ...] = ()


@cache
def hosted() -> HostedRuntime:
    """One for all tests of a process: the runtime is compiled once."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(HostedRuntime.open())


def compile_text(text: str) -> Generated:
    """A script's C and manifest, in guru mode. Raises CompileError for errors in the script."""
    return translate(Script("x", text, guru=True))


def refusal(text: str) -> list[str]:
    """The slugs of a script's diagnostics; [] for a correct one."""
    try:
        compile_text(text)
    except CompileError as error:
        return [d.slug for d in error.diagnostics]
    return []


def run(text: str, *, rounds: int = 0, registers: str = "", optimise: bool = True) -> Ran:
    """Compile a script, run it to its end and decode its output."""
    script = Script(
        "x", text, guru=True, rounds=rounds, optimise=optimise, registers=registers or "0"
    )
    (found,) = hosted().run([script])
    assert not found.fault, found.fault
    assert not found.diagnostics, found.diagnostics
    texts = (e.partition(" (called from ")[0] for e in found.errors)
    return Ran(found.output, tuple(e.rpartition(" at ")[0] or e for e in texts))
