# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe families: what each kind of probe point hooks, and what its context variables are.

    timer.s(5)                    -> Site(Hook(TIMER_NS, number=5_000_000_000), ...)
    kernel.function("vfs_read")   -> Site(Hook(FTRACE, "vfs_read"), variables {file, buf, count, pos})

One file a family; `FAMILIES` names them by a probe point's first component.
"""

from compiler.family import functions, phases, timers
from compiler.family.site import Environment, Family, Refusal, Site, Variable

FAMILIES: dict[str, Family] = {
    "begin": phases.resolve,
    "end": phases.resolve,
    "error": phases.resolve,
    "never": phases.resolve,
    "timer": timers.resolve,
    "kernel": functions.resolve_kernel,
    "kprobe": functions.resolve_kprobe,
}

__all__ = ["FAMILIES", "Environment", "Family", "Refusal", "Site", "Variable"]
