# SPDX-License-Identifier: GPL-2.0-or-later
"""`stapwatch/target.h`: the few facts about one kernel that header-free C is compiled with.

    header(btf of 6.1)  -> '... #define SW_PREEMPT_COUNT "__preempt_count" ...'
    header(btf of 6.12) -> '... #define SW_PREEMPT_COUNT "pcpu_hot+8" ...'

Everything is found by presence in the kernel's types, never by its version.
"""

from __future__ import annotations

from compiler.kernel import kinds as k
from compiler.kernel import layout
from compiler.kernel.btf import Btf
from compiler.kernel.faults import KernelFactError

_FRAME = """\
/* SPDX-License-Identifier: GPL-2.0-or-later */
/* target.h - what differs between kernels, for one kernel; made from its BTF. */
#ifndef STAPWATCH_TARGET_H
#define STAPWATCH_TARGET_H

{lines}

#endif
"""


def header(btf: Btf) -> str:
    """The text of target.h. Raises KernelFactError when the kernel lacks a needed variable."""
    constants = {"SW_PREEMPT_COUNT": _quoted(_percpu(btf, "preempt_count"))}
    lines = (f"#define {name} {value}" for name, value in constants.items())
    return _FRAME.format(lines="\n".join(lines))


def _percpu(btf: Btf, name: str) -> str:
    """A per-CPU variable of its own, `__name`, or the member of pcpu_hot that 6.2 to 6.14 have."""
    if btf.find_all(k.Variable, f"__{name}"):
        return f"__{name}"
    for variable in btf.find_all(k.Variable, "pcpu_hot"):
        hot = layout.composite(btf, variable.type_id)
        if hot is not None:
            return f"pcpu_hot+{layout.member(btf, hot, name).bit_offset // 8}"
    raise KernelFactError(
        f"no per-CPU variable holds '{name}' on this kernel", "this kernel is too new or too old"
    )


def _quoted(text: str) -> str:
    return f'"{text}"'
