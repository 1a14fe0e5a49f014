# SPDX-License-Identifier: GPL-2.0-or-later
"""Storage classes: the use of a global in handlers decides its storage and whether it is a counter."""

from __future__ import annotations

import pytest

from agent.exposition.families import plan
from compiler.codegen.module import generate
from compiler.codegen.probe_table import Target
from compiler.frontend.parser import Conditions, parse
from compiler.ir.options import Options
from compiler.probes import Environment
from compiler.resolve.program import resolve
from runtime.abi.manifest import Manifest, Storage
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel

READ = 'probe kernel.function("vfs_read")'


def manifest(text: str) -> Manifest:
    conditions = Conditions(kernel_vr="6.1.0", arch="x86_64")
    script = parse(text, "x.stp", conditions=conditions)
    program = resolve("x", [script], known(text, conditions), Environment(golden_kernel()))
    return generate(program, Target("sw_x", "0", "6.1.0", bytes(20), "0"), Options()).manifest


@pytest.mark.parametrize(
    ("text", "storage", "monotonic", "scratch"),
    [
        (f"global g {READ} {{ g++ }}", Storage.PERCPU, True, False),
        (f"global g {READ} {{ g[pid()] += 2 }}", Storage.PERCPU, True, False),
        (f"global g {READ} {{ g <<< 1 }}", Storage.PERCPU, True, False),
        (f"global g {READ} {{ g++ }} probe end {{ println(g) }}", Storage.PERCPU, True, False),
        (f"global g {READ} {{ g++ }} {READ}.return {{ g-- }}", Storage.PERCPU, False, False),
        (f"global g {READ} {{ g += -1 }}", Storage.PERCPU, False, False),
        (f"global g {READ} {{ if (g++ > 3) exit() }}", Storage.SHARED, False, False),
        (f"global g {READ} {{ g = 3 }}", Storage.SHARED, False, False),
        (f"global g {READ} {{ g = execname() }}", Storage.SHARED, False, False),
        (f"global g = 7 {READ} {{ println(g) }}", Storage.CONSTANT, False, False),
        (
            f"global g probe begin {{ g[1] = 2 }} {READ} {{ println(g[1]) }}",
            Storage.CONSTANT,
            False,
            False,
        ),
        (
            f"global g[3] {READ} {{ g[pid()]++ }} probe timer.s(1) {{ delete g }}",
            Storage.SHARED,
            False,
            False,
        ),
        (f"global g%[3] {READ} {{ g[pid()]++ }}", Storage.SHARED, True, False),
        (f"global g {READ} {{ g[tid()] = 1; delete g[tid()] }}", Storage.SHARED, False, True),
        (f"global __g {READ} {{ __g++ }}", Storage.PERCPU, True, True),
    ],
)
def test_class(text: str, storage: Storage, monotonic: bool, scratch: bool) -> None:
    (table,) = manifest(text).tables
    assert (table.storage, table.monotonic, table.scratch) == (storage, monotonic, scratch)


def test_working_memory_is_no_metric() -> None:
    text = f"""global start, n
    {READ} {{ start[tid()] = 1 }} {READ}.return {{ delete start[tid()]; n++ }}"""
    families, problems = plan([("x", manifest(text), {})], set())
    assert [family.name for family in families] == ["stapwatch_x_n"]
    assert problems == ()
