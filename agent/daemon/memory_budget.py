# SPDX-License-Identifier: GPL-2.0-or-later
"""The budgets of kernel memory, looked at before a module is loaded.

refusal(manifest, budgets, total, others=150 << 20)
-> "module sw_opens_1a2b needs 758.0 MiB of kernel memory on 2 CPUs, and its budget kernel_memory is 5 %
    (48.0 MiB): 757.2 MiB for opens[13000000] at opens.stp:1:8; 0.8 MiB for the rest. ..."

A module that is loaded stays loaded if its budget shrinks, because unloading it would lose its values.
"""

from __future__ import annotations

from pathlib import Path

from agent.config.budgets import Budgets, Memory, TotalBudgets
from agent.scripts.kernel_modules import ModuleError
from runtime.abi.manifest import Manifest
from runtime.reader import module_memory
from runtime.reader.module_memory import mib


def check(path: Path, budgets: Budgets, total: TotalBudgets, others: int) -> None:
    """Raises ModuleError if the module in this file is over a budget."""
    try:
        manifest, cpus = module_memory.manifest_of(path), module_memory.possible_cpus()
    except (OSError, ValueError):
        return  # the kernel will say what it thinks of it
    memory = module_memory.total_memory()
    if manifest and (why := refusal(manifest, budgets, total, others, cpus, memory)):
        raise ModuleError(why)


def refusal(
    manifest: Manifest,
    budgets: Budgets,
    total: TotalBudgets,
    others: int,
    cpus: int,
    memory: int,
) -> str | None:
    """Why a module is over a budget. `others`: bytes that the other scripts take; `memory`: the machine's."""
    needed = module_memory.needed(manifest, cpus)
    one, all_ = budgets.kernel_memory, total.kernel_memory
    if one is not None and needed > one.of(memory):
        limit = f"its budget kernel_memory is {_written(one, memory)}"
        return module_memory.explanation(manifest, cpus, limit)
    if all_ is not None and needed + others > all_.of(memory):
        limit = f"total.kernel_memory is {_written(all_, memory)}, of which other scripts take {mib(others)}"
        return module_memory.explanation(manifest, cpus, limit)
    return None


def _written(budget: Memory, memory: int) -> str:
    size = mib(budget.of(memory))
    return f"{budget} ({size})" if budget.share else size
