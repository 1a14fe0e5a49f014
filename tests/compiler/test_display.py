# SPDX-License-Identifier: GPL-2.0-or-later
"""Globals that a session prints at its end: which ones, and how they look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent import display
from compiler import library
from compiler.display import displayed
from compiler.family import Environment
from compiler.optimise import optimise
from compiler.parser import Conditions, parse
from compiler.resolve.analysis import resolve
from runtime.aggregate import StatValue
from runtime.manifest import Key, Statistic, ValueType
from runtime.slots import KeyTuple
from runtime.snapshot import Snapshot
from runtime.table import TableValues, Value
from tests.agent.values import rows
from tests.golden.kernel import golden_kernel
from tests.reader.images import Plan

CONDITIONS = Conditions(kernel_vr="6.1.0", arch="x86_64")


def shown(text: str, extra: str = "") -> set[str]:
    script = parse(text, "x.stp", conditions=CONDITIONS)
    tapset = {**library.read(), "extra.stp": extra.encode()}
    known = library.parse_all(tapset, CONDITIONS)
    program = optimise(resolve("x", [script], known, Environment(golden_kernel())))
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


def values(name: str, kind: ValueType, elements: dict[KeyTuple, Value], keys: int) -> TableValues:
    plan = Plan(lanes=1)
    plan.scalar(name)
    table = replace(
        plan.manifest().tables[0],
        value=kind,
        row_size=8 if kind is ValueType.LONG else 32,
        statistic=Statistic(0, 1, 2, 3) if kind is ValueType.STAT else None,
        keys=tuple(Key(f"k{i}", ValueType.LONG, 8 * i, 8) for i in range(keys)),
        display=True,
    )
    return rows(table, elements)


def printed(*tables: TableValues) -> str:
    plan = Plan(lanes=1)
    shot = Snapshot.__new__(Snapshot)
    object.__setattr__(shot, "tables", tables)
    del plan
    return "".join(display.lines(shot))


def test_scalars() -> None:
    assert printed(
        values("n", ValueType.LONG, {(): -3}, 0),
        values("s", ValueType.STRING, {(): "a b"}, 0),
        values("empty", ValueType.STAT, {(): StatValue(0)}, 0),
        values("x", ValueType.STAT, {(): StatValue(2, 8, 3, 5)}, 0),
    ) == ('n=-3\ns="a b"\nempty @count=0x0\nx @count=2 @min=3 @max=5 @sum=8 @avg=4\n')


def test_arrays_have_the_largest_first() -> None:
    assert printed(
        values("c", ValueType.LONG, {("k", 1): 2, ("j", 2): 3, ("i", -1): 3}, 2),
        values("f", ValueType.STRING, {("x",): "a", ("y",): "b"}, 1),
        values("e", ValueType.STAT, {(1,): StatValue(1, 4, 4, 4), (2,): StatValue(2, 9, 4, 5)}, 1),
    ) == (
        'c["j",2]=3\nc["i",-1]=3\nc["k",1]=2\n'
        'f["y"]="b"\nf["x"]="a"\n'
        "e[2] @count=2 @min=4 @max=5 @sum=9 @avg=4\n"
        "e[1] @count=1 @min=4 @max=4 @sum=4 @avg=4\n"
    )
