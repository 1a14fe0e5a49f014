# SPDX-License-Identifier: GPL-2.0-or-later
"""More watchpoints than the processor has registers are reported before the kernel refuses them."""

from __future__ import annotations

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.probes import Environment, watchpoint
from compiler.resolve.program import resolve
from tests.golden.kernel import golden_kernel

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")


@pytest.mark.parametrize(("count", "told"), [(4, None), (5, 5), (6, 5)])
def test_the_fifth_is_told_of(count: int, told: int | None) -> None:
    lines = [f"probe kernel.data({0xFFFF << 48 | i}).rw {{ n++ }}" for i in range(count)]
    script = parse("\n".join([*lines, "global n"]), "x.stp", conditions=CONDITIONS)
    program = resolve("x", [script], [], Environment(golden_kernel()))
    found = watchpoint.warnings(program, 4)
    assert [w.span.location[1] for w in found] == ([] if told is None else [told])
    assert all(w.slug == "many-watchpoints" and str(count) in w.message for w in found)
