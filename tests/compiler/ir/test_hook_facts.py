# SPDX-License-Identifier: GPL-2.0-or-later
"""Each kind of hook is explained, and its cost in cycles is the one that the meters take."""

from __future__ import annotations

import re

import pytest

from compiler.ir import hooks
from compiler.ir.hook_facts import CYCLES, FACTS, facts
from tests import PROJECT

BUDGETS = (PROJECT / "runtime/kernel/core/budget.c").read_text()
TABLE = (PROJECT / "runtime/kernel/include/stapwatch/script.h").read_text()


def kinds() -> set[str]:
    """The rows of SW_HOOKS."""
    table = TABLE[TABLE.index("#define SW_HOOKS(row)") : TABLE.index("enum sw_hook {")]
    return set(re.findall(r"row\((\w+),", table))


def test_each_kind_is_explained() -> None:
    assert set(FACTS) == kinds()


@pytest.mark.parametrize("word", [w for w, f in FACTS.items() if f.unit == CYCLES and f.cost])
def test_cycles_are_those_of_the_meters(word: str) -> None:
    body = BUDGETS[BUDGETS.index("switch (probe->hook)") :]
    _, _, row = body.partition(f"case SW_{word}:")
    numbers = re.findall(r"\b\d+\b", row.partition("};")[0])
    assert str(FACTS[word].cost) in numbers


def test_system_calls_tracepoints_are_dearer() -> None:
    plain, dear = hooks.Tracepoint("sched_switch", 3), hooks.Tracepoint("sys_enter", 2)
    assert facts(plain).cost < facts(dear).cost
