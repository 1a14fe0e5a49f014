# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe families: what each kind of probe point hooks, and what its context variables are.

    timer.s(5)                    -> Site(Hook(TIMER_NS, number=5_000_000_000), ...)
    kernel.function("vfs_read")   -> Site(Hook(FTRACE, "vfs_read"), variables {file, buf, count, pos})

One file a family; `FAMILIES` names them by a probe point's first component.
"""

from compiler.family import functions, phases, processes, timers
from compiler.family.site import Environment, Family, Refusal, Site, Variable

FAMILIES: dict[str, Family] = {
    "begin": phases.resolve,
    "end": phases.resolve,
    "error": phases.resolve,
    "never": phases.resolve,
    "timer": timers.resolve,
    "kernel": functions.resolve_kernel,
    "kprobe": functions.resolve_kprobe,
    "process": processes.resolve,
}

# The forms that the families take, for those who ask what there is.
SHAPES = (
    "begin",
    "begin(number)",
    "end",
    "end(number)",
    "error",
    "error(number)",
    "never",
    *(
        f"timer.{unit}(number){suffix}"
        for unit in ("s", "sec", "ms", "msec", "us", "usec", "ns", "nsec", "jiffies")
        for suffix in ("", ".randomize(number)")
    ),
    "timer.hz(number)",
    "timer.profile",
    "timer.profile.freq.hz(number)",
    *(
        f"{family}.function(string){suffix}"
        for family in ("kernel", "kprobe")
        for suffix in ("", ".call", ".exported", ".return", ".return.maxactive(number)")
    ),
    "kernel.trace(string)",
    *(
        f"process{which}.{event}"
        for which in ("", "(number)", "(string)")
        for event in processes.EVENTS
    ),
    *(
        f"process(string){library}.{place}"
        for library in ("", ".library(string)")
        for place in (
            "function(string)",
            "function(string).call",
            "function(string).return",
            "mark(string)",
            "provider(string).mark(string)",
            "statement(number)",
        )
    ),
)

__all__ = ["FAMILIES", "SHAPES", "Environment", "Family", "Refusal", "Site", "Variable"]
