# SPDX-License-Identifier: GPL-2.0-or-later
"""All examples in the real service: the series count what a program does, exactly if no other program does
it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.config import load
from agent.exposition.render import Format
from lab import Guest
from tests.agent.pages import parsed
from tests.examples.cases import CASES, Case, Name, unit
from tests.examples.conftest import EXAMPLES, packaged_configuration
from tests.lab_fixtures import TRIGGER
from tests.system.service import Series, Service, wait_for

KINDS = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "TASKLET", "SCHED", "HRTIMER", "RCU")
SELF = ("probe_errors", "probe_missed", "script_array_dropped", "script_events_lost")


def trigger(guest: Guest, *words: str | int) -> str:
    return guest.run([TRIGGER, *map(str, words)], timeout=120).check().stdout


def value(service: Service, name: str, **labels: str) -> float:
    """A sample; 0 if it does not exist."""
    return service.series().get((name, frozenset(labels.items())), 0.0)


def total(found: Series, name: str, **labels: str) -> float:
    """The sum of all samples that have these labels, and others."""
    wanted = labels.items()
    return sum(v for (n, has), v in found.items() if n == name and wanted <= has)


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
    assert 1 <= least <= value(service, name, process="exact-switch", kind="voluntary") <= most
    assert least_forced <= value(service, name, process="exact-switch", kind="forced")
    assert value(service, name, process="exact-switch", kind="forced") <= most_forced
    # a process that slept was woken up, waited, and got a processor
    assert value(service, waited) - before >= least
    off = "stapwatch_off_cpu_seconds"
    assert least <= service.value(f"{off}_count", process="exact-switch") <= most
    assert service.value(f"{off}_sum", process="exact-switch") > 0


def test_tcp_connections(service: Service, guest: Guest) -> None:
    trigger(guest, "connect", 17001, 25)
    for direction in ("incoming", "outgoing"):
        name = "stapwatch_tcp_connections_total"
        assert service.value(name, direction=direction, port="17001") == 25


def test_tcp_retransmits(service: Service, guest: Guest) -> None:
    names = ("stapwatch_tcp_retransmits_total", "stapwatch_tcp_peer_retransmits_total")
    before = service.series()
    least_before = retransmitted(guest)
    trigger(guest, "retransmit", 17002)
    least = retransmitted(guest) - least_before
    after = service.series()
    most = retransmitted(guest) - least_before
    for name in names:
        assert 1 <= least <= total(after, name) - total(before, name) <= most
    assert total(after, names[1], peer="127.0.0.1") >= 1


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
    name = "stapwatch_block_io_bytes_total"
    for operation in ("read", "write"):
        labels = {"process": "exact-block", "device": "loop7", "operation": operation}
        assert service.value(name, **labels) == expected[operation] * 4096


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.example != "oom_kills"], ids=lambda c: c.example
)
def test_counts(case: Case, service: Service, guest: Guest) -> None:
    assert counted(case, service, guest) == case.counts


def counted(case: Case, service: Service, guest: Guest) -> dict[Name, float]:
    """How much the case's series grow by its command."""
    before = service.series()
    guest.run(case.command, timeout=120).check()
    after = service.series()
    return {name: after.get(name, 0) - before.get(name, 0) for name in case.counts}


def test_oom_kills(service: Service, guest: Guest) -> None:
    [case] = [c for c in CASES if c.example == "oom_kills"]
    assert guest.complaints() == []
    assert counted(case, service, guest) == case.counts
    # the kernel has written a report with a call trace, which is no fault here
    guest.run(["dmesg", "--clear"]).check()
    assert guest.complaints() == []


def traced(guest: Guest, words: str) -> int:
    """Change what the kernel's function tracer does. Returns how many calls it has seen."""
    guest.run(f"cd /sys/kernel/tracing && {words}").check()
    return int(guest.run("grep -vc ^# /sys/kernel/tracing/trace || true").check().stdout)


