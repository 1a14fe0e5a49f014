# SPDX-License-Identifier: GPL-2.0-or-later
"""Labels that people know, in the real service: units of systemd by their cgroups' numbers, with exact sums.
The agent has no privilege. The tests follow one another on one running service.
"""

from __future__ import annotations

import pytest

from lab import Guest
from tests.system.service import Service, wait_for
from tests.system.setting import MAIN, Setting

GETPPID = 110
GROUPS = f"""\
global calls, paths, units, users, all
probe kernel.trace("sys_enter") {{
	if ($id != {GETPPID} || execname() != "trigger") next
	calls[cgroup_id(), pid(), $id]++
	paths[cgroup_id()]++
	units[systemd_unit()]++
	users[uid()] <<< 1
	all++
}}
"""
THINGS = """\
global disks, links
probe begin {{ disks[MKDEV({major}, {minor})] = 1 links[{index}] = 1 }}
"""
CONFIG = f"""{MAIN}
scripts:
  groups:
    metrics:
      calls:
        name: calls
        labels:
          - {{from: cgroup_id, name: unit, decode: systemd_unit}}
          - {{from: cgroup_id, name: slice, decode: systemd_slice}}
          - {{from: 3, name: call, decode: syscall}}
          - {{from: pid, drop: true}}
      all: {{name: all_calls, labels: {{from: cpu}}}}
      users: {{name: users, labels: {{from: uid, name: user, decode: user}}}}
  things:
    metrics:
      disks: {{name: disks, labels: {{from: 1, name: disk, decode: disk}}}}
      links: {{name: links, labels: {{from: 1, name: link, decode: interface}}}}
"""
UNIT = "demo.service"
SERIES = {"unit": UNIT, "slice": "system.slice", "call": "getppid"}


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, setting: Setting, service: Service) -> None:
    setting.write("stapwatch.yaml", CONFIG)
    setting.script("groups", GROUPS)
    major, _, minor = (
        guest.run("cat /sys/class/block/vda/dev").check().stdout.strip().partition(":")
    )
    index = guest.run("cat /sys/class/net/lo/ifindex").check().stdout.strip()
    setting.script("things", THINGS.format(major=major, minor=minor, index=index))
    setting.compile()
    setting.install(guest)
    service.start()


def run_unit(guest: Guest, *counts: int) -> None:
    """Start the unit, which has called so often when this returns, and lives on."""
    calls = "".join(f"trigger getppid {count}; " for count in counts)
    command = f"{calls} touch /run/called; exec sleep 1000"
    guest.run(["systemd-run", f"--unit={UNIT}", "sh", "-c", command]).check()
    guest.run("until [ -e /run/called ]; do sleep 0.1; done; rm /run/called").check()


def stop_unit(guest: Guest) -> None:
    guest.run(["systemctl", "stop", UNIT]).check()
    guest.run(f"until [ ! -e /sys/fs/cgroup/system.slice/{UNIT} ]; do sleep 0.1; done").check()


def sums(service: Service) -> list[float]:
    """The unit's calls by all ways in which a script can tell them."""
    return [
        service.value("calls_total", **SERIES),
        service.value("stapwatch_groups_paths_total", cgroup=f"/system.slice/{UNIT}"),
        service.value("stapwatch_groups_units_total", systemd_unit=UNIT),
    ]


def test_a_unit_s_calls_are_one_series(guest: Guest, service: Service) -> None:
    run_unit(guest, 333, 111)
    assert sums(service) == [444, 444, 444]
    assert service.value("users_sum", user="root") == 444
    # two processes are two elements, and one series
    tree = service.get("/status?script=groups").body.decode()
    assert service.status()["groups"]["series"] == service.value(
        "stapwatch_script_series", script="groups"
    )
    assert '"elements": 2' in tree


def test_disks_and_interfaces_have_names(service: Service) -> None:
    assert service.value("disks", disk="vda") == service.value("links", link="lo") == 1


def test_each_cpu_has_its_part(service: Service) -> None:
    parts = {
        dict(labels)["cpu"]: value
        for (name, labels), value in service.series().items()
        if name == "all_calls_total"
    }
    assert sum(parts.values()) == 444
    assert all(cpu.isdigit() and value > 0 for cpu, value in parts.items())


def test_its_name_stays_when_it_has_gone(guest: Guest, service: Service) -> None:
    stop_unit(guest)
    assert sums(service) == [444, 444, 444]


def test_another_start_of_it_adds_to_the_same_series(guest: Guest, service: Service) -> None:
    run_unit(guest, 56)
    assert sums(service) == [500, 500, 500]
    stop_unit(guest)
    assert sums(service) == [500, 500, 500]


def test_a_restart_of_the_agent_forgets_no_name(service: Service) -> None:
    service.systemctl("restart", "stapwatch").check()
    assert sums(service) == [500, 500, 500]


def test_a_cgroup_that_came_and_went_between_two_pages_has_its_number(
    guest: Guest, service: Service
) -> None:
    start = ["systemd-run", "--unit=brief", "--property=Type=oneshot"]  # returns when it has ended
    guest.run([*start, "trigger", "getppid", "7"]).check()
    gone = wait_for(
        lambda: [
            dict(labels)
            for (name, labels), value in service.series().items()
            if name == "calls_total" and value == 7
        ],
        "the calls",
    )
    assert len(gone) == 1 and gone[0]["unit"].isdigit()
    assert service.value("stapwatch_groups_units_total", systemd_unit="brief.service") == 7
    failures = "stapwatch_label_decode_failures_total"
    assert service.value(failures, script="groups", decoder="systemd_unit") == 1
    assert service.value(failures, script="groups", decoder="cgroup") == 1
