# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules that need more kernel memory than they may have, and what is said about them."""

from __future__ import annotations

from agent.config.budgets import NO_BUDGETS, NO_TOTAL, Budgets, Memory, TotalBudgets
from agent.daemon.memory_budget import refusal
from runtime.abi.manifest import Storage
from runtime.reader.module_memory import needed
from runtime.support.record import replace
from tests.runtime.reader.test_module_memory import MIB, array, manifest

MODULE = manifest(array("opens", 1 << 20, Storage.PERCPU), array("few", 10, Storage.SHARED))
NEEDED = needed(MODULE, 2)


def said(
    budget: Memory | None, total: Memory | None, others: int = 0, memory: int = 100 * NEEDED
) -> str | None:
    budgets = replace(Budgets(), kernel_memory=budget)
    return refusal(MODULE, budgets, replace(TotalBudgets(), kernel_memory=total), others, 2, memory)


def test_what_fits_is_loaded() -> None:
    assert said(Memory(NEEDED), Memory(NEEDED)) is None
    assert said(Memory(share=10_000), Memory(share=20_000), others=NEEDED) is None
    assert refusal(MODULE, NO_BUDGETS, NO_TOTAL, 1 << 60, 2, 1) is None


def test_a_script_over_its_own_budget() -> None:
    text = said(Memory(NEEDED - 1), None)
    assert text is not None
    whole = f"{NEEDED / MIB:,.1f} MiB"
    assert text.startswith(
        f"module sw_x_1 needs {whole} of kernel memory on 2 CPUs, and its budget kernel_memory is {whole}: "
    )
    assert " MiB for opens[1048576] at x.stp:1:8; " in text
    assert "Make them smaller" in text
    shared = said(Memory(share=9_999), None)
    assert shared is not None and "its budget kernel_memory is 1 % (" in shared


def test_all_scripts_over_theirs() -> None:
    text = said(None, Memory(share=20_000), others=NEEDED + 1)
    assert text is not None
    assert (
        f"total.kernel_memory is 2 % ({2 * NEEDED / MIB:,.1f} MiB), of which other scripts take "
        in text
    )
