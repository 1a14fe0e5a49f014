# SPDX-License-Identifier: GPL-2.0-or-later
"""The kinds of work whose cost the bench measures, one row of a table each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden/codegen"
SAMPLES_A_SECOND = 1000  # of the profile


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of work. `table`: the table that counts it, None for printed records. `target`: for Debian
    6.1; `half`: where both peers run, at most half of the better one.

    `work`: the timed loop of guest/loop.c that makes the events, `share` of all. `clock`: "all" counts what
    any process executes; "own" what the loop's does, without the readers of what is printed. `cpus`: of
    the guest; with one, its clock counts instructions. `sampled`: events come with time, SAMPLES_A_SECOND.
    `starts`: the time to start is a row, too.
    `recorded`: figures of 6.1 that were measured with peers which no longer build or run there.
    """

    name: str
    title: str
    script: Path
    table: str | None
    target: int | None = None
    hand: str = ""
    hook: str = ""
    recorded: tuple[int, int] | None = None  # SystemTap 4.8, bpftrace 0.17
    defines: tuple[tuple[str, str], ...] = ()
    slack: int = 0  # events of reading the tables themselves, which may allocate memory
    half: bool = False
    work: str = "reads"
    share: float = 1.0
    clock: str = "all"
    cpus: int = 1
    sampled: bool = False
    starts: bool = False

    @property
    def base(self) -> str:
        """The name of the step that does the same work without a probe."""
        return f"nothing, {self.work} by the {self.clock} clock"

    @property
    def loop(self) -> dict[str, Any]:
        """What a step says of its loop."""
        return {
            "work": self.work,
            "clock": self.clock,
            "cpus": self.cpus,
            "base": self.base,
            "sampled": self.sampled,
        }

    def events(self, reads: int) -> int:
        """Events of a measurement."""
        return max(1, int(reads * self.share))


BIG_RING = (("RINGSIZE", str(64 << 20)),)  # it must have room for the output of all windows
SHAPES = (
    Shape(
        "count",
        "count calls of a kernel function",
        GOLDEN / "count.stp",
        "reads",
        100,
        "hand_count",
        "hand_function",
        (484, 446),
    ),
    Shape(
        "key",
        "count by execname",
        GOLDEN / "count-by-key.stp",
        "reads",
        190,
        "hand_key",
        "hand_function",
        (841, 961),
    ),
    Shape(
        "histogram",
        "histogram of an argument",
        GOLDEN / "histogram.stp",
        "size",
        130,
        "hand_histogram",
        "hand_function",
        (598, 828),
    ),
    Shape(
        "latency",
        "latency from entry to return, by thread, into a histogram",
        GOLDEN / "latency.stp",
        "latency",
        600,
        "hand_latency",
        "hand_return",
        (1810, 2535),
    ),
    Shape(
        "latency-map",
        "the same, written with an array: start[tid()]",
        HERE / "scripts/latency-map.stp",
        "latency",
        hook="hand_return",
    ),
    Shape(
        "sys-enter",
        "count every system call at sys_enter",
        HERE / "scripts/sys-enter.stp",
        "calls",
        75,
        "hand_enter",
        "hand_tracepoint",
        (380, 968),
        slack=20,
    ),
    Shape(
        "printf",
        "printf of four arguments into the event ring",
        HERE / "scripts/printf.stp",
        None,
        400,
        hook="hand_function",
        defines=BIG_RING,
        clock="own",
    ),
    Shape(
        "openat",
        "syscall.openat, printf of argstr into the event ring",
        HERE / "scripts/openat.stp",
        None,
        half=True,
        defines=BIG_RING,
        slack=20,
        work="opens",
        share=0.1,
        clock="own",
    ),
    Shape(
        "wildcard",
        "count calls of 1,000 functions by wildcard",
        HERE / "scripts/wildcard.stp",
        "calls",
        hook="hand_function",
        slack=20,
        half=True,
        starts=True,
    ),
    Shape(
        "netfilter",
        "count packets at a netfilter hook",
        HERE / "scripts/netfilter.stp",
        "packets",
        hook="hand_packet",
        slack=20,
        half=True,
        work="packets",
        share=0.1,
    ),
    Shape(
        "uprobe",
        "count calls of a program's function",
        HERE / "scripts/uprobe.stp",
        "calls",
        hook="hand_user",
        half=True,
        work="calls",
        share=0.1,
    ),
    Shape(
        "uretprobe",
        "latency of a program's function into a histogram",
        HERE / "scripts/uretprobe.stp",
        "latency",
        hook="hand_user_return",
        half=True,
        work="calls",
        share=0.1,
    ),
    Shape(
        "profile",
        "timer.profile, count by backtrace",
        HERE / "scripts/profile.stp",
        "hits",
        half=True,
        work="long_reads",
        share=0.01,
        sampled=True,
    ),
    Shape(
        "shared",
        "an array that two CPUs write and read: queued[tid()]",
        HERE / "scripts/shared.stp",
        "delay",
        slack=20,
        half=True,
        work="reads_on_two_cpus",
        cpus=2,
    ),
)
