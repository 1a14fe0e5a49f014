# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts of `stapwatch status`, as a whole."""

from __future__ import annotations

from typing import Any

import pytest

from agent.cli import status_script, status_table, status_text

NOW = 1_700_000_000.0
ARMED = {"times": 0, "seconds": 0.0, "budget": "", "armed_in_seconds": None}
VFS: dict[str, Any] = {
    "name": "vfs",
    "state": "running",
    "since": NOW - 11_600,
    "reason": "",
    "revision": "9f8e7d6c5b4a",
    "variant": "",
    "source": "/etc/stapwatch/probes.d/vfs.stp",
    "module": "sw_vfs_1a2b3c4d",
    "compiler": "0.1.0+aa",
    "problems": [],
    "compile_seconds": 0.21,
    "load_seconds": 0.04,
    "disarmed": ARMED,
    "last_error": None,
    "hits": 4_711_000,
    "cpu_seconds": 0.45,
    "cost_ns": 95.7,
    "hits_per_second": 4711.2,
    "cpu_share": 0.000_42,
    "series": 212,
    "series_limit": 200_000,
    "memory_bytes": 640 << 10,
    "lost": 0,
    "losses": {},
    "complete": True,
    "unplaced": [],
    "waiting": [],
}
STORM = (
    "it took 12.3 % of the time of all CPUs, and the budget cpu is 5 %; it is armed again in 3 s"
)
OPENS = {
    **VFS,
    "name": "opens",
    "state": "disarmed",
    "since": NOW - 12,
    "reason": STORM,
    "disarmed": {**ARMED, "times": 1, "seconds": 12.0, "budget": "cpu", "armed_in_seconds": 3.2},
    "hits_per_second": 0.0,
    "cpu_share": 0.0,
    "cost_ns": 1530.0,
    "memory_bytes": 2_500_000,
    "lost": 17,
    "losses": {"reentrant": 5, "array_full": 12, "disarmed": 1},
    "complete": False,
    "unplaced": [{"probe": f"f{n}", "errno": -2} for n in range(5)],
    "last_error": {
        "text": "division by 0 at opens.stp:3:4",
        "location": "opens.stp:3:4",
        "probe": "syscall.openat",
        "timestamp": NOW - 90,
        "count": 3,
        "module": "sw_opens_1a2b3c4d",
    },
}
OFF = {"name": "tcp", "state": "off", "revision": "77ee77ee77ee", "reason": "'enabled' is false"}
TREE: dict[str, Any] = {"disabled": "", "scripts": [VFS, OPENS], "rollout": [{"name": "vfs"}, OFF]}
TABLE = """\
  SCRIPT  STATE     SINCE  REVISION      HITS/S     COST      CPU  SERIES   MEMORY  LOST  ARMED IN
! opens   disarmed   12 s  9f8e7d6c5b4a       0  1.53 us      0 %     212  2.4 MiB    17       3 s
    it took 12.3 % of the time of all CPUs, and the budget cpu is 5 %; it is armed again in 3 s
    lost: 5 reentrant, 12 array_full, 1 disarmed
    not attached: f0, f1, f2 and 2 more; for the reasons: stapwatch status opens
    last error, 1 min ago: division by 0 at opens.stp:3:4
  vfs     running     3 h  9f8e7d6c5b4a   4,711    96 ns  0.042 %     212  640 KiB     0         -
  tcp     off           -  77ee77ee77ee       -        -        -       -        -     -         -
    'enabled' is false"""


def test_the_table() -> None:
    """What is wrong comes first; it fits a terminal."""
    text = status_table.table(TREE, NOW)
    assert text == TABLE
    assert max(map(len, text.splitlines())) <= 100


def test_columns_that_say_nothing_are_left_out() -> None:
    """Without a measurement, hits are shown in place of rates."""
    plain = {**VFS, "hits_per_second": None, "cpu_share": None, "series": None, "revision": ""}
    head, row = status_table.table({"scripts": [plain]}, NOW).splitlines()
    assert head.split() == ["SCRIPT", "STATE", "SINCE", "HITS", "COST", "MEMORY", "LOST"]
    assert row.split() == ["vfs", "running", "3", "h", "4,711,000", "96", "ns", "640", "KiB", "0"]
    failed = {"name": "a", "state": "failed", "reason": "a.stp:1:1: no", "problems": []}
    assert status_table.table({"scripts": [failed]}, NOW).splitlines() == [
        "  SCRIPT  STATE",
        "! a       failed",
        "    a.stp:1:1: no",
    ]
    assert status_table.table({"scripts": []}, NOW) == "no scripts"


def test_sentences_are_broken_in_a_terminal_only() -> None:
    lines = status_table.table({"scripts": [OPENS]}, NOW, width=60).splitlines()
    assert max(map(len, lines[2:])) <= 60
    assert " ".join(line.strip() for line in lines[2:4]) == STORM


