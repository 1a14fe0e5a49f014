# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch/target.h`: the few facts about one kernel that C without kernel headers needs.

    header(btf of 6.1, arch)  -> '... #define SW_TASK_COMM 2984 ...'

Every fact comes from the kernel's types, never from its version. Which per-CPU variables handlers read
depends on the architecture.
"""

from __future__ import annotations

from compiler.arch import Arch, Percpu
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


# members at whose offsets handlers read: constant, struct, member
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

# Kernels with this struct (6.13) call handlers of tracepoints in system calls with preemption on, and later
# ones those of all tracepoints.
_PREEMPTIBLE_TRACEPOINTS = "tracepoint_ext"


def header(btf: Btf, arch: Arch) -> str:
    """The text of target.h. The linker reports a per-CPU symbol that the kernel lacks."""
    lines = [f'#define {v.constant} "{_location(btf, arch, v)}"' for v in arch.percpu]
    of_arch = ("SW_TASK_STATUS", "task_struct", *arch.compat_status)
    for constant, struct, *path in (*_OFFSETS, of_arch):
        found = type_layout.place(btf, btf.find(k.Struct, struct).id, path)
        lines.append(f"#define {constant} {found.steps[0].offset}")
    if not btf.find_all(k.Struct, _PREEMPTIBLE_TRACEPOINTS):
        lines.append("#define SW_TRACEPOINT_PINNED 1")
    return _FRAME.format(lines="\n".join(lines))


def _location(btf: Btf, arch: Arch, variable: Percpu) -> str:
    """A member of the hot struct if this kernel has it (6.2 to 6.14), else a variable of its own.

    Looks for the struct, not for variables: the types of older kernels list no variables.
    """
    for hot in btf.find_all(k.Struct, arch.hot_struct):
        for member in type_layout.members(btf, hot):
            if member.name == variable.member:
                return f"{arch.hot_struct}+{member.bit_offset // 8}"
    return variable.symbol
