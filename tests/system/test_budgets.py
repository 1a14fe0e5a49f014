# SPDX-License-Identifier: GPL-2.0-or-later
"""Budgets in the real service: a script that takes too much is disarmed, says why, keeps its values, and comes
back. The tests follow one another on one running service.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Guest, Image
from runtime.abi import structs
from tests.system.service import Series, Service, wait_for
from tests.system.setting import MAIN, Setting

# Only the storm and `call` make this system call, so every count is exact.
COUNT = "global n\nprobe syscall.getpgid { n++ }\n"
COSTLY = "global n\nprobe syscall.getpgid { for (i = 0; i < 500; i++) n++ }\n"
LARGE = "global few, many[100000]\nprobe syscall.getpgid { few++ many[$$parms, pid()]++ }\n"
KEYS = "global calls, by_number\nprobe syscall.getpgid { calls++ by_number[calls]++ }\n"
# Eight keys in turn, for four elements each.
FULL = """global n, few[4], recent[4], last%[4], brief[4]
probe syscall.getpgid { n++ few[n % 8]++ recent[n % 8]++ last[n % 8]++ brief[n % 8]++ }
"""
# Emulation makes a hit too dear for the usual budgets: each script has those that its test is about.
CONFIG = f"""{MAIN}
budgets: {{cpu: off, one_cpu: off, hit_time: off, pauses: [1s, 1s], total: {{cpu: off}}}}
scripts:
  asked: {{}}
  costly: {{budgets: {{one_cpu: 2%}}}}
  frequent: {{budgets: {{hit_rate: 2000}}}}
  large: {{budgets: {{kernel_memory: 3MiB}}}}
  keys: {{budgets: {{series: 100}}}}
  full: {{metrics: {{few: {{when_full: other}}, recent: {{when_full: lru}}, brief: {{ttl: 2s}}}}}}
