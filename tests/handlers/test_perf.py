# SPDX-License-Identifier: GPL-2.0-or-later
"""perf events in a real kernel: clocks and software events; the emulated processor has no counters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.handlers.conftest import Case, check

MINE = "if (pid() != target()) next\n"

CASES = [
    Case(
        "every CPU's clock",
        """global n, bad
        probe perf.sw.cpu_clock { n[cpu()]++; if (!registers_valid()) bad++
            if (n[0] > 20 && n[1] > 20) exit() }
        probe end { println(bad, n[0] > 20, n[1] > 20) }""",
        until_exit=True,
        output="011\n",
    ),
    Case(
        "at a frequency",
        """global n
        probe perf.type(1).config(0).hz(200) { if (++n == 40) { println(pp()) exit() } }""",
        until_exit=True,
        output="perf.type(1).config(0).hz(200)\n",
    ),
    Case(
        "page faults",
        f"""global n, all
        probe perf.sw.page_faults.sample(1) {{ {MINE} if (user_mode()) n["perf"]++ }}
        probe kernel.trace("page_fault_user") {{ {MINE} n["trace"]++ }}
        probe perf.sw.page_faults_min.sample(10) {{ all++ }}
        probe end {{ println(n["perf"] == n["trace"], n["perf"] >= 300, all >= 29) }}""",
        trigger="touch 300",
        output="111\n",
    ),
    Case(
        "context switches",
        f"""global n
        probe perf.sw.context_switches.sample(1) {{ {MINE} n["perf"]++ }}
        probe kernel.trace("sched_switch") {{ {MINE} n["trace"]++ }}
        probe end {{ println(n["perf"] == n["trace"], n["perf"] >= 5) }}""",
        trigger="sleep 1 sleep 1 sleep 1 sleep 1 sleep 1",
        output="11\n",
    ),
    Case(
        "hits inside a handler are skipped and counted",
        f"""global n
        probe kernel.function("ksys_read") {{ {MINE} n++; mdelay(20) }}
        probe perf.sw.cpu_clock.sample(1000000) {{ ticks++ }} global ticks""",
        trigger="read 5",
        guru=True,
        values={"n": 5},
    ),
    Case(
        "ticks that come too late are missed and counted",
        """global n
        probe perf.sw.cpu_clock.sample(1000000) { if (n < 5) mdelay(20); if (++n == 40) exit() }""",
        until_exit=True,
        guru=True,
    ),
    Case(
        "ticks at a frequency that come too late are missed and counted",
        """global n
        probe perf.type(1).config(0).hz(1000) { if (n < 5) mdelay(20); if (++n == 40) exit() }""",
        until_exit=True,
        guru=True,
    ),
    Case(
        "every fourth page fault",
        """global n, faults
        probe perf.type(1).config(2).sample(1) { faults++ }
        probe perf.type(1).config(2).sample(4) { n++ }
        probe perf.type(1).config(2).hz(4000) { if (n < 0) println(n) }
        probe end { println(n >= 3000 / 4 - 2, n <= faults / 4) }""",
        trigger="touch 3000",
        output="11\n",
    ),
    Case(
        "what the processor does not count",
        """probe perf.hw.cpu_cycles ? { println("no") } probe perf.type(1).config(12345) ? { println("no") }
        probe perf.type(99).config(0) ? { println("no") } probe end { println("end") }""",
        output="end\n",
    ),
    Case(
        "the first that there is",
        """global n
        probe perf.sw.cpu_clock!, timer.profile { if (++n == 20) { println(pp()) exit() } }""",
        until_exit=True,
        output="perf.type(1).config(0)\n",
    ),
    Case(
        "a condition stops the clock",
        """global on = 1, n, rest
        probe perf.sw.cpu_clock.sample(2000000) if (on) { if (++n == 10) on = 0 }
        probe timer.ms(20) { if (!on && ++rest == 10) exit() }""",
        until_exit=True,
        values={"n": 10},
    ),
    Case(
        "stacks",
        """global n, bad
        probe perf.sw.cpu_clock.hz(500) { if (!user_mode() && backtrace() == "") bad++
            if (addr() == 0) bad++
            if (++n == 50) exit() }
        probe end { println(bad) }""",
        until_exit=True,
        output="0\n",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, results: dict[str, Any]) -> None:
    check(case, results[case.name])


def test_skips_are_counted(results: dict[str, Any]) -> None:
    outer, inner = results["hits inside a handler are skipped and counted"]["probes"]
    assert outer[1] == 0 and inner[1] >= 5


def test_missed_ticks_are_counted(results: dict[str, Any]) -> None:
    """Five handlers take 20 ticks each, and hold a lock that the other CPU's handler needs, too."""
    for how in ("", "at a frequency that "):
        name = f"ticks {how or 'that '}come too late are missed and counted"
        (counts,) = results[name]["probes"]
        hits, _, waited, _, missed = counts
        assert hits - waited >= 40 and missed >= 80, name


def test_hits_that_come_are_not_missed(results: dict[str, Any]) -> None:
    """perf's own counts say what is due: of the emulated machine's events none is lost."""
    probes = results["every fourth page fault"]["probes"]
    assert [counts[4] for counts in probes[:3]] == [0, 0, 0]


def test_refusals_are_told_with_a_reason(results: dict[str, Any]) -> None:
    lines = results["what the processor does not count"]["transcript"].splitlines()
    why = "neither the kernel nor the processor counts this"
    assert lines == [
        f"WARNING: cannot probe perf.type(0).config(0): error -2, {why}",
        f"WARNING: cannot probe perf.type(1).config(12345): error -2, {why}",
        f"WARNING: cannot probe perf.type(99).config(0): error -2, {why}",
        "end",
    ]
