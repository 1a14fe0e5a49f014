# SPDX-License-Identifier: GPL-2.0-or-later
"""Where neither tracefs nor headers tell the systems of tracepoints, a pattern with a system fits nothing."""

from __future__ import annotations

from functools import cached_property

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir.diagnostics import CompileError
from compiler.kernel.btf import Btf
from compiler.probes import Environment
from compiler.resolve.program import resolve
from runtime.support.record import field, record
from tests.golden.kernel import GoldenKernel, golden_kernel


@record
class Listing(GoldenKernel):
    """`listed`: the systems of tracepoints."""

    listed: dict[str, str] = field(default_factory=dict)

    @cached_property
    def btf(self) -> Btf:
        return golden_kernel().btf

    @cached_property
    def trace_systems(self) -> dict[str, str]:
        return self.listed


CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")


@pytest.mark.parametrize(
    ("point", "systems", "is_told"),
    [
        ("sched:sched_*", {}, True),
        ("sched:sched_*", {"sys_enter": "raw_syscalls"}, False),
        ("no_such_*", {}, False),
    ],
)
def test_the_hint(point: str, systems: dict[str, str], is_told: bool) -> None:
    known = golden_kernel()
    kernel = Listing(known.release, known.arch, known.root, is_running=False, listed=systems)
    script = parse(f'probe kernel.trace("{point}") {{}}', "x.stp", conditions=CONDITIONS)
    with pytest.raises(CompileError) as caught:
        resolve("x", [script], [], Environment(kernel))
    [found] = caught.value.diagnostics
    assert found.slug == "unknown-tracepoint" and found.message.endswith(f"fits '{point}'")
    assert ("closed by lockdown" in (found.hint or "")) is is_told