def test_cpu_throttling(service: Service, guest: Guest) -> None:
    name, cgroup = "exact-quota.service", "/system.slice/exact-quota.service"
    trace = "echo unthrottle_cfs_rq >set_ftrace_filter && echo function >current_tracer"
    assert traced(guest, trace) == 0
    guest.run(unit("exact-quota", "trigger spin 200", "-p CPUQuota=10%"), timeout=120).check()
    least = traced(guest, "true")
    found = service.series()
    most = traced(guest, "true")
    guest.run(
        "cd /sys/kernel/tracing && echo nop >current_tracer && echo >set_ftrace_filter"
    ).check()
    metric = "stapwatch_cpu_throttled_seconds"
    count = total(found, f"{metric}_count", systemd_unit=name, cgroup=cgroup)
    assert 1 <= least <= count <= most
    assert total(found, f"{metric}_sum", systemd_unit=name, cgroup=cgroup) > 0


INTERRUPTS = """\
awk 'NR == 1 { cpus = NF; next } { sub(":", "", $1); sum = 0; for (i = 2; i <= cpus + 1; i++) sum += $i
     print $1, sum }' /proc/softirqs /proc/interrupts"""


def interrupts(guest: Guest) -> dict[str, int]:
    """The kernel's own counts, by kind of soft interrupt and number of interrupt."""
    lines = guest.run(INTERRUPTS).check().stdout.splitlines()
    return {name: int(count) for name, count in (line.split() for line in lines) if count.isdigit()}


def test_interrupts(service: Service, guest: Guest) -> None:
    names = {"irq": "stapwatch_irq_seconds_count", "kind": "stapwatch_softirq_seconds_count"}

    def growth(after: Series, label: str, which: str) -> float:
        name = names[label]
        return total(after, name, **{label: which}) - total(before, name, **{label: which})

    first = interrupts(guest)
    before = service.series()
    second = interrupts(guest)
    guest.run("dd if=/dev/vda of=/dev/null bs=64k count=16 iflag=direct").check()
    third = interrupts(guest)
    after = service.series()
    fourth = interrupts(guest)
    seen = set()
    for which in first:
        label = "irq" if which.isdigit() else "kind"
        found = growth(after, label, which)
        if found:
            seen.add(label)
        if found or (label == "kind" and which in KINDS):
            assert third[which] - second[which] <= found <= fourth[which] - first[which], which
    assert seen == {"irq", "kind"}


def test_nothing_is_lost(service: Service) -> None:
    found = service.series()
    for (name, labels), count in found.items():
        if name.removeprefix("stapwatch_").removesuffix("_total") in SELF:
            assert count == 0, f"{name}{dict(labels)}"
    lost = {
        labels: n for (name, labels), n in found.items() if name == "stapwatch_lost_total" and n
    }
    # a packet that an interrupt drops while the handler runs
    lost.pop(frozenset({"script": "packet_drops", "reason": "reentrant"}.items()), None)
    assert lost == {}


def test_every_metric_has_series_in_both_formats(service: Service, tmp_path: Path) -> None:
    text = parsed(service.get("/metrics").body, Format.TEXT)
    om = service.get("/metrics", Accept="application/openmetrics-text; version=1.0.0").body
    assert len(parsed(om, Format.OPENMETRICS)) >= len(text)
    declared = {
        metric.name
        for script in load.load(packaged_configuration(tmp_path)).scripts.values()
        for metric in script.metrics.values()
        if metric.name
    }
    counted = {family for family, found in text.items() if any(s.value > 0 for s in found.samples)}
    assert {name for name in declared if not any(f.startswith(name) for f in counted)} == set()


def test_names_units_and_types_follow_the_rules(service: Service) -> None:
    """promtool, which reads every page, is there."""
    assert shutil.which("promtool"), "see packaging/host-packages.txt"
    assert service.get("/metrics").status == 200
