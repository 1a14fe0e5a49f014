# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe families: what each kind of probe point hooks, and what its context variables are.

    timer.s(5)                    -> Site(Hook(TIMER_NS, number=5_000_000_000), ...)
    kernel.function("vfs_read")   -> Site(Hook(FTRACE, "vfs_read"), variables {file, buf, count, pos})

One file a family; `FAMILIES` names them by a probe point's first component. A file is imported when
a script has the first point of its family.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from compiler.ir import syntax
from compiler.probes.base import Answer, Environment, Family, Refusal, Site, Variable


def _family(file: str, function: str = "resolve") -> Family:
    def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
        found: Family = getattr(import_module(f"compiler.probes.{file}"), function)
        return found(components, environment)

    return resolve


FAMILIES: dict[str, Family] = {
    "begin": _family("session"),
    "end": _family("session"),
    "error": _family("session"),
    "never": _family("session"),
    "input": _family("session", "resolve_input"),
    "timer": _family("timer"),
    "procfs": _family("procfs"),
    "kernel": _family("kernel_function", "resolve_kernel"),
    "kprobe": _family("kernel_function", "resolve_kprobe"),
    "module": _family("kernel_function", "resolve_module"),
    "process": _family("process"),
    "netfilter": _family("netfilter"),
    "perf": _family("perf_event"),
}

# Functions of the library that the variables of a family are.
NEEDED = {"procfs": ("__procfs_set", "__procfs_append", "__procfs_value")}

__all__ = [
    "FAMILIES",
    "NEEDED",
    "Answer",
    "Environment",
    "Family",
    "Refusal",
    "Site",
    "Variable",
]
