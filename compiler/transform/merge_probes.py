# SPDX-License-Identifier: GPL-2.0-or-later
"""Merging of probes: the functions of one probe point whose handlers have come out equal share a handler
and a hook.

    probe syscall.read { n++ }      entry functions for 64-bit and for 32-bit programs; their arguments,
      -> one handler, one hook      which differ, are not used

Hooks are attached and detached one after the other, so that `probe syscall.* { n++ }` starts and stops in
a hundredth of the time. The functions of a wildcard are merged when they are resolved (resolve/bodies.py):
their handlers are equal from the start. Merged are only functions that may be missing (`?`).
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir.hooks import Ftrace, Functions, Hook
from runtime.support.record import replace


def merge_probes(program: p.Program) -> p.Program:
    """The program with equal probes merged. The same object if there are none."""
    found: dict[object, p.Probe] = {}
    for index, probe in enumerate(program.probes):
        hook = probe.hook
        if not isinstance(hook, Ftrace) or not probe.optional or probe.pair is not None:
            found[index] = probe
            continue
        key = probe.span, probe.condition, probe.entry, probe.body
        first = found.setdefault(key, probe)
        if first is not probe:
            functions = (*_functions(first.hook), *_functions(hook))
            merged = replace(first.hook, functions=functions)
            found[key] = replace(first, hook=merged, point=first.written)
    if len(found) == len(program.probes):
        return program
    return replace(program, probes=tuple(found.values()))


def _functions(hook: Hook) -> Functions:
    assert isinstance(hook, Ftrace)
    return hook.functions or ((hook.symbol, hook.offset),)
