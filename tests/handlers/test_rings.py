# SPDX-License-Identifier: GPL-2.0-or-later
"""Records stay in the rings until their reader gives them back, and none comes after the gates have closed."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import Case, compile_case, run_in_guest

# 110 is getppid.
NUMBERS = """\
global n
probe kernel.trace("sys_enter") { if ($id == 110 && pid() == target()) printf("%d", n++) }
"""
STORM = """\
probe kernel.trace("sys_enter") { if ($id == 110) printf("%d %d\\n", pid(), tid()) }
probe end { printf("bye %d\\n", 1) }
"""
BURST = """\
probe begin { for (i = 0; i < 1000; i++) print_char(i) }
probe end { for (i = 0; i < 1000; i++) printf("%d", i) }
"""
RECORD = 24 + 2 * 8  # bytes of one with two numbers
RING = 1 << 18
CPUS = 2


@pytest.fixture(scope="module")
def result(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("rings")
    plan = {}
    for name, text, defines in (
        ("numbers", NUMBERS, {"RINGSIZE": "8192"}),
        ("storm", STORM, {"RINGSIZE": str(RING)}),
        ("burst", BURST, {"RINGSIZE": "4096"}),
    ):
        response = compile_case(Case(name, text, defines=defines), image, folder)
        assert response["ok"], response["errors"]
        plan[name] = f"/tmp/rings/{response['module']}.ko"
    (folder / "plan.json").write_text(json.dumps(plan))
    guest.push(folder, "/tmp/rings")
    return run_in_guest(guest, "rings.py", ["/tmp/rings/plan.json"], folder, 600)


def test_what_a_reader_has_not_given_back_is_read_again(result: dict[str, Any]) -> None:
    held = result["held"]
    assert held["first"] == list(range(100))
    given_back = 100 - len(held["second"])
    # The state events are not numbered, so event 40 is number 40.
    assert given_back == 40 and held["second"] == list(range(40, 100))
    assert held["nothing_left"] == []


def test_a_reader_that_holds_records_is_the_only_one(result: dict[str, Any]) -> None:
    assert result["held"]["others"] == ["Device or resource busy"] * 2
    assert result["held"]["readable"] == [False, True], "closing gives the records to the others"


def test_full_rings_keep_what_was_not_given_back(result: dict[str, Any]) -> None:
    """Nothing overwrites it; what finds no room is counted; the next reader makes room."""
    held = result["held"]
    assert held["again"]["same"] and held["again"]["rising"]
    assert held["added_up"]
    assert held["room"] == 50


def test_no_record_comes_after_the_gates_have_closed(result: dict[str, Any]) -> None:
    gates = result["gates"]
    print(f"from closed gates to the end of the file: {gates['seconds']:.2f} s")
    assert gates["calls"] >= 2000
    assert [gates[k] for k in ("new", "new_lost", "new_hits")] == [0, 0, 0]
    assert 0 < gates["drained"] <= CPUS * RING // RECORD


def test_the_end_probe_finds_room(result: dict[str, Any]) -> None:
    assert [list(args) for args in result["gates"]["last"]] == [[1]]
    assert result["gates"]["end_lost"] == 0


def test_begin_and_end_probes_wait_for_the_reader(result: dict[str, Any]) -> None:
    """The ring has room for 128 of a thousand prints. Before 5.11, a process that sleeps may change its CPU."""
    read = result["burst"]["read"]
    if not result["burst"]["waits"]:
        assert len(read["prints"]) + read["lost"] >= 2000
        return
    assert read["prints"] == [*range(1000)] * 2
    assert read["lost"] == 0


def test_they_wait_in_vain_for_a_while_only(result: dict[str, Any]) -> None:
    alone = result["burst"]["alone"]
    assert alone["prints"] + alone["lost"] >= 1000 and alone["prints"] < 200


def test_a_killed_process_waits_no_more(result: dict[str, Any]) -> None:
    """One that does not wait may have ended before."""
    expected = {signal.SIGKILL} if result["burst"]["waits"] else {0, signal.SIGKILL}
    assert result["burst"]["killed"] in expected
