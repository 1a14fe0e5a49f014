# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch/target.h`: the few facts about one kernel that header-free C is compiled with.

    header(btf of 6.1)  -> '... #define SW_PREEMPT_COUNT "__preempt_count" ...'
    header(btf of 6.12) -> '... #define SW_PREEMPT_COUNT "pcpu_hot+8" ...'

Everything is found by presence in the kernel's types, never by its version.
"""

from __future__ import annotations

from compiler.kernel import btf_types as k
from compiler.kernel import type_layout
from compiler.kernel.btf import Btf

_FRAME = """\
/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target.h - what differs between kernels, for one kernel; made from its BTF. */
#ifndef STAPWATCH_TARGET_H
#define STAPWATCH_TARGET_H

{lines}

#endif
"""


# members whose offsets handlers use: constant, struct, member
_OFFSETS = (
    ("SW_TASK_COMM", "task_struct", "comm"),
    ("SW_TASK_PID", "task_struct", "pid"),
    ("SW_TASK_TGID", "task_struct", "tgid"),
    ("SW_TASK_CRED", "task_struct", "cred"),
    ("SW_KRETPROBE_DATA", "kretprobe_instance", "data"),
    ("SW_CRED_UID", "cred", "uid"),
    ("SW_CRED_EUID", "cred", "euid"),
    ("SW_CRED_GID", "cred", "gid"),
    ("SW_CRED_EGID", "cred", "egid"),
)


def header(btf: Btf) -> str:
    """The text of target.h. A per-CPU symbol the kernel lacks shows up as unknown when linking."""
    lines = [
        f'#define SW_PREEMPT_COUNT "{_percpu(btf, "preempt_count", "__preempt_count")}"',
        f'#define SW_CURRENT_TASK "{_percpu(btf, "current_task", "current_task")}"',
        f'#define SW_CPU_NUMBER "{_percpu(btf, "cpu_number", "cpu_number")}"',
    ]
    for constant, struct, name in _OFFSETS:
        member = type_layout.member(btf, btf.find(k.Struct, struct), name)
        lines.append(f"#define {constant} {member.bit_offset // 8}")
    return _FRAME.format(lines="\n".join(lines))


def _percpu(btf: Btf, name: str, symbol: str) -> str:
    """A member of struct pcpu_hot (6.2 to 6.14), else a per-CPU variable of its own.

    Asks for the struct, not for variables: older kernels' types list no variables.
    """
    for hot in btf.find_all(k.Struct, "pcpu_hot"):
        for member in type_layout.members(btf, hot):
            if member.name == name:
                return f"pcpu_hot+{member.bit_offset // 8}"
    return symbol
