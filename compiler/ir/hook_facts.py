# SPDX-License-Identifier: GPL-2.0-or-later
"""What to say of each kind of hook to a person: the mechanism, where handlers run, the cost of a hit.

FACTS["FTRACE"] -> HookFacts("ftrace (fentry); a kprobe where ftrace refuses", "in the caller ...", 30)

Instructions are what `make bench` measures on Linux 6.1 beyond the handler's own path. Where it has no such
figure, the cost is the constant of the meters in cycles (runtime/kernel/core/budget.c), a rough value.
"""

from __future__ import annotations

from typing import Final

from compiler.ir.hooks import Hook, Tracepoint
from runtime.support.record import record, replace

INSTRUCTIONS: Final = "instructions"
CYCLES: Final = "cycles"


@record
class HookFacts:
    """`context`: where the handler runs. `cost`: of a hit, in `unit`, without the handler."""

    mechanism: str
    context: str
    cost: int = 0
    unit: str = CYCLES


_OFF = "preemption is off"
_STARTS = "in the process that starts the script"
_FILE = "in the process that opens, reads or writes the file"

FACTS: Final = {
    "BEGIN": HookFacts("none: the module runs it", _STARTS),
    "END": HookFacts("none: the module runs it", "in the process that stops the script"),
    "ERROR": HookFacts("none: the module runs it", "in the process that stops the script"),
    "INPUT_CHAR": HookFacts("none: the module runs it", "in the process that passes the key"),
    "INPUT_LINE": HookFacts("none: the module runs it", "in the process that passes the key"),
    "TIMER_NS": HookFacts("hrtimer", "in a timer's interrupt, on one CPU", 2500),
    "TIMER_JIFFIES": HookFacts(
        "timer of the kernel's ticks", "in a soft interrupt, on one CPU", 300
    ),
    "PROFILE": HookFacts("hrtimer of each CPU", "in a timer's interrupt, on each CPU", 2500),
    "FTRACE": HookFacts(
        "ftrace (fentry); a kprobe where ftrace refuses",
        f"in the function's caller; {_OFF}",
        35,
        INSTRUCTIONS,
    ),
    "KPROBE": HookFacts(
        "kprobe", f"in a breakpoint's exception, or a jump in its place; {_OFF}", 150
    ),
    "KRETPROBE": HookFacts(
        "kretprobe", f"in the function's caller, when it returns; {_OFF}", 400, INSTRUCTIONS
    ),
    "PAIRED": HookFacts("none: the return probe of the function counts its hits", "nowhere"),
    "TRACEPOINT": HookFacts("tracepoint", f"where the kernel has the tracepoint; {_OFF}", 12),
    "PROCFS_READ": HookFacts("file below /proc", _FILE),
    "PROCFS_WRITE": HookFacts("file below /proc", _FILE),
    "NETFILTER": HookFacts(
        "netfilter hook", "in the soft interrupt or the process that has the packet", 30
    ),
    "WATCHPOINT": HookFacts("hardware breakpoint", "in a debug exception", 2500),
    "PERF": HookFacts(
        "perf event of each CPU", "in the counter's interrupt; of hardware events, an NMI", 2500
    ),
    "PROCESS": HookFacts("tracepoints of the scheduler and of system calls", "in the process", 150),
    "UPROBE": HookFacts("uprobe", "in the program's process, at a breakpoint", 1600),
    "URETPROBE": HookFacts(
        "uretprobe", "in the program's process, when the function returns", 2400
    ),
}

# A hook there makes every system call take its slow path.
_OF_SYSTEM_CALLS = ("sys_enter", "sys_exit")
_SYSTEM_CALL = 61  # instructions

# Instructions of functions of the kernel that handlers call, measured in the same way.
KERNEL_FUNCTIONS: Final = {
    "ktime_get_mono_fast_ns": 41,
    "ktime_get_real_fast_ns": 41,
    "ktime_get_boot_fast_ns": 41,
}


def facts(hook: Hook) -> HookFacts:
    found = FACTS[hook.word]
    if isinstance(hook, Tracepoint) and hook.symbol in _OF_SYSTEM_CALLS:
        return replace(found, cost=_SYSTEM_CALL, unit=INSTRUCTIONS)
    return found
