# SPDX-License-Identifier: GPL-2.0-or-later
"""Budgets: what a script, and all scripts together, may take of the machine. None in a field: no limit.

Budgets().cpu             -> 50_000   millionths: 5 %
Budgets().kernel_memory   -> Memory(share=50_000)
Memory(share=50_000).of(8 << 30)      -> 429_496_729 bytes

A share is in millionths, as the kernel has it. The reasons for the numbers are in docs/decisions.md.
"""

from __future__ import annotations

from runtime.abi.structs import MILLION
from runtime.reader.module_memory import mib
from runtime.support.record import record

BURST_SECONDS = 10  # so many seconds' worth of log lines may come at once


@record
class Memory:
    """Bytes, or a share of the machine's memory in millionths."""

    bytes: int = 0
    share: int = 0

    def of(self, memory: int) -> int:
        """In bytes, on a machine with so many."""
        return self.bytes or memory * self.share // MILLION

    def __str__(self) -> str:
        return percent(self.share) if self.share else mib(self.bytes)


@record
class Budgets:
    """One script's. A breach of the first four disarms it; see the fields for the others."""

    cpu: int | None = 50_000  # CPU time over a second, of all CPUs together; millionths
    one_cpu: int | None = 100_000  # of any one CPU over a second; millionths
    hit_time: int | None = 50_000_000  # of one hit; ns
    hit_rate: int | None = None  # hits a second, all CPUs together
    kernel_memory: Memory | None = Memory(share=50_000)  # a module that needs more is not loaded
    log_lines: int | None = 200  # a second; further ones are dropped
    log_lines_per_statement: int | None = None  # the same of one print statement
    series: int | None = 200_000  # on the page; globals with more are left out
    # seconds from a disarm to the next arm; after as many disarms the script is quarantined
    pauses: tuple[float, ...] = (1, 2, 4, 8, 16, 32, 64)


@record
class TotalBudgets:
    """Those of all scripts together."""

    cpu: int | None = 100_000  # over it, the script that takes most is disarmed
    kernel_memory: Memory | None = Memory(share=200_000)
    series: int | None = 1_000_000


NO_BUDGETS = Budgets(None, None, None, None, None, None, None, None)
NO_TOTAL = TotalBudgets(None, None, None)


def percent(share: int) -> str:
    """5 %, 12.3 %: three digits that count."""
    return f"{share / 10_000:.3g} %"
