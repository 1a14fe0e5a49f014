# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe families: the hook and the context variables of each kind of probe point.

    timer.s(5)                    -> ProbeSite(HrTimer(period=5_000_000_000), ...)
    kernel.function("vfs_read")   -> ProbeSite(Ftrace("vfs_read"), variables {file, buf, count, pos})

A family is one file here, which exports `resolve` and FORMS. `FAMILIES` finds it by a probe point's first
component. A file is imported when a script has the first point of its family.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from compiler.ir import syntax
from compiler.probes.base import Answer, Environment, Family, ProbePointError, ProbeSite, Variable


def _family(file: str, function: str = "resolve") -> Family:
    def resolve(
        components: Sequence[syntax.Component], environment: Environment
    ) -> list[ProbeSite]:
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
    "kernel": _family("kernel_point"),
    "kprobe": _family("kernel_function", "resolve_kprobe"),
    "module": _family("kernel_function", "resolve_module"),
    "process": _family("process"),
    "netfilter": _family("netfilter"),
    "perf": _family("perf_event"),
    "tp_syscall": _family("tp_syscall"),
}

# Library functions that the context variables of a family call.
NEEDED = {"procfs": ("__procfs_set", "__procfs_append", "__procfs_value")}

__all__ = [
    "FAMILIES",
    "NEEDED",
    "Answer",
    "Environment",
    "Family",
    "ProbePointError",
    "ProbeSite",
    "Variable",
]
