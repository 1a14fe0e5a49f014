# SPDX-License-Identifier: GPL-2.0-or-later
"""What an operator sees of the real service, and does to it: status, one script in full, disarm, arm, explain.

The numbers are compared with events that are made. The tests follow one another on one running service.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver

from lab import Completed, Guest
from tests.agent.web.test_page_files import Page
from tests.agent.web.test_page_files import started as started_browser
from tests.system.service import Service, wait_for
from tests.system.setting import MAIN, Setting

# Only these tests make this system call, so every count is exact.
DUMMY = 'module("dummy").function("dummy_xmit")'
CALLS = f"""global calls[10], sizes
probe syscall.getpgid {{ calls[pid() % 3]++; sizes <<< pid }}
probe {DUMMY} {{ sizes <<< 1 }}
"""
WRONG = "global n\nprobe syscall.getpgid { n++; zero = 0; print(1 / zero) }\n"
CONFIG = (
    f"{MAIN}scripts: {{calls: {{metrics: {{calls: {{name: getpgid_calls, labels: [third]}}}}}}}}\n"
)
STORM = "import os\nprint('blows', flush=True)\nwhile True: os.getpgid(0)\n"


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, setting: Setting, service: Service) -> None:
    setting.write("stapwatch.yaml", CONFIG)
    setting.script("calls", CALLS)
    setting.script("wrong", WRONG)
    setting.compile()
    setting.install(guest)
    service.start()


def stapwatch(service: Service, *words: str) -> Completed:
    return service.guest.run(["stapwatch", *words], timeout=240)


def call(guest: Guest, times: int) -> None:
    guest.run(["python3", "-c", f"import os\nfor _ in range({times}): os.getpgid(0)"]).check()


def script(service: Service, name: str, *words: str) -> dict[str, Any]:
    """From the JSON for programs."""
    tree = json.loads(stapwatch(service, "status", name, "--json", *words).stdout)
    [found] = tree["scripts"]
    assert found["name"] == name
    result: dict[str, Any] = found
    return result


@contextmanager
def closing_browser(browser: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    try:
        yield browser
    finally:
        browser.quit()


def test_the_table(service: Service) -> None:
    call(service.guest, 100)
    done = stapwatch(service, "status")
    assert (done.status, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.split()[:5] == ["SCRIPT", "STATE", "SINCE", "REVISION", "HITS/S"]
    assert {"CPU", "SERIES", "MEMORY", "LOST", "COST"} <= set(head.split())
    assert max(map(len, [head, *(line for line in lines if line[:4] != " " * 4)])) <= 120
    text = "\n".join(lines)
    assert re.search(
        r"^\* calls   running .*\n    waits for module dummy \(1 probed\)$", text, re.M
    )
    assert re.search(r"^\* wrong   running ", text, re.M)
    assert re.search(r"last error, \d+ s ago: division by 0 at \S*/wrong.stp:2:4\d$", text, re.M)


def test_numbers_are_those_of_events(service: Service) -> None:
    found = script(service, "calls", "--seconds", "0")
    call(service.guest, 50)
    after = script(service, "calls", "--seconds", "0")
    assert after["hits"] == found["hits"] + 50
    assert (after["hits_per_second"], after["lost"], after["complete"]) == (None, 0, True)
    assert after["cost_ns"] > 0 and after["memory_bytes"] > 100_000
    assert after["series"] == sum(m["series"] for m in after["metrics"])
    metrics = {m["global"]: m for m in after["metrics"]}
    assert (metrics["calls"]["family"], metrics["calls"]["labels"]) == ("getpgid_calls", ["third"])
    assert 1 <= metrics["calls"]["elements"] <= 3 and metrics["calls"]["slots"] == 10
    assert metrics["sizes"]["type"] == "histogram"
    page = service.series()
    samples = [n for (name, _), n in page.items() if name == "getpgid_calls_total"]
    assert sum(samples) == after["hits"] and len(samples) == metrics["calls"]["elements"]
    hooks = {h["probe"]: h for h in after["hooks"]}
    [waiting] = [h for h in hooks.values() if h["waiting"]]
    assert (waiting["attached"], waiting["waiting"]) == (0, [DUMMY])
    assert sum(h["hits"] for h in hooks.values()) == after["hits"]

    wrong = script(service, "wrong", "--seconds", "0")
    assert wrong["errors"] == wrong["hits"] and wrong["complete"] is False
    assert wrong["last_error"]["count"] == wrong["errors"]
    assert wrong["losses"] == {"error": wrong["errors"]}


def test_the_page_shows_them(service: Service) -> None:
    """A browser of this machine, the agent in the guest: what it shows is what is scraped."""
    with closing_browser(started_browser()) as browser:
        page = Page(browser, f"http://127.0.0.1:{service.port}/")
        page.open()
        page.until(lambda: len(page.rows("scripts")) == 2, "the scripts")
        assert "waits: " in {row[0]: row for row in page.rows("scripts")}["calls"][-1]
        page.open("#/script/calls")
        found = page.until(lambda: page.rows("getpgid_calls"), "its metrics")
        served = service.series()
        wanted = {dict(k)["third"]: n for (s, k), n in served.items() if s == "getpgid_calls_total"}
        assert {third: float(value) for third, value, *_ in found} == wanted
        page.press("3")
        page.until(
            lambda: any("syscall.getpgid" in row[3] for row in page.rows("the script's text")),
            "its text",
        )
        # the guest has not the library for line charts
        assert all("/page/library/" in text for text in page.complaints())
        page.picture("guest")


def test_rates_are_those_of_the_seconds(service: Service) -> None:
    guest = service.guest
    guest.push_text(STORM, "/root/storm.py")
    running = guest.start(["python3", "/root/storm.py"], timeout=600)
    try:
        running.wait(until=b"blows\n")
        before = script(service, "calls", "--seconds", "0")["hits"]
        found = script(service, "calls", "--seconds", "2")
        assert found["hits_per_second"] > 100
        # at least those two seconds are between the two readings
        assert found["hits"] - before >= 2 * found["hits_per_second"] * 0.9
        assert 0 < found["cpu_share"] <= 1
        # the share is that of so many hits of about this cost, on two CPUs
        near = found["hits_per_second"] * found["cost_ns"] / 1e9 / 2
        assert near / 4 < found["cpu_share"] < near * 4
    finally:
        running.kill(signal.SIGKILL)
        running.wait()
    idle = script(service, "calls", "--seconds", "0.5")
    assert (idle["hits_per_second"], idle["cpu_share"]) == (0.0, 0.0)


def test_one_script_as_text(service: Service) -> None:
    text = stapwatch(service, "status", "calls", "--seconds", "0").check().stdout
    assert text.startswith("script calls: running for ")
    assert re.search(
        r"^  module +sw_calls_\w+, compiler 0\.\S+, for Linux \d\S+ \(abi 2\)$", text, re.M
    )
    assert re.search(r"^  calls +getpgid_calls +counter +third +\d", text, re.M)
    assert re.search(rf"^ +waits for its module: {re.escape(DUMMY)}$", text, re.M)
    unknown = stapwatch(service, "status", "nosuch")
    assert (unknown.status, unknown.stderr) == (
        1,
        "error: there is no script 'nosuch'; scripts: calls, wrong\n",
    )


def test_disarm_until_arm(service: Service) -> None:
    """Over a reload with another text and a restart of the agent; no hit is counted meanwhile."""
    guest = service.guest
    name: tuple[str, frozenset[tuple[str, str]]] = ("stapwatch_wrong_n_total", frozenset())
    done = stapwatch(service, "disarm", "wrong")
    assert (done.status, done.stdout) == (
        0,
        "script wrong is disarmed, until: stapwatch arm wrong\n",
    )
    before = service.series()[name]
    call(guest, 20)
    assert service.series()[name] == before
    assert service.states() == {"calls": "running", "wrong": "disarmed_by_operator"}
    [entry] = service.journal("SCRIPT=wrong", "PRIORITY=4")
    assert entry["MESSAGE"].startswith("script wrong is disarmed by the operator, its values stay")
    text = stapwatch(service, "status").check().stdout
    assert re.search(r"wrong +disarmed_by_operator .*\n +it was disarmed by the operator", text)

    service.reload()
    pid = service.show("MainPID")
    guest.run(["kill", "-9", pid]).check()
    wait_for(
        lambda: service.show("MainPID") not in (pid, "0") and service.show("SubState") == "running",
        "another agent",
    )
    assert service.states()["wrong"] == "disarmed_by_operator"
    call(guest, 20)
    assert service.series()[name] == before

    assert stapwatch(service, "arm", "wrong").check().stdout == "script wrong is armed\n"
    call(guest, 3)
    assert service.series()[name] == before + 3
    assert service.states()["wrong"] == "running"


def test_explain_what_runs(service: Service) -> None:
    """By the name of the configuration, whose metrics it has; what was compiled is in the cache after it."""
    text = stapwatch(service, "explain", "calls").check().stdout
    assert text.startswith("script calls: /etc/stapwatch/probes.d/calls.stp\n")
    assert re.search(
        r"^  kernel.function\(\"__x64_sys_getpgid\"\).call, of syscall.getpgid  at ", text, re.M
    )
    assert re.search(r"^    a hit  about [\d,]+ instructions: 35 of the hook, ", text, re.M)
    assert re.search(r"^  calls +getpgid_calls +counter +third", text, re.M)
    assert re.search(r"^  calls\[10\] +\d+ KiB ", text, re.M)
    tree = json.loads(stapwatch(service, "explain", "--json", "calls").check().stdout)
    loaded = script(service, "calls", "--seconds", "0")
    assert tree["module"] == loaded["module"]
    assert [p["probe"] for p in tree["probes"]] == [h["probe"] for h in loaded["hooks"]]
    room = tree["memory"]["bytes"]
    assert room <= loaded["memory_bytes"] <= room + (256 << 10), "the frames of handlers come to it"
