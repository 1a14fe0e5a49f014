# SPDX-License-Identifier: GPL-2.0-or-later
"""Probe families: what each kind of probe point hooks, and what its context variables are.

    timer.s(5)                    -> Site(Hook(TIMER_NS, number=5_000_000_000), ...)
    kernel.function("vfs_read")   -> Site(Hook(FTRACE, "vfs_read"), variables {file, buf, count, pos})

One file a family; `FAMILIES` names them by a probe point's first component.
"""

from compiler.family import counters, functions, netfilter, phases, processes, procfs, timers
from compiler.family.site import Answer, Environment, Family, Refusal, Site, Variable

FAMILIES: dict[str, Family] = {
    "begin": phases.resolve,
    "end": phases.resolve,
    "error": phases.resolve,
    "never": phases.resolve,
    "input": phases.resolve_input,
    "timer": timers.resolve,
    "procfs": procfs.resolve,
    "kernel": functions.resolve_kernel,
    "kprobe": functions.resolve_kprobe,
    "module": functions.resolve_module,
    "netfilter": netfilter.resolve,
    "perf": counters.resolve,
    "process": processes.resolve,
}

# Functions of the library that the variables of a family are.
NEEDED = {"procfs": procfs.FUNCTIONS}

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
        for family in ("kernel", "kprobe", "module(string)")
        for suffix in ("", ".call", ".exported", ".return", ".return.maxactive(number)")
    ),
    "kernel.trace(string)",
    *(
        f"procfs{name}{umask}.{way}"
        for name in ("", "(string)")
        for umask in ("", ".umask(number)")
        for way in ("read", "read.maxsize(number)", "write")
    ),
    "input.char_typed",
    "input.line_typed",
    *(
        f"kernel.data({place}.{access}"
        for place in ("string)", "number)", "number).length(number)")
        for access in ("write", "rw")
    ),
    *(f"perf.type(number).config(number){way}" for way in ("", ".sample(number)", ".hz(number)")),
    *(
        f"netfilter.{place}{priority}"
        for place in ("hook(string).pf(string)", "pf(string).hook(string)")
        for priority in ("", ".priority(string)")
    ),
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

__all__ = [
    "FAMILIES",
    "NEEDED",
    "SHAPES",
    "Answer",
    "Environment",
    "Family",
    "Refusal",
    "Site",
    "Variable",
]
