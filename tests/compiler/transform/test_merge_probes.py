# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes of one point whose handlers are equal become one, and no others do."""

from __future__ import annotations

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir.program import Program
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from compiler.transform.merge_probes import merge_probes
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64", guru_mode=True)
BOTH = 'kernel.{function("vfs_read"),function("vfs_write")}'


def merged(text: str) -> Program:
    script = parse(text, "x.stp", conditions=CONDITIONS)
    library = known(text, CONDITIONS)
    return merge_probes(
        eliminate_dead_code(resolve("x", [script], library, Environment(golden_kernel())))
    )


@pytest.mark.parametrize(
    "body",
    [
        "n++",
        "unused = $count n++",  # the variable is not used
        "n[pid()]++",
        "n[ppfunc() == ppfunc()]++",
    ],
)
def test_equal_handlers_are_one(body: str) -> None:
    (probe,) = merged(f"global n probe {BOTH} ? {{ {body} }}").probes
    assert [name for name, _ in probe.hook.functions] == ["vfs_read", "vfs_write"]
    assert probe.point == BOTH


@pytest.mark.parametrize(
    "text",
    [
        f"probe {BOTH} {{ n++ }}",  # must both be there
        f"probe {BOTH} ? {{ n[ppfunc()]++ }}",
        'probe kernel.function("vfs_read") ?, kernel.function("vfs_write") ? { n++ }',
        f"probe {BOTH}.return ? {{ n++ }}",
    ],
)
def test_others_stay_apart(text: str) -> None:
    program = merged(f"global n {text}")
    assert [probe.hook.symbol for probe in program.probes] == ["vfs_read", "vfs_write"]
    assert not any(probe.hook.functions for probe in program.probes)


def test_a_system_call_of_both_kinds_of_programs_is_one_hook() -> None:
    (probe,) = merged('global n probe kernel.syscall("openat") ? { n++ }').probes
    names = [name for name, _ in probe.hook.functions]
    assert names == ["__x64_sys_openat", "__ia32_compat_sys_openat"]
    assert len(merged('global n probe kernel.syscall("openat") ? { n[$sys_arg1]++ }').probes) == 2
