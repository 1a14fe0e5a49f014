# SPDX-License-Identifier: GPL-2.0-or-later
"""Write-only globals, which a session prints at its end: which they are, and how they are printed."""

from __future__ import annotations

import pytest

from agent.session import final_globals
from compiler.analysis.write_only_globals import displayed
from compiler.driver import tapset_index
from compiler.frontend.parser import Conditions, parse
from compiler.probes import Environment
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from runtime.abi.manifest import Key, ValueType
from runtime.reader.merge import StatValue
from runtime.reader.table import Value
from runtime.reader.table_keys import KeyTuple
from runtime.support.record import replace
from tests.golden.kernel import golden_kernel
from tests.runtime.images import Plan

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")


def shown(text: str, extra: str = "") -> set[str]:
    script = parse(text, "x.stp", conditions=CONDITIONS)
    tapset = {**tapset_index.read(), "extra.stp": extra.encode()}
    known = tapset_index.parse_all(tapset, CONDITIONS)
    program = eliminate_dead_code(resolve("x", [script], known, Environment(golden_kernel())))
    return set(displayed(program, tapset))


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("a = 1", "a"),
        ("a += 1", "a"),
        ("a++", "a"),
        ("--a", "a"),
        ('a .= "x"', "a"),
        ("a <<< 1", "a"),
        ("a[pid()] <<< 1", "a"),
        ("a = b++", "a"),
        ("if (a = 1) println(1)", "a"),
        ("a = 1 x = a", "a"),
        ("x = a++ println(x)", ""),
        ("x = (a += 1) println(x)", ""),
        ("if (a++) println(1)", ""),
        ("a[1] = 1 delete a[1]", ""),
        ("a[1] = 1 delete a", ""),
        ("a[1] = 1 foreach (k in a) println(1)", ""),
        ("a[1] = 1 if ([1] in a) println(1)", ""),
        ("a <<< 1 print(@hist_log(a))", ""),
        ("a = 1 println(a)", ""),
        ("println(1)", ""),
        ("b[a++] = 1", "b"),
        ("set()", "a"),
        ("other()", ""),
    ],
)
def test_which(body: str, names: str) -> None:
    text = f"global a, b function set() {{ a = 1 }} probe begin {{ {body} }}"
    assert shown(text, "global c function other() { c = 1 }") == set(names.split())


def printed(name: str, elements: dict[KeyTuple, Value]) -> str:
    plan = Plan(lanes=1)
    plan.scalar(name)
    keys = len(next(iter(elements)))
    table = replace(
        plan.manifest().tables[0],
        keys=tuple(Key(f"k{i}", ValueType.LONG, 8 * i, 8) for i in range(keys)),
    )
    return "".join(final_globals.table(table, list(elements), list(elements.values())))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-3, "x=-3\n"),
        ("a b", 'x="a b"\n'),
        (StatValue(0), "x @count=0x0\n"),
        (StatValue(2, 8, 3, 5), "x @count=2 @min=3 @max=5 @sum=8 @avg=4\n"),
    ],
)
def test_scalars(value: Value, text: str) -> None:
    assert printed("x", {(): value}) == text


def test_arrays_have_the_largest_first() -> None:
    assert printed("c", {("k", 1): 2, ("j", 2): 3, ("i", -1): 3}) == (
        'c["j",2]=3\nc["i",-1]=3\nc["k",1]=2\n'
    )
    assert printed("f", {("x",): "a", ("y",): "b"}) == 'f["y"]="b"\nf["x"]="a"\n'
    assert printed("e", {(1,): StatValue(1, 4, 4, 4), (2,): StatValue(2, 9, 4, 5)}) == (
        "e[2] @count=2 @min=4 @max=5 @sum=9 @avg=4\ne[1] @count=1 @min=4 @max=4 @sum=4 @avg=4\n"
    )
