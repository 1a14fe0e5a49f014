# SPDX-License-Identifier: GPL-2.0-or-later
"""Generated programs whose probes are the kernel's.

programs(seed=7, count=8)   -> [Fuzzed("global g1 ... probe kernel.function(...) {...}", {"MAXSTRINGLEN": "16"}, False)]

The generator is tests/language/fuzz, where the programs' output is checked.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count as count_up
from itertools import islice

from tests.language.fuzz.text import script
from tests.language.fuzz.tree import Program
from tests.language.test_programs import group

# process, softirq, hardirq and NMI context; the storms of other workloads hit them
POINTS = (
    'kernel.function("__x64_sys_getppid")',
    'kernel.function("__x64_sys_openat").return',
    'kprobe.function("ip_rcv")',
    'kernel.trace("hrtimer_expire_entry")',
    'kernel.trace("sched_switch")',
    'kernel.function("gcd")',
    "timer.profile",
)

# what a return probe has saved at the entry, of one word, of two at once, and a string
ENTRIES = (
    'if (@entry(tid()) != tid()) error("another thread\'s entry")',
    'if (@entry(gettimeofday_ns()) > gettimeofday_ns() || @entry(cpu()) < 0) error("a late entry")',
    'if (@entry(execname()) == "") error("an entry without a name")',
    "",
)


@dataclass(frozen=True, slots=True)
class Fuzzed:
    text: str
    defines: dict[str, str]
    guru: bool


def programs(seed: int, count: int) -> list[Fuzzed]:
    """`count` of them, the same for the same seed."""
    chance = random.Random(seed)
    made = (each for number in count_up(seed * 1_000_000) for each in group(number))
    return [_in_kernel(program, chance) for program in islice(_with_timers(made), count)]


def _with_timers(made: Iterator[Program]) -> Iterator[Program]:
    """Those with more than begin and end probes."""
    return (each for each in made if any(p.point.startswith("timer") for p in each.probes))


def _in_kernel(program: Program, chance: random.Random) -> Fuzzed:
    """The program with its timers' bodies in probes of the kernel."""
    probes = tuple(
        replace(probe, point=chance.choice(POINTS)) if probe.point.startswith("timer") else probe
        for probe in program.probes
    )
    text = script(replace(program, probes=probes), brackets=False)
    return Fuzzed(
        text.replace(".return {", f".return {{\n    {chance.choice(ENTRIES)}"),
        {"MAXSTRINGLEN": str(program.room)},
        any(f.code for f in program.functions),
    )