METRIC = {
    "global": "reads",
    "family": "stapwatch_vfs_reads",
    "type": "counter",
    "labels": ["execname"],
    "series": 212,
    "elements": 212,
    "slots": 2048,
    "when_full": "drop",
    "memory_bytes": 190 << 10,
}
HOOK = {
    "probe": 'kernel.function("vfs_read")',
    "written": 'kernel.function("vfs_*")',
    "hook": "ftrace",
    "functions": 3,
    "attached": 1,
    "refused": [{"function": "vfs_lost", "errno": -2, "reason": "No such file or directory"}],
    "waiting": ["xfs:vfs_late"],
    "hits": 4_711_000,
    "skipped": 0,
    "missed": 2,
    "errors": 0,
    "cost_ns": 95.7,
    "hits_per_second": 4711.2,
    "cpu_share": 0.000_42,
}
FULL = {
    **OPENS,
    "kernel": "6.1.0",
    "abi": 1,
    "ring_bytes": 65536,
    "budgets": {
        "cpu_share": 0.05,
        "one_cpu_share": None,
        "hit_time_ns": 50_000_000,
        "hits_per_second": None,
        "kernel_memory": "5 %",
        "series": 200_000,
        "log_lines_per_second": 200,
        "pauses_seconds": [1, 2],
    },
    "metrics": [METRIC, {**METRIC, "global": "t", "family": "", "type": "", "labels": []}],
    "hooks": [HOOK, {**HOOK, "functions": 1, "refused": [], "waiting": [], "missed": 0}],
    "losses_by_reason": [
        {"reason": "lock", "of": "hit", "text": "waited in vain", "count": 0},
        {"reason": "array_full", "of": "update", "text": "found the array full", "count": 12},
    ],
    "recent_errors": [OPENS["last_error"]],
}
SCRIPT = """\
script opens: disarmed for 12 s
    it took 12.3 % of the time of all CPUs, and the budget cpu is 5 %; it is armed again in 3 s
  source    /etc/stapwatch/probes.d/vfs.stp, revision 9f8e7d6c5b4a
  rollout   run; 'when' holds
  module    sw_vfs_1a2b3c4d, compiler 0.1.0+aa, for Linux 6.1.0 (abi 1)
  start     compiled in 0.21 s, loaded in 0.04 s
  hits      4,711,000, 0 a second, 1.53 us a hit, 0 % of the CPUs' time
  series    212 of 200,000
  memory    2.4 MiB, of which each CPU's ring has 64 KiB
  complete  no: its numbers miss something
  budgets   cpu 5 %, hit_time 50 ms, kernel_memory 5 %, log_lines 200/s
  disarms   1, for 12 s in all; the next arm in 3 s

metrics
  GLOBAL  FAMILY               TYPE     LABELS    SERIES  ELEMENTS   ROOM   MEMORY
  reads   stapwatch_vfs_reads  counter  execname     212       212  2,048  190 KiB
  t       (not exported)                               -       212  2,048  190 KiB

hooks
  PROBE                        HOOK    ATTACHED       HITS  HITS/S   COST      CPU  MISSED
  kernel.function("vfs_*")     ftrace    1 of 3  4,711,000   4,711  96 ns  0.042 %       2
      refused: vfs_lost: no such file or directory
      waits for its module: xfs:vfs_late
  kernel.function("vfs_read")  ftrace       yes  4,711,000   4,711  96 ns  0.042 %       -

losses
  12  array_full  updates: found the array full

errors
  1 min ago  3 times  division by 0 at opens.stp:3:4  syscall.openat"""


def test_one_script_in_full() -> None:
    rollout = [{"name": "opens", "wanted": "run", "reason": "'when' holds"}]
    assert status_script.text({"scripts": [FULL], "rollout": rollout}, "opens", NOW) == SCRIPT
    assert status_script.text({"scripts": [], "rollout": [OFF]}, "tcp", NOW) == (
        "script tcp is off on this host: 'enabled' is false"
    )


def test_an_older_agent_has_no_details() -> None:
    text = status_script.text({"scripts": [VFS, OPENS], "rollout": []}, "opens", NOW)
    assert text.startswith("  SCRIPT  STATE") and "vfs" not in text
    assert text.endswith("the running agent is an older one, which says no more of a script")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.25, "0.2"), (9.96, "10.0"), (1234.6, "1,235"), (None, "-")],
)
def test_rates(value: float | None, shown: str) -> None:
    assert status_text.rate(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0 %"), (1e-6, "<0.01 %"), (0.000_42, "0.042 %"), (0.5, "50 %"), (None, "-")],
)
def test_shares(value: float | None, shown: str) -> None:
    assert status_text.share(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(12.4, "12 ns"), (1530.0, "1.53 us"), (2e6, "2 ms"), (3e9, "3 s")]
)
def test_costs(value: float, shown: str) -> None:
    assert status_text.cost(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7200, "2 h"), (9e5, "10 d")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert status_text.duration(seconds) == shown
