# SPDX-License-Identifier: GPL-2.0-or-later
"""A rollout in the real service: what this host gets, a clock that is set, a paused script, and the plan for
all of it. The tests follow one another on one running service.
"""

from __future__ import annotations

import pytest

from compiler.kernel.kernel import Kernel
from lab import Guest, Image
from tests.system.service import Service, wait_for
from tests.system.setting import MAIN, Setting

COUNT = "global n\nprobe begin { n = 100 }\nprobe syscall.getpgid { n++ }\n"
CONFIG = f"""{MAIN}
scripts:
  here: {{when: {{kernel: ">=5.10", virtualization: vm, os: debian*, labels: {{tier: canary}}}}}}
  later: {{from: 2099-01-01T00:00Z, until: 2099-06-01T00:00Z}}
  none: {{percent: 0}}
  paused: {{arm: paused}}
"""
SCRIPTS = ("here", "later", "none", "paused")


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, setting: Setting, service: Service) -> None:
    setting.write("stapwatch.yaml", CONFIG)
    setting.write("host.yaml", "labels: {tier: canary}\n")
    for name in SCRIPTS:
        setting.script(name, COUNT)
    setting.compile()
    setting.install(guest)
    service.start()


def states(service: Service) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in service.tree()["rollout"]}


def call(guest: Guest, times: int) -> None:
    guest.run(["python3", "-c", f"import os\nfor _ in range({times}): os.getpgid(0)"]).check()


def test_this_host_gets_what_is_meant_for_it(service: Service, image: Image) -> None:
    assert states(service) == {
        "here": "running",
        "later": "waiting",
        "none": "off",
        "paused": "paused",
    }
    assert len(service.modules()) == 2
    assert service.show("StatusText") == "1 off, 1 paused, 1 running, 1 waiting"
    info = {
        labels["script"]: labels
        for name, pairs in service.series()
        if name == "stapwatch_script_info"
        for labels in [dict(pairs)]
    }
    assert {name: labels["state"] for name, labels in info.items()} == states(service)
    assert {labels["cohort"] for labels in info.values()} == {"all", "rest"}
    [host] = [dict(pairs) for name, pairs in service.series() if name == "stapwatch_host_info"]
    release = service.guest.run(["uname", "-r"]).stdout.strip()
    assert (host["kernel"], host["os"], host["label_tier"]) == (release, "debian", "canary")
    [kernel] = [dict(pairs) for name, pairs in service.series() if name == "stapwatch_kernel_info"]
    assert (kernel["release"], kernel["arch"]) == (release, "x86_64")
    assert kernel["build_id"] == Kernel.from_root(image.rootfs, release).build_id.hex()
    detected = service.guest.run(["systemd-detect-virt"]).stdout.strip()
    assert host["virtualization"] == detected


def test_a_paused_script_runs_nothing_until_it_is_armed(service: Service) -> None:
    """Not even its begin probe."""
    guest = service.guest
    call(guest, 5)
    assert service.value("stapwatch_paused_n") == 0
    assert service.value("stapwatch_here_n") >= 105
    done = guest.run(["stapwatch", "arm", "paused"], timeout=120)
    assert (done.status, done.stdout) == (0, "script paused is armed\n")
    call(guest, 5)
    assert service.value("stapwatch_paused_n") >= 105
    service.reload()
    assert states(service)["paused"] == "running", "a person's word outlives a reload"


def test_times_follow_a_clock_that_is_set(service: Service) -> None:
    """In both directions, without a reload."""
    guest = service.guest
    guest.run(["systemctl", "stop", "systemd-timesyncd"])
    now = int(guest.run(["date", "+%s"]).stdout)
    reloaded = service.reloaded()
    try:
        guest.run(["date", "-s", "2099-03-01T00:00:00Z"]).check()
        wait_for(lambda: states(service)["later"] == "running", "it is after 'from'")
        guest.run(["date", "-s", "2099-07-01T00:00:00Z"]).check()
        wait_for(lambda: states(service)["later"] == "off", "it is after 'until'")
        assert len(service.modules()) == 2
        guest.run(["date", "-s", "2099-05-01T00:00:00Z"]).check()
        wait_for(lambda: states(service)["later"] == "running", "it is before 'until' again")
    finally:
        guest.run(["date", "-s", f"@{now}"])
    wait_for(lambda: states(service)["later"] == "waiting", "it is before 'from' again")
    assert service.reloaded() == reloaded


def test_the_plan_is_what_a_reload_does(service: Service) -> None:
    guest = service.guest
    text = CONFIG.replace("percent: 0", "percent: 100").replace("canary", "prod")
    guest.push_text(text, "/etc/stapwatch/stapwatch.yaml")
    done = guest.run(["stapwatch", "plan"], timeout=120)
    assert (done.status, done.stderr) == (0, "")
    assert [line.split()[:3] for line in done.stdout.split("\n\n")[1].splitlines()] == [
        ["-", "here", "unload"],
        ["later", "waits", "it"],
        ["+", "none", "load"],
        ["paused", "unchanged"],
    ]
    facts = guest.run(["stapwatch", "plan", "--facts"], timeout=120).check().stdout
    guest.run(["mkdir", "-p", "/tmp/facts.d"]).check()
    guest.push_text(facts, "/tmp/facts.d/here.yaml")
    fleet = guest.run(["stapwatch", "plan", "--fleet", "/tmp/facts.d"], timeout=120).check().stdout
    assert "1 when.labels.tier" in fleet
    service.reload()
    assert states(service) == {
        "here": "off",
        "later": "waiting",
        "none": "running",
        "paused": "running",
    }
    service.stop()
    assert service.modules() == set()
