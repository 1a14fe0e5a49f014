# SPDX-License-Identifier: GPL-2.0-or-later
"""SystemTap's probe families that there are none of here: why, and what to probe instead.

ABSENT["java"] -> ("no-such-family", "methods of Java programs cannot be probed", "...")

A family that comes to be leaves this table for `FAMILIES`.
"""

from collections.abc import Mapping

_SLUG = "no-such-family"
_PROGRAMS = (
    "probe what the program asks of the kernel, as syscall.* or kernel.trace(...), and compare"
    " pid() with target()"
)

ABSENT: Mapping[str, tuple[str, str, str]] = {
    "process": (_SLUG, "functions and marks of programs cannot be probed", _PROGRAMS),
    "java": (_SLUG, "methods of Java programs cannot be probed", _PROGRAMS),
    "python2": (_SLUG, "functions of Python programs cannot be probed", _PROGRAMS),
    "python3": (_SLUG, "functions of Python programs cannot be probed", _PROGRAMS),
    "module": (
        "needs-debuginfo",
        "places inside modules are known to debuginfo only",
        "probe the kernel's function that calls into it, or a tracepoint",
    ),
    "perf": (
        _SLUG,
        "hardware counters cannot be probed",
        "timer.profile samples every CPU; timer.hz(N) runs at any rate",
    ),
    "netfilter": (
        _SLUG,
        "netfilter's hooks cannot be probed",
        'use kernel.trace("netif_receive_skb") or kernel.function("ip_rcv")',
    ),
    "procfs": (
        _SLUG,
        "there are no files in /proc to read a script by",
        "globals are served as metrics; print in a timer or an end probe",
    ),
    "prometheus": (
        _SLUG,
        "there is no need to print metrics",
        "globals are served as metrics by the agent; leave this probe out",
    ),
    "json_data": (
        _SLUG,
        "there are no files in /proc to read a script by",
        "globals are served as metrics; print in a timer or an end probe",
    ),
    "input": (_SLUG, "keys cannot be probed", 'use kernel.function("input_event")'),
}
