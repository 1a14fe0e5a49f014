# SPDX-License-Identifier: GPL-2.0-or-later
"""What is probed in a round, and what makes its events.

A global `nK` of a script counts the runs of its probe K, so that a round can compare it with the probe's hits.
"""

from __future__ import annotations

from dataclasses import dataclass

ECHO = 'process("/usr/bin/echo")'
LIBC = 'process("/usr/lib/x86_64-linux-gnu/libc.so.6")'


@dataclass(frozen=True, slots=True)
class Workload:
    """`storm`: a command, one unit of work, done again and again by some processes; `trigger` is
    tests/handlers/trigger.c. `events`: how many of them a unit makes for each probe, in the script's order; None:
    they cannot be counted. No two workloads make the same countable events. `incomplete_in`: disturbances during
    which a probe may see fewer events than there are, by a decision in docs/decisions.md.
    """

    name: str
    script: str
    storm: str = ""
    events: tuple[int | None, ...] = ()
    incomplete_in: tuple[str, ...] = ()


WORKLOADS = (
    # one system call under three kinds of hook at once, with a row that all CPUs fight for
    Workload(
        "process",
        """global n0, n1, n2, shared
        probe kernel.function("__x64_sys_getppid") { n0++ }
        probe kernel.function("__x64_sys_getppid").return { n1++ }
        probe kprobe.function("__x64_sys_getppid") { n2++ if (shared["all"]++ > 1000000000) exit() }""",
        "trigger getppid 3000",
        (3000, 3000, 3000),
    ),
    # packets arrive in softirq context, and are sent in a process's
    Workload(
        "softirq",
        """global n0, n1, n2, size
        probe kernel.function("ip_rcv") { n0++ }
        probe netfilter.ipv4.local_in { n1++ size <<< length }
        probe netfilter.ipv4.local_out { n2++ }""",
        "trigger datagrams 50 50 datagrams 50 50 datagrams 50 50",
        (150, 150, 150),
    ),
    # timers and device interrupts come by themselves; sleeping makes more timers
    Workload(
        "hardirq",
        """global n0, n1, n2, where
        probe kernel.trace("hrtimer_expire_entry") { n0++ where[cpu()]++ }
        probe kernel.trace("irq_handler_entry") { n1++ }
        probe timer.profile { n2++ }""",
        "trigger sleep 3 sleep 2 sleep 1 sleep 3 sleep 2 sleep 1 sleep 3 sleep 2 sleep 1",
    ),
    Workload(
        "spawn",
        f"""global n0, n1, n2, names
        probe {ECHO}.begin {{ n0++ names[execname()]++ }}
        probe {ECHO}.end {{ n1++ }}
        probe kernel.trace("sched_process_exec") {{ n2++ }}""",
        "trigger spawn 3",
        (3, 3, None),
    ),
    Workload(
        "uprobe",
        f"""global n0, n1, sizes
        probe {LIBC}.function("malloc") {{ n0++ }}
        probe {LIBC}.function("malloc").return {{ n1++ }}""",
        "/usr/bin/env",
    ),
    Workload(
        "watch",
        'global n0 probe kernel.data("panic_timeout").write { n0++ }',
        "trigger set /proc/sys/kernel/panic 0 200",
        (200,),
        # a CPU that comes online counts nothing until a worker has created its event
        incomplete_in=("hotplug",),
    ),
    # many readers and writers of one file, whose handlers run one at a time
    Workload(
        "procfs",
        """global n0, n1, text
        probe procfs("box").read { n0++ $value = text . "\\n" }
        probe procfs("box").write { n1++ text = $value }""",
        "trigger try /proc/stapwatch-torture_procfs/box - 100 try /proc/stapwatch-torture_procfs/box x 100",
        (100, 100),
    ),
    # nmi_sender.c sends NMIs to all CPUs in turn, which interrupt handlers of the same script
    Workload(
        "nmi",
        """global n0, n1, n2, n3, where
        probe kernel.function("gcd") { n0++ where[cpu()]++ }
        probe kernel.function("gcd").return { n1++ }
        probe kprobe.function("gcd") { n2++ }
        probe kernel.function("__x64_sys_getpgrp") { n3++ where[cpu()]++ }""",
        "trigger getpgrp 1000 set /sys/module/nmi_sender/parameters/send 50 1 getpgrp 1000",
        (50, 50, 50, 2000),
    ),
    # the module that is probed comes and goes: a unit of work is one of its lives
    Workload(
        "module",
        """global n0, n1, n2
        probe module("dummy").function("dummy_xmit") { n0++ }
        probe module("dummy").function("dummy_xmit").return { n1++ }
        probe module("dummy").function("dummy_init_*") { n2++ }""",
        "trigger life 100",
        (100, 100, 1),
    ),
    # its hook comes and goes: what is hit while it is away cannot be counted
    Workload(
        "flap",
        """global on, n
        probe kernel.function("__x64_sys_openat") if (on) { n++ }
        probe timer.ms(20) { on = !on }""",
        "trigger open /etc/passwd 1000",
    ),
)
# it is loaded and unloaded while the others are hit
CHURN = """global c, d
probe kernel.function("__x64_sys_getppid"), kernel.function("ip_rcv").return { c[cpu()]++ }
probe kernel.trace("hrtimer_expire_entry"), netfilter.ipv4.local_in { d++ }"""
