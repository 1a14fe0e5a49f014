# SPDX-License-Identifier: GPL-2.0-or-later
"""Where neither tracefs nor headers tell the systems of tracepoints, a pattern with a system fits nothing; those
of a module are its own only."""

from __future__ import annotations

from functools import cached_property

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir.diagnostics import CompileError
from compiler.kernel.btf import Btf
from compiler.kernel.tracepoints import Tracepoints
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


class SysEnter(Tracepoints):
    """A kernel that has only one of the tracepoints itself."""

    def names(self, spec: str = "*") -> list[str]:
        return [name for name in super().names(spec) if name == "sys_enter"]


@record
class WithModule(Listing):
    """A module 'toy' has the others."""

    @cached_property
    def tracepoints(self) -> Tracepoints:
        return SysEnter(self.btf)

    def module_btf(self, module: str) -> Btf:
        assert module == "toy"
        return self.btf


def points_of(text: str) -> list[str]:
    known = golden_kernel()
    kernel = WithModule(known.release, known.arch, known.root, is_running=False)
    environment = Environment(kernel)
    script = parse(text, "x.stp", conditions=CONDITIONS)
    found = resolve("x", [script], [], environment)
    assert environment.typed_modules == {"toy"}
    return [probe.point for probe in found.probes]


@pytest.mark.parametrize("name", ["sched_switch", "s*"])
def test_tracepoints_of_a_module(name: str) -> None:
    text = f'probe module("toy").tracepoint("{name}") {{ printf("%s%s%d", $$name, $$parms, $arg2->pid) }}'
    assert points_of(text) == ['module("toy").tracepoint("sched_switch")']


@pytest.mark.parametrize("name", ["sys_enter", "nosuch", "no*"])
def test_a_module_lacks_the_tracepoints_of_the_kernel(name: str) -> None:
    with pytest.raises(CompileError) as caught:
        points_of(f'probe module("toy").tracepoint("{name}") {{}}')
    [found] = caught.value.diagnostics
    assert found.message == f"module 'toy' has no tracepoint '{name}'"
    assert found.hint == """list them: -l 'module("toy").tracepoint("*")'"""
