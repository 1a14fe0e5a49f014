# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts come and go a hundred times, at rest and under fire, and nothing is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from lab import Guest
from tests.system.service import Service, wait_for
from tests.system.setting import Setting

CYCLES = 100
WARM_UP = 4  # cycles until caches hold what they will hold
UNDER_FIRE = 10
# two scripts that have every kind of hook between them
VERSIONS = (
    """\
global reads, entered, ticks
probe kernel.function("vfs_read") { if (execname() == "trigger") reads++ }
probe kernel.trace("sys_enter") { entered[execname()]++ }
probe timer.ms(20) { ticks++ }
probe begin { println("one begins") }
probe end { println("one ends") }
""",
    """\
global reads, sizes, samples
probe kernel.function("vfs_read").return { if (execname() == "trigger") reads++ }
probe kprobe.function("vfs_write") { sizes <<< $count }
probe kprobe.function("vfs_open").return { if ($return) sizes <<< 0 }
probe timer.profile { samples[cpu()]++ }
probe end { foreach (c in samples) printf("cpu %d: %d\\n", c, samples[c]) }
""",
)
SCRIPT = "/etc/stapwatch/probes.d/changing.stp"
READS = "stapwatch_changing_reads_total"
MEMORY = ("VmallocUsed", "Percpu", "SUnreclaim")
LEAST_LEAK = 4.0  # KiB in each cycle: the smallest thing a module could leave behind is a page


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, setting: Setting, service: Service) -> None:
    for number, text in reversed(list(enumerate(VERSIONS))):  # the first one is left in place
        guest.push_text(text, f"/root/{number}.stp")
        setting.script("changing", text)
        setting.compile()
    setting.install(guest)
    guest.run("mkdir -p /run/tracing && mount -t tracefs tracefs /run/tracing").check()
    service.start()


@pytest.fixture
def fire(guest: Guest) -> Iterator[None]:
    """A program on each processor that does nothing but what is probed."""
    with ExitStack() as stack:
        for cpu in (0, 1):
            forever = f"while :; do taskset -c {cpu} trigger read 20000; done"
            running = guest.start(forever)
            stack.callback(running.wait)
            stack.callback(running.kill)
        yield


def change(service: Service, to: int) -> str:
    """Put another version in place and tell the agent; the new module's name when it counts."""
    before = service.status()["changing"]["module"]
    pid = "$(systemctl show -P MainPID stapwatch)"
    service.guest.run(f"cp /root/{to}.stp {SCRIPT} && kill -HUP {pid}").check()

    def changed() -> str | None:
        script = service.status()["changing"]
        return script["module"] if script["module"] != before else None

    return wait_for(changed, "the other version")


def memory(guest: Guest) -> dict[str, int]:
    """KiB; what is only kept for a while is given back first."""
    guest.run("sync; echo 3 >/proc/sys/vm/drop_caches").check()
    lines = guest.run(["cat", "/proc/meminfo"]).check().stdout.splitlines()
    fields = [line.replace(":", "").split() for line in lines]
    return {name: int(value) for name, value, *_ in fields if name in MEMORY}


def test_a_hundred_changes(service: Service, guest: Guest) -> None:
    """Load, fire, SIGHUP, unload: each life counts exactly, and costs no memory when it is over."""
    names: set[str] = set()
    before: dict[str, int] = {}
    files = 0.0
    for cycle in range(WARM_UP + CYCLES):
        if cycle == WARM_UP:
            before = memory(guest)
            files = service.value("process_open_fds")
        guest.run(["trigger", "read", "20"]).check()
        assert service.value(READS) == 20, cycle
        names.add(change(service, to=(cycle + 1) % 2))
    after = memory(guest)
    assert len(names) == 2
    assert service.modules() == service.devices() == {service.status()["changing"]["module"]}
    assert service.value("process_open_fds") == files
    leaks = {name: (after[name] - before[name]) / CYCLES for name in MEMORY}
    assert all(leak < LEAST_LEAK for leak in leaks.values()), leaks
    assert guest.complaints() == []


def test_changes_under_fire(service: Service, guest: Guest, fire: None) -> None:
    """Handlers run on both processors at every moment at which a module goes."""
    for cycle in range(UNDER_FIRE):
        wait_for(lambda: service.value(READS) > 1000, "hits")
        skipped = {
            dict(labels)["probe"]
            for (name, labels), value in service.series().items()
            if name == "stapwatch_probe_skipped_total" and value
        }
        # a timer's interrupt may find its processor inside another handler; else nothing nests here
        assert {probe for probe in skipped if not probe.startswith("timer.")} == set()
        change(service, to=(cycle + 1) % 2)
        assert len(service.modules()) == 1
    assert guest.complaints() == []


def test_stop_under_fire_leaves_nothing(service: Service, guest: Guest, fire: None) -> None:
    wait_for(lambda: service.value(READS) > 1000, "hits")
    hooked = "grep -c . /run/tracing/enabled_functions; true"
    assert int(guest.run(hooked).stdout) > 0
    service.stop()
    assert service.modules() == set()
    assert service.devices() == set()
    assert int(guest.run(hooked).stdout) == 0
    assert guest.run("grep sw_ /proc/vmallocinfo").stdout == ""
    assert guest.complaints() == []
