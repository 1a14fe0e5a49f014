# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets, watchpoints and perf events: modules are loaded and unloaded while their probes are hit, or fail to
start, and nothing remains of them; per-CPU events follow CPU hotplug.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab import Guest, Image
from tests.handlers.conftest import Case, compile_case, run_in_guest

PACKETS = """global n, total
    probe netfilter.ipv4.local_out, netfilter.ipv4.post_routing, netfilter.ipv4.pre_routing, netfilter.ipv4.local_in {
        n[saddr, dport]++; total <<< length; $verdict = nf_accept }"""
WATCHED = ("panic_timeout", "panic_on_warn", "panic_on_oops")
WATCH = "global w; " + "".join(
    f'probe kernel.data("{name}").write {{ w[pp()]++ }} ' for name in WATCHED
)
PERF = """global p
    probe perf.sw.cpu_clock.sample(50000), perf.sw.page_faults.sample(1), perf.sw.context_switches.sample(1),
        perf.sw.task_clock.hz(2000), timer.profile.freq.hz(5000) { p[pp()]++ }"""
LIVES = {
    "packets": PACKETS,
    "watch": WATCH,
    "perf": PERF,
    "all": f"{PACKETS} {WATCH} {PERF}",
}
FAILURES = {
    "five watchpoints": f"""{PACKETS} {PERF} {WATCH}
        probe kernel.data("vm_swappiness").rw, kernel.data("vm_swappiness").write {{ w[pp()]++ }}""",
    "no counter": f"{PACKETS} {WATCH} {PERF} probe perf.hw.cpu_cycles {{ p[pp()]++ }}",
}
WHY = {
    "five watchpoints": "cannot probe vm_swappiness: error -28, the processor has no watchpoint left",
    "no counter": "cannot probe perf.type(0).config(0): error -2, neither the kernel nor the processor counts this",
}
CHANGE = """global n
    probe perf.sw.cpu_clock.sample(1000000) { n["perf", cpu()]++ }
    probe timer.profile { n["profile", cpu()]++ }
    probe kernel.data("panic_timeout").write { n["watch", cpu()]++ }"""


@pytest.fixture(scope="module")
def result(guest: Guest, image: Image, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("lives")

    def made(name: str, script: str) -> str:
        response = compile_case(Case(name, script, guru=True), image, folder)
        assert response["ok"], response["errors"]
        return f"/tmp/lives/{response['module']}.ko"

    plan = {
        "lives": {name: made(name, script) for name, script in LIVES.items()},
        "failures": {name: made(name, FAILURES[name]) for name in WHY},
        "change": made("change", CHANGE),
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    guest.push(folder, "/tmp/lives")
    return run_in_guest(guest, "lives.py", ["/tmp/lives/plan.json"], folder, 900)


@pytest.mark.parametrize("name", LIVES)
def test_lives_under_fire_are_alike(name: str, result: dict[str, Any]) -> None:
    lives = result["lives"][name]
    assert len(set(lives["memory"])) == 1
    assert all(hits >= 20 for life in lives["hits"] for hits in life)
    assert result["alive"] == [True, True], "what was probed goes on"


@pytest.mark.parametrize("name", WHY)
def test_a_failure_half_way_is_told_and_leaves_nothing(name: str, result: dict[str, Any]) -> None:
    assert all(WHY[name] in said for said in result["failures"][name]), result["failures"][name]
    # all watchpoints and hooks are free again
    assert all(min(hits) >= 20 for hits in result["again"].values())


def test_hooks_follow_a_cpu(result: dict[str, Any]) -> None:
    """No probe counts on an offline CPU; when it is online again, all do."""
    there, away, back, gone = result["change"]
    assert min(there) > 5 and all(b > a + 5 for a, b in zip(there, back, strict=True))
    assert away == gone == [0, 0, 0]
