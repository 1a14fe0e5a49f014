# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays that carry a value from a function's entry to its return become data of the return instance."""

from __future__ import annotations

import pytest

from compiler.frontend.parser import Conditions, parse
from compiler.ir import program as p
from compiler.ir.hooks import PairedEntry
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from compiler.transform.entry_return_pairing import pair
from tests.compiler.frontend.support import known
from tests.golden.kernel import golden_kernel

ENTRY = 'probe kernel.function("vfs_read")'
RETURN = f"{ENTRY}.return"
START = f"{ENTRY} {{ start[tid()] = gettimeofday_ns() }}"


def paired(text: str) -> p.Program:
    conditions = Conditions(kernel_vr="6.1.0", arch="x86_64")
    script = parse(f"global start, t, n {text}", "x.stp", conditions=conditions)
    program = resolve("x", [script], known(text, conditions), Environment(golden_kernel()))
    return pair(eliminate_dead_code(program))


def kept(text: str) -> bool:
    return any(g.name == "start" for g in paired(text).globals)


@pytest.mark.parametrize(
    "body",
    [
        "t <<< gettimeofday_ns() - start[tid()]; delete start[tid()]",
        "if (tid() in start) { t <<< gettimeofday_ns() - start[tid()]; delete start[tid()] }",
        "s = start[tid()]; delete start[tid()]; if (s) t[execname()] <<< gettimeofday_ns() - s",
        "if (!(tid() in start)) next; t <<< gettimeofday_ns() - start[tid()] delete start[tid()]",
    ],
)
def test_the_idiom(body: str) -> None:
    program = paired(f"{START} {RETURN} {{ {body} }}")
    assert "start" not in {g.name for g in program.globals}
    entry, back = program.probes
    assert isinstance(entry.hook, PairedEntry) and entry.pair == back.pair is not None
    assert entry.body.stmts == ()  # it stays, for its hits
    (saved,) = back.entry
    assert isinstance(saved, p.Call) and saved.function == "gettimeofday_ns"
    assert len(back.body.stmts) <= 3


def test_what_else_the_entry_does_stays() -> None:
    program = paired(
        f"{ENTRY} {{ n++; start[tid()] = $count; n++ }}"
        f"{RETURN} {{ t <<< start[tid()]; delete start[tid()] }}"
    )
    assert len(program.probes[0].body.stmts) == 2
    assert isinstance(program.probes[1].entry[0], p.Argument)


@pytest.mark.parametrize(
    "text",
    [
        # read by others, or by no return
        f"{START} {RETURN} {{ delete start[tid()] }} probe timer.s(1) {{ foreach (x in start) n++ }}",
        f"{START} {RETURN} {{ delete start[tid()] }} probe timer.s(1) {{ delete start }}",
        f"{START} {ENTRY} {{ delete start[tid()] }}",
        # another function's return, or another key
        f'{START} probe kernel.function("vfs_write").return {{ t <<< start[tid()]; delete start[tid()] }}',
        f"{START} {RETURN} {{ t <<< start[pid()]; delete start[tid()] }}",
        f"{ENTRY} {{ start[pid()] = 1 }} {RETURN} {{ t <<< start[pid()]; delete start[pid()] }}",
        # set at some hits only, twice, or by an expression that may fail or has effects
        f"{ENTRY} {{ if ($count) start[tid()] = 1 }} {RETURN} {{ t <<< start[tid()]; delete start[tid()] }}",
        f"{ENTRY} {{ if (!$count) next; start[tid()] = 1 }} {RETURN} {{ t <<< start[tid()]; delete start[tid()] }}",
        f"{ENTRY} {{ start[tid()] = 1; start[tid()] = 2 }} {RETURN} {{ t <<< start[tid()]; delete start[tid()] }}",
        f"{ENTRY} {{ start[tid()] = n++ }} {RETURN} {{ t <<< start[tid()]; delete start[tid()] }}",
        f"{ENTRY} {{ start[tid()] = 1 / $count }} {RETURN} {{ t <<< start[tid()]; delete start[tid()] }}",
        f"{ENTRY} {{ start[tid()] += 1 }} {RETURN} {{ t <<< start[tid()]; delete start[tid()] }}",
        # used after its deletion, in a loop, never deleted, or changed
        f"{START} {RETURN} {{ delete start[tid()]; t <<< start[tid()] }}",
        f"{START} {RETURN} {{ for (i = 0; i < 2; i++) {{ t <<< start[tid()]; delete start[tid()] }} }}",
        f"{START} {RETURN} {{ t <<< start[tid()] }}",
        f"{START} {RETURN} {{ t <<< start[tid()]; start[tid()] = 0; delete start[tid()] }}",
    ],
)
def test_anything_else_is_left_alone(text: str) -> None:
    assert kept(text)
