# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts are loaded and unloaded many times, also while their probes are hit; nothing remains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest

from lab import Guest
from lab.guest import Running
from tests.system.service import Service, wait_for
from tests.system.setting import Setting

CYCLES = [20, pytest.param(100, marks=pytest.mark.long)]
WARM_UP = 2  # cycles until caches are full
UNDER_FIRE = 5
# two scripts that together have every kind of hook
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
# what is kept is the same in both, but for the keys of `changed`
KEPT = """\
global reads, calls, sizes, last, changed
probe kernel.function("vfs_read") {
    if (execname() == "trigger") {
        reads[execname(), cpu()]++; calls++; sizes <<< 8; last = execname(); changed[KEYS]++
    }
}
probe timer.s(600) { println(last) }
"""
KEPT_VERSIONS = tuple(KEPT.replace("KEYS", keys) for keys in ("cpu()", "cpu(), execname()"))
KEEP = """\
scripts:
  keeping:
    metrics:
      reads: {keep: true, labels: [process, cpu]}
      calls: {keep: true}
      sizes: {keep: true, unit: bytes}
      last: {keep: true, type: info}
      changed: {keep: true}
"""
READING = "n=0; while [ ! -e /root/enough ]; do trigger read 1000; n=$((n + 1)); done; echo $n"
SCRIPT = "/etc/stapwatch/probes.d/changing.stp"
READS = "stapwatch_changing_reads_total"
MEMORY = ("VmallocUsed", "Percpu", "SUnreclaim")
OVERLAP = 50  # calls of the microseconds in which a call may find both modules or none
LEAST_LEAK = 4.0  # KiB in each cycle: the smallest leak of a module is a page


@pytest.fixture(scope="module", autouse=True)
def started(guest: Guest, setting: Setting, service: Service) -> None:
    for number, text in reversed(list(enumerate(VERSIONS))):  # the first one remains
        guest.push_text(text, f"/root/{number}.stp")
        setting.script("changing", text)
        setting.compile()
    for number, text in enumerate(KEPT_VERSIONS):
        guest.push_text(text, f"/root/kept{number}.stp")
        setting.script("keeping", text)
        setting.compile()
    setting.remove("probes.d/keeping.stp")
    setting.install(guest)
    guest.run("mkdir -p /run/tracing && mount -t tracefs tracefs /run/tracing").check()
    service.start()


class Shell:
    """One persistent shell: a command costs a tenth of starting a shell in the guest."""

    def __init__(self, guest: Guest) -> None:
        self._running = guest.start('while read -r line; do eval "$line"; done', stdin=True)
        self._said = 0

    def run(self, command: str) -> None:
        """Run a command and wait until it has ended successfully."""
        self._said += 1
        self._running.write(f"{command} && echo done {self._said}.\n".encode())
        done = self._running.wait(until=f"done {self._said}.".encode())
        assert f"done {self._said}." in done.stdout, done.stderr

    def end(self) -> None:
        self._running.end_input()
        assert self._running.wait().status == 0


@pytest.fixture
def shell(guest: Guest) -> Iterator[Shell]:
    started = Shell(guest)
    yield started
    started.end()


@pytest.fixture
def fire(guest: Guest) -> Iterator[None]:
    """A program on each processor that only calls probed functions."""
    with ExitStack() as stack:
        for cpu in (0, 1):
            forever = f"while :; do taskset -c {cpu} trigger read 20000; done"
            running = guest.start(forever)
            stack.callback(running.wait)
            stack.callback(running.kill)
        yield


def change(service: Service, shell: Shell) -> str:
    """Install the other version and reload the agent. Returns the new module's name when it counts."""
    before = service.tree()
    other = (
        f"{{ cmp -s /root/0.stp {SCRIPT} && cp /root/1.stp {SCRIPT} || cp /root/0.stp {SCRIPT}; }}"
    )
    shell.run(f"{other} && kill -HUP $(systemctl show -P MainPID stapwatch)")
    time = before["reload"]["timestamp"]

    def reloaded() -> dict[str, Any] | None:
        tree = service.tree()
        return tree if tree["reload"]["timestamp"] > time else None

    after = wait_for(reloaded, "the reload")
    names = [tree["scripts"][0]["module"] for tree in (before, after)]
    assert names[0] != names[1]
    return str(names[1])


def memory(guest: Guest) -> dict[str, int]:
    """Kernel memory in KiB; caches are dropped first."""
    guest.run("sync; echo 3 >/proc/sys/vm/drop_caches").check()
    lines = guest.run(["cat", "/proc/meminfo"]).check().stdout.splitlines()
    fields = [line.replace(":", "").split() for line in lines]
    return {name: int(value) for name, value, *_ in fields if name in MEMORY}


@pytest.mark.parametrize("cycles", CYCLES)
def test_many_changes(service: Service, guest: Guest, shell: Shell, cycles: int) -> None:
    """Load, fire, SIGHUP, unload: each module counts exactly, and leaves no memory behind."""
    names: set[str] = set()
    before: dict[str, int] = {}
    files = 0.0
    for cycle in range(WARM_UP + cycles):
        if cycle == WARM_UP:
            before = memory(guest)
            files = service.value("process_open_fds")
        shell.run("trigger read 20")
        assert service.value(READS) == 20, cycle
        names.add(change(service, shell))
    after = memory(guest)
    assert len(names) == 2
    assert service.modules() == service.devices() == {service.status()["changing"]["module"]}
    assert service.value("process_open_fds") == files
    leaks = {name: (after[name] - before[name]) / cycles for name in MEMORY}
    assert all(leak < LEAST_LEAK for leak in leaks.values()), leaks
    assert guest.complaints() == []