"""
SCRIPTS = {
    "asked": COUNT,
    "costly": COSTLY,
    "frequent": COUNT,
    "large": LARGE,
    "keys": KEYS,
    "full": FULL,
}
STORM = "import os\nprint('blows', flush=True)\nwhile True: os.getpgid(0)\n"
DISARM = f"""
import fcntl, os, sys
fcntl.ioctl(os.open(f"/dev/stapwatch/{{sys.argv[1]}}", os.O_RDONLY), {structs.IOC_DISARM})
"""


@pytest.fixture(scope="module")
def setting(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("setting"), image, budgets=True)


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, setting: Setting, service: Service) -> None:
    setting.write("stapwatch.yaml", CONFIG)
    for name, text in SCRIPTS.items():
        setting.script(name, text)
    setting.compile()
    setting.install(guest)
    service.start()


def call(guest: Guest, times: int) -> None:
    guest.run(["python3", "-c", f"import os\nfor _ in range({times}): os.getpgid(0)"]).check()


@contextmanager
def storm(guest: Guest) -> Iterator[None]:
    guest.push_text(STORM, "/root/storm.py")
    running = guest.start(["python3", "/root/storm.py"], timeout=600)
    try:
        running.wait(until=b"blows\n")
        yield
    finally:
        running.kill(signal.SIGKILL)
        running.wait()


def disarm(service: Service, script: str) -> None:
    """What only the kernel and the agent should do."""
    module = service.status()[script]["module"]
    service.guest.run(["python3", "-c", DISARM, module]).check()


def disarms(service: Service, script: str, budget: str) -> float:
    return service.value("stapwatch_script_disarmed_total", script=script, budget=budget)


def until_state(service: Service, script: str, state: str) -> None:
    wait_for(lambda: service.states()[script] == state, f"{script} is {state}")


def arm(service: Service, *words: str) -> tuple[int, str]:
    done = service.guest.run(["stapwatch", "arm", *words], timeout=120)
    return done.status, done.stdout + done.stderr


def test_a_module_over_its_budget_of_memory_is_not_loaded(service: Service) -> None:
    large = service.status()["large"]
    assert (large["state"], large["module"]) == ("failed", "")
    assert re.search(
        r"needs [\d.]+ MiB of kernel memory on 2 CPUs, and its budget kernel_memory is 3.0 MiB: "
        r"[\d.]+ MiB for many\[100000\] at \S*large.stp:1:13; ",
        large["reason"],
    )
    assert set(service.states().values()) == {"running", "failed"}


def test_a_disarmed_script_keeps_its_values_and_comes_back(service: Service) -> None:
    name, guest = "stapwatch_asked_n_total", service.guest
    call(guest, 10)
    before = service.value(name)
    assert before >= 10
    disarm(service, "asked")
    wait_for(
        lambda: (
            service.count("stapwatch_script_disarmed_total", script="asked", budget="request") == 1
        ),
        "1",
    )
    assert service.value(name) == before
    [entry] = service.journal("BUDGET=request", "PAUSE_SECONDS=1.0")
    assert entry["SCRIPT"] == "asked" and entry["PRIORITY"] == "4"
    assert "it is disarmed, its values stay, and it is armed again in 1 s" in entry["MESSAGE"]
    until_state(service, "asked", "running")
    call(guest, 5)
    assert service.value(name) == before + 5
    assert service.value("stapwatch_script_disarmed_seconds_total", script="asked") >= 1


def test_quarantine_and_a_persons_word(service: Service) -> None:
    """After as many disarms as there are pauses. The agent's death does not end it."""
    name, guest = "stapwatch_asked_n_total", service.guest
    disarm(service, "asked")
    wait_for(lambda: disarms(service, "asked", "request") == 2, "the second disarm")
    until_state(service, "asked", "running")
    disarm(service, "asked")
    until_state(service, "asked", "quarantined")
    before = service.value(name)
    call(guest, 7)
    assert service.value(name) == before
    status = guest.run(["stapwatch", "status"], timeout=120)
    assert status.status == 1
    assert re.search(r"! asked +quarantined .*\n    .* stapwatch arm asked\n", status.stdout)

    pid, modules = service.show("MainPID"), service.modules()
    wait_for(
        lambda: (
            guest.run("grep -l disarmed.too.often /var/lib/stapwatch/scripts/asked.json").stdout
        ),
        "it is on the disk",
    )
    guest.run(["kill", "-9", pid]).check()
    wait_for(
        lambda: service.show("MainPID") not in (pid, "0") and service.show("SubState") == "running",
        "another agent",
    )
    assert service.states()["asked"] == "quarantined" and service.modules() == modules
    assert service.value(name) == before

    assert arm(service, "asked") == (0, "script asked is armed\n")
    call(guest, 3)
    assert service.value(name) == before + 3
    assert service.states()["asked"] == "running"
    status_, text = arm(service, "asked", "nosuch")
    assert status_ == 1 and "not disarmed: it is running" in text and "no script 'nosuch'" in text


def test_the_newest_elements_are_left_out(service: Service) -> None:
    """The script's other globals are served, and the first elements of this one."""
    call(service.guest, 200)
    found = service.series()
    served = [labels for name, labels in found if name == "stapwatch_keys_by_number_total"]
    assert sorted(int(value) for labels in served for _, value in labels) == list(range(1, 100))
    calls = found[("stapwatch_keys_calls_total", frozenset())]
    assert calls >= 200
    key = frozenset({("script", "keys")})
    assert found[("stapwatch_script_series_left_out", key)] == calls - 99
    assert found[("stapwatch_script_complete", key)] == 0
    assert lost(found, "keys") == {"series"}
    problems = service.status()["keys"]["problems"]
    assert any("global 'by_number' is served in part" in problem for problem in problems)


def lost(found: Series, script: str) -> set[str]:
    """The reasons for which the script has lost something."""
    labels = [dict(ls) for (name, ls), n in found.items() if name == "stapwatch_lost_total" and n]
    return {of["reason"] for of in labels if of["script"] == script}


def values_of(found: Series, name: str) -> dict[frozenset[tuple[str, str]], float]:
    """The elements of an array of the script `full`, by their labels."""
    return {ls: n for (metric, ls), n in found.items() if metric == f"stapwatch_full_{name}_total"}


