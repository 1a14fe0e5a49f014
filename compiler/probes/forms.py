# SPDX-License-Identifier: GPL-2.0-or-later
"""The forms that the families take, for those who ask what there is: lists and wildcards."""

from compiler.probes import process

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
        for event in process.EVENTS
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