def test_a_change_loses_and_doubles_nothing(service: Service, guest: Guest, shell: Shell) -> None:
    """What the old module counted after its last page comes in the next one, and then the new one's counts."""
    change(service, shell)
    for _ in range(2):  # after what earlier tests left
        service.value(READS)
    pages = []
    for _ in range(2):
        shell.run("trigger read 20")
        pages.append(service.value(READS))
        shell.run("trigger read 7")
        change(service, shell)
        shell.run("trigger read 3")
        pages += [service.value(READS), service.value(READS)]
    assert pages == [20, 27, 3, 23, 30, 3]
    assert service.get("/metrics", **{"User-Agent": "a person"}).status == 200


def test_a_change_while_events_come(service: Service, guest: Guest, shell: Shell) -> None:
    """Each call is counted by the old module or by the new one. At the swap, a call may run on each processor,
    and those of some microseconds, or of a time slice, may find both modules or none."""
    service.value(READS)
    before = service.value(READS)
    reading = guest.start(READING)
    wait_for(lambda: service.value(READS) > before, "the first of them")
    change(service, shell)
    last, total = service.value(READS), end(reading, shell)
    new = service.value(READS)
    assert last > before and new > 0, "the change came while it was reading"
    assert abs(last - before + new - total) < OVERLAP, (before, last, new, total)


def test_a_comment_is_no_change(service: Service, guest: Guest, shell: Shell) -> None:
    """The module goes on, and so do its values."""
    shell.run("trigger read 20")
    [before] = service.tree()["scripts"]
    for edit in ("1i # a comment", "1s/$/ \\/* another one *\\//"):
        shell.run(f"sed -i '{edit}' {SCRIPT}")
        service.reload()
        [after] = service.tree()["scripts"]
        assert (after["module"], after["state"]) == (before["module"], "running")
    assert service.value(READS) >= 20
    shell.run(f"sed -i 1d {SCRIPT}")


def test_kept_values_go_on(service: Service, guest: Guest, shell: Shell) -> None:
    """Nothing that is kept falls or is lost, also while the new module takes over under load."""
    script = "/etc/stapwatch/probes.d/keeping.stp"
    guest.push_text(KEEP, "/etc/stapwatch/conf.d/keep.yaml")
    shell.run(f"cp /root/kept0.stp {script}")
    service.reload()
    reading = guest.start(READING)
    pages = [wait_for(lambda: kept(service) or None, "the first reads")]
    shell.run(f"cp /root/kept1.stp {script}")
    service.reload()
    pages += [kept(service) for _ in range(3)]
    total = end(reading, shell)
    pages.append(kept(service))
    for before, after in pairwise(pages):
        assert all(before[name] <= after[name] for name in before), pages
    last = pages[-1]
    assert last["reads"] == last["calls"] == last["sizes"], "they are counted together"
    assert abs(last["calls"] - total) < OVERLAP, pages
    info = frozenset({("value", "trigger")})
    assert ("stapwatch_keeping_last_info", info) in service.series()
    anew = [v for (n, _), v in service.series().items() if n == "stapwatch_keeping_changed_total"]
    assert sum(anew) < total
    [said] = [e["MESSAGE"] for e in service.journal("SCRIPT=keeping", "PRIORITY=4")]
    assert said == ("script keeping: the values of global 'changed' do not go on: its keys differ")
    shell.run(f"rm {script} /etc/stapwatch/conf.d/keep.yaml")
    service.reload()


def end(reading: Running, shell: Shell) -> int:
    """End `READING`. Returns how often it has read."""
    shell.run("touch /root/enough")
    done = reading.wait()
    shell.run("rm /root/enough")
    assert done.status == 0, done.stderr
    return 1000 * int(done.stdout)


def kept(service: Service) -> dict[str, float]:
    """What the globals that are kept have counted, in one page; {} if they have not begun."""
    series = service.series()
    reads = [v for (name, _), v in series.items() if name == "stapwatch_keeping_reads_total"]
    none: frozenset[tuple[str, str]] = frozenset()
    if not reads:
        return {}
    return {
        "reads": sum(reads),
        "calls": series["stapwatch_keeping_calls_total", none],
        "sizes": series["stapwatch_keeping_sizes_bytes_count", none],
    }


def test_changes_under_fire(service: Service, guest: Guest, shell: Shell, fire: None) -> None:
    """Handlers run on both processors at every moment at which a module goes."""
    for _ in range(UNDER_FIRE):
        wait_for(lambda: service.value(READS) > 1000, "hits")
        skipped = {
            dict(labels)["probe"]
            for (name, labels), value in service.series().items()
            if name == "stapwatch_probe_skipped_total" and value
        }
        # a timer's interrupt may find its processor inside another handler; else nothing nests here
        assert {probe for probe in skipped if not probe.startswith("timer.")} == set()
        change(service, shell)
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