def test_full_arrays_do_as_declared(service: Service) -> None:
    """Events made = counted + lost, for a series of all others and for elements that gave way."""
    call(service.guest, 80)
    found = service.series()
    calls = found[("stapwatch_full_n_total", frozenset())]
    assert calls >= 80

    few, other = values_of(found, "few"), frozenset({("other", "true")})
    assert len(few) == 5 and sum(few.values()) == calls
    late = [n for n in range(1, int(calls) + 1) if n % 8 not in (1, 2, 3, 4)]
    assert few[other] == len(late), "of the keys that came when the array was full"
    for name in ("recent", "last"):
        replaced = ("stapwatch_script_array_replaced_total", array("full", name))
        assert sum(values_of(found, name).values()) + found[replaced] == calls
        assert len(values_of(found, name)) == 4
    assert lost(found, "full") == {"array_replaced", "array_full"}
    assert found[("stapwatch_script_complete", frozenset({("script", "full")}))] == 0
    assert found[("stapwatch_script_complete", frozenset({("script", "frequent")}))] == 1


def array(script: str, name: str) -> frozenset[tuple[str, str]]:
    return frozenset({("script", script), ("array", name)})


def test_elements_leave_after_their_ttl(service: Service) -> None:
    """Their slots are used again, by other keys, which are counted from the first hit on."""

    def in_module() -> int:
        found = service.series()
        hidden = found[("stapwatch_script_expired_elements", frozenset({("script", "full")}))]
        return len(values_of(found, "brief")) + int(hidden)

    def removed() -> float:
        return service.count("stapwatch_script_removed_elements_total", script="full")

    seen: set[frozenset[tuple[str, str]]] = set()
    wait_for(lambda: in_module() == 0, "the end of the ttl")
    before = removed()
    for _ in range(3):
        call(service.guest, 6)  # of eight keys
        brief = values_of(service.series(), "brief")
        assert len(brief) == 4 and sum(brief.values()) == 4
        seen |= brief.keys()
        wait_for(lambda: in_module() == 0, "the end of the ttl")
    assert removed() == before + 12
    assert len(seen) > 4


@pytest.mark.parametrize(("script", "budget"), [("frequent", "hit_rate"), ("costly", "one_cpu")])
def test_a_storm_is_ended(service: Service, script: str, budget: str) -> None:
    """By the kernel; the agent tells the budget, the measured value and the probe."""
    guest = service.guest
    with storm(guest):
        until_state(service, script, "quarantined")
    assert disarms(service, script, budget) == 3
    entries = service.journal(f"SCRIPT={script}", f"BUDGET={budget}")
    assert [entry["PRIORITY"] for entry in entries] == ["4", "4", "3"]
    for entry in entries:
        assert int(entry["VALUE"]) > int(entry["LIMIT"])
        assert "getpgid" in entry["PROBE"]
    assert service.states()["asked"] == "running"
    before = service.value(f"stapwatch_{script}_n_total")
    assert before > 0
    assert arm(service, script) == (0, f"script {script} is armed\n")
    call(guest, 4)
    assert service.value(f"stapwatch_{script}_n_total") == before + 4 * (
        500 if script == "costly" else 1
    )


def test_all_scripts_together(service: Service) -> None:
    """The costliest script is disarmed by the agent."""
    guest = service.guest
    text = CONFIG.replace("total: {cpu: off}", "total: {cpu: 2%}").replace("{one_cpu: 2%}", "off")
    guest.push_text(text.replace("{hit_rate: 2000}", "off"), "/etc/stapwatch/stapwatch.yaml")
    service.reload_in_vain()  # `large` is over its budget of memory
    with storm(guest):
        wait_for(lambda: disarms(service, "costly", "total.cpu") >= 1, "the costliest is disarmed")
    assert service.states()["asked"] == "running"


def test_the_switch_unloads_everything(service: Service) -> None:
    """At a reload, and the agent goes on; a person's run is not meant."""
    guest = service.guest
    guest.run(["touch", "/etc/stapwatch/disabled"]).check()
    service.reload()
    assert service.modules() == set() and service.show("ActiveState") == "active"
    assert service.value("stapwatch_disabled") == 1
    assert service.show("StatusText").startswith("off: /etc/stapwatch/disabled exists; remove it")
    status = guest.run(["stapwatch", "status"], timeout=120)
    assert (status.status, status.stderr) == (0, "")
    assert status.stdout.startswith(
        "stapwatch is off, no script is loaded: /etc/stapwatch/disabled"
    )
    guest.run(["rm", "/etc/stapwatch/disabled"]).check()
    service.reload_in_vain()
    assert service.states()["asked"] == "running"
    assert service.value("stapwatch_disabled") == 0
    service.stop()
    assert service.modules() == set()
