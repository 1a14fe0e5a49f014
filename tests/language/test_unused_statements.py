# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements that nobody needs have no part in types, as in SystemTap; with -u, they do.

The verdicts are those of SystemTap 5.6.
"""

from __future__ import annotations

import pytest

from compiler.ir.diagnostics import CompileError
from tests.language.userspace import Script, analyse

TAKEN = (
    'probe begin { a = 1; a = "x"; println(1) }',
    'probe begin { if (0) { a = 1; a = "x" } println(1) }',
    'probe begin { println(1); next; a = 1; a = "x" }',
    'function f() { return 1; a = 1; a = "x" } probe begin { println(f()) }',
    'probe begin { while (0) { a = 1; a = "x" } println(1) }',
    'probe begin { for (; 0;) { a = 1; a = "x" } println(1) }',
    'probe begin { if (1) println(1); else { a = 1; a = "x" } }',
    'probe begin { try { a = 1; a = "x" } catch { a = 2 } println(1) }',
    'probe never { a = 1; a = "x" } probe begin { println(1) }',
    'probe begin { 1 . "x"; println(1) }',
    'probe begin { a = (1 . "x"); println(1) }',
    'probe begin { a = 1; b = a . "x"; println(1) }',
    'probe begin { if ("x") ; println(1) }',
    'probe begin { if ("x") {} else {} println(1) }',
    'probe begin { foreach_ = 1; if (foreach_) { b = "x"; b = 1 } println(1) }',
)
REFUSED = (
    'probe begin { if (0) { a = 1; a = "x"; println(a) } println(1) }',
    'probe begin { if (0) println(1 . "x"); println(1) }',
    'probe begin { println(1); next; println(1 . "x") }',
    'global g probe begin { if (0) g = "x"; g = 1; println(g) }',
    'global g probe begin { g[1] = 1; g["a"] = 2; println(1) }',
    'probe begin { a += 1; a .= "x"; println(1) }',
    'probe begin { a++; a = "x"; println(1) }',
    "probe begin { if (0) a = nosuch() }",
    "probe begin { if (0) println(nosuchvar) }",
    'probe begin { if (0) if ("x") println(2); println(1) }',
    "probe begin { if (0) foreach (k in noarr) println(k) }",
)


def accepts(text: str, *, optimise: bool) -> bool:
    try:
        analyse(Script("x", text, optimise=optimise))
    except CompileError:
        return False
    return True


@pytest.mark.parametrize("text", TAKEN)
def test_types_of_unused_statements_do_not_count(text: str) -> None:
    assert accepts(text, optimise=True)


@pytest.mark.parametrize("text", REFUSED)
def test_others_do(text: str) -> None:
    assert not accepts(text, optimise=True)


@pytest.mark.parametrize("text", TAKEN[:2])
def test_all_count_without_optimisation(text: str) -> None:
    assert not accepts(text, optimise=False)
