# SPDX-License-Identifier: GPL-2.0-or-later
"""The runtime in a real kernel: its counts, its refusals, and that nothing remains after unloading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtime.abi.structs import NO_PROBE

pytestmark = pytest.mark.lab

Scenario = Callable[..., dict[str, Any]]
ENOENT = -2
LIFE = ["STARTING", "RUNNING", "EXITING", "STOPPED"]
NO_FUNCTION = f"cannot probe no_such_function_anywhere: error {ENOENT}"


def test_counts_are_exact(scenario: Scenario) -> None:
    calls = 1000
    result = scenario("reads", calls)

    by_ftrace, by_kprobe, by_kretprobe, by_tracepoint, asked, returned, waited = result["words"][:7]
    assert [by_ftrace, by_kprobe, by_kretprobe, by_tracepoint] == [calls] * 4
    assert asked == returned == sum(1 + i % 7 for i in range(calls))
    assert waited > 0
    assert result["hits_before"] == [0, 0, 0, 0]
    assert all(counts[1:] == [0, 0, 0] for counts in result["counts"])

    assert result["states"] == LIFE
    # begin in order of their numbers, the second with an initial value; end with the sum of lanes
    assert result["prints"] == [[1, 0, result["pid"]], [2, 7, 42], [4, 5, calls]]
    assert (result["calls"], result["names"]) == (calls, ["python3"])
    assert result["events_lost"] == 0
    assert result["sorted"]
    assert result["end_of_file"]

    assert [error for _, _, error in result["status"]] == [0] * 6 + [ENOENT, 0, 0]
    assert result["warnings"] == [["WARNING", 6, NO_FUNCTION]]


def test_device_is_read_only_and_private(scenario: Scenario) -> None:
    result = scenario("reads", 10)

    assert result["mode"] == "0o20600"
    assert result["mmap_write"] == result["mmap_exec"] == "EPERM"
    assert result["mprotect"] == "EACCES"
    assert result["busy"], "an open device holds its module"
    assert result["again"] == "EBUSY"
    assert [result[k] for k in ("loaded", "started", "stopped")] == ["LOADED", "RUNNING", "STOPPED"]
    assert result["manifest"] == '{"module":"sw_reads"}'


def test_timers_fire_and_the_script_ends_itself(scenario: Scenario) -> None:
    result = scenario("timers")

    assert result["ticks"] == 10
    assert result["prints"] == [*([1, tick] for tick in range(10)), [2, 99]]
    assert result["states"] == LIFE
    assert not result["failed"]
    # every tick is a hit, was missed and counted, or was skipped at the end, when handlers were disabled
    fine, random, coarse, profile = (counts[0] for counts in result["counts"][:4])
    assert fine == 10
    assert random > 0 and coarse > 0 and profile > 0
    # interrupted registers for those that run in the timer's interrupt
    assert result["words"][9] == random
    assert result["words"][11] == profile


def test_bad_pointers_are_the_script_s_errors(scenario: Scenario) -> None:
    result = scenario("faults")

    assert result["errors"] == [
        [1, f"kernel read fault at {result['address']}"],
        [2, "kernel read fault at 0x8123456789abcdef"],
        [3, "kernel read fault at 0xffffffffffffff00"],
        [4, "kernel string copy fault at 0x0"],
        [5, "user read fault at 0xffffffff81000000"],
    ]
    assert result["counts"][0][3] == 5
    assert result["quoted"] == [r'"a \"b\"\n\0012\377' + 40 * "x" + '"...']
    assert result["cut"] == 1
    assert result["good"] == result["lanes"]


def test_hits_inside_a_handler_are_skipped_and_counted(scenario: Scenario) -> None:
    result = scenario("faults")

    hits, skipped, _, _ = result["counts"][1]
    assert (hits, skipped) == (0, 5)  # one for each kernel read of the outer handler


def test_errors_beyond_the_budget_end_the_script(scenario: Scenario) -> None:
    result = scenario("faults")

    assert (result["state"], result["failed"]) == ("EXITING", True)
    assert result["budget_errors"] == 3
    assert result["phases"] == [2], "an end probe ran before, with errors within the budget"
    assert result["error_phases"] == [3], "the error probe ran instead of the end probe"


def test_exit_keeps_all_handlers_out(scenario: Scenario) -> None:
    result = scenario("faults")

    assert result["after_exit"]
    assert result["exit_states"] == LIFE


def test_disarm_and_arm(scenario: Scenario) -> None:
    result = scenario("arming")

    assert result["loaded"] == ["EBUSY", "EBUSY"]
    assert result["first"] == [100] * 4
    assert result["armed_twice"] == ["ok", "RUNNING"]
    assert result["attached"] > 0
    assert result["disarmed"] == ["DISARMED", "REQUEST", NO_PROBE]
    assert result["since"]
    assert result["while_disarmed"] == [0] * 4
    assert result["detached"] == [0, 0]
    assert result["disarmed_twice"] == ["ok", 1]
    assert result["again"] == [100] * 4
    assert result["stopped"] == ["EBUSY", "EBUSY", 2]
    assert result["states"] == [
        "STARTING", "RUNNING", "DISARMED", "RUNNING", "DISARMED", "EXITING", "STOPPED",
    ]  # fmt: skip
    assert result["restarted"] == ["NONE", 0]
    assert result["after"] == 0


def test_a_full_ring_loses_the_newest_and_counts(scenario: Scenario) -> None:
    result = scenario("faults")

    assert result["lost"] > 0
    assert result["kept"] + result["lost"] == 1000


def test_a_sleeping_reader_is_woken(scenario: Scenario) -> None:
    assert scenario("faults")["woken"] == [["PRINT", 6]]


def test_another_kernel_s_module_is_refused(scenario: Scenario) -> None:
    result = scenario("refusals")

    refused, said = result["stranger"]
    assert refused and "Invalid module format" in said
    assert len(result["said"]) == 1
    assert "sw_stranger: refused: made for the kernel with build-id 01020304" in result["said"][0]
    assert not result["device"]


def test_a_hook_that_cannot_be_placed_fails_the_start(scenario: Scenario) -> None:
    result = scenario("refusals")

    assert result["start"] == "ENOENT"
    assert (result["state"], result["failed"]) == ("STOPPED", True)
    assert result["status"] == [[0, 0, 0], [0, 0, ENOENT]]  # the first one was detached again
    assert result["told"] == [["ERROR", 1, NO_FUNCTION]]
    assert result["end_of_file"]


@pytest.mark.parametrize("cycles", [15, pytest.param(51, marks=pytest.mark.long)])
def test_cycles_under_fire_leave_nothing(scenario: Scenario, cycles: int) -> None:
    result = scenario("cycles", cycles, timeout=1500)

    assert result["hits"] > 0
    assert result["memory"] == [1, 1, 1], "each cycle of a module allocates the same"
    assert result["alive"] == [True, True], "what was traced goes on"
    assert result["used"] >= 3 and result["allocations"] == 0
    assert result["modules"] == result["devices"] == []
    assert result["probes"] == result["functions"] == ""
