# SPDX-License-Identifier: GPL-2.0-or-later
"""All examples in the real service: the series count what a program does, exactly if no other program does
it."""

from __future__ import annotations

import shutil

from lab import Guest
from tests.examples.conftest import EXAMPLES
from tests.lab_fixtures import TRIGGER
from tests.system.service import Service, wait_for

SELF = ("probe_errors", "probe_missed", "script_array_dropped", "script_events_lost")


def trigger(guest: Guest, *words: str | int) -> str:
    return guest.run([TRIGGER, *map(str, words)], timeout=120).check().stdout


def value(service: Service, name: str, **labels: str) -> float:
    """A sample; 0 if it does not exist."""
    return service.series().get((name, frozenset(labels.items())), 0.0)


def retransmitted(guest: Guest) -> int:
    """The kernel's own count."""
    lines = guest.run(["cat", "/proc/net/snmp"]).check().stdout.splitlines()
    names, values = (line.split() for line in lines if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


def test_all_run(service: Service) -> None:
    assert service.states() == dict.fromkeys((p.stem for p in EXAMPLES.glob("*.stp")), "running")


def test_vfs_latency(service: Service, guest: Guest) -> None:
    # a file system that no other process uses
    guest.run("mkdir -p /mnt/exact && mount -t ramfs none /mnt/exact").check()
    trigger(guest, "vfs", "/mnt/exact/file", 30, 20)
    found = service.series()
    for operation, count in (("read", 30), ("write", 20)):
        labels = frozenset({"operation": operation, "fstype": "ramfs"}.items())
        assert found["stapwatch_vfs_latency_seconds_count", labels] == count
        assert 0 < found["stapwatch_vfs_latency_seconds_sum", labels] < 60


def test_syscalls(service: Service, guest: Guest) -> None:
    trigger(guest, "syscalls", 1000)
    name = "stapwatch_syscalls_total"
    assert service.value(name, process="exact-call", syscall="getppid") == 1000
    # and have restored the name
    assert service.value(name, process="exact-call", syscall="prctl") == 1


def test_page_faults(service: Service, guest: Guest) -> None:
    trigger(guest, "faults", 300)
    assert service.value("stapwatch_page_faults_total", process="exact-fault", kind="minor") == 300


def test_files_opened(service: Service, guest: Guest) -> None:
    trigger(guest, "opens", 50, 7)
    name = "stapwatch_files_opened_total"
    assert service.value(name, process="exact-open", result="opened") == 50
    assert service.value(name, process="exact-open", result="failed") == 7
    message = "exact-open"

    def lines() -> list[dict[str, str]] | None:
        found = [e for e in service.journal("--since=-10min") if message in str(e["MESSAGE"])]
        return found if len(found) >= 57 else None

    found = wait_for(lines, "57 lines in the journal")
    assert len(found) == 57
    missing = [entry for entry in found if "/no/such/file" in entry["MESSAGE"]]
    assert len(missing) == 7
    assert missing[0]["MESSAGE"].endswith("opened /no/such/file: -2")


def test_context_switches(service: Service, guest: Guest) -> None:
    waited = "stapwatch_runqueue_latency_seconds_count"
    before = value(service, waited)
    least, most, least_forced, most_forced = map(int, trigger(guest, "switches", 20).split())
    name = "stapwatch_context_switches_total"
    assert least >= 20
    assert least <= value(service, name, process="exact-switch", kind="voluntary") <= most
    assert least_forced <= value(service, name, process="exact-switch", kind="forced")
    assert value(service, name, process="exact-switch", kind="forced") <= most_forced
    # a process that slept was woken up, waited, and got a processor
    assert value(service, waited) - before >= least


def test_tcp_connections(service: Service, guest: Guest) -> None:
    trigger(guest, "connect", 17001, 25)
    for direction in ("incoming", "outgoing"):
        name = "stapwatch_tcp_connections_total"
        assert service.value(name, direction=direction, port="17001") == 25


def test_tcp_retransmits(service: Service, guest: Guest) -> None:
    name = "stapwatch_tcp_retransmits_total"
    before = value(service, name)
    least_before = retransmitted(guest)
    trigger(guest, "retransmit", 17002)
    least = retransmitted(guest) - least_before
    counted = value(service, name) - before
    assert 1 <= least <= counted <= retransmitted(guest) - least_before


def test_block_latency(service: Service, guest: Guest) -> None:
    # a device that no other process uses
    attach = "truncate -s 1M /mnt/disk && losetup /dev/loop7 /mnt/disk"
    guest.run(f"[ -b /dev/loop7 ] || mknod /dev/loop7 b 7 7; {attach}").check()
    expected = {"read": 30, "write": 40, "flush": 5}
    name = "stapwatch_block_latency_seconds_count"

    def counts() -> dict[str, float]:
        return {o: value(service, name, device="loop7", operation=o) for o in expected}

    before = counts()
    trigger(guest, "block", "/dev/loop7", *expected.values())
    after = counts()
    assert {o: after[o] - before[o] for o in expected} == expected


def test_nothing_is_lost(service: Service) -> None:
    found = service.series()
    for (name, labels), count in found.items():
        if name.removeprefix("stapwatch_").removesuffix("_total") in SELF:
            assert count == 0, f"{name}{dict(labels)}"


def test_names_units_and_types_follow_the_rules(service: Service) -> None:
    """promtool, which reads every page, is there."""
    assert shutil.which("promtool"), "see packaging/host-packages.txt"
    assert service.get("/metrics").status == 200
