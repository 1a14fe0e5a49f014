# SPDX-License-Identifier: GPL-2.0-or-later
"""Scripts that print and fail without end: the agent serves its pages and its watchdog, and loses no line that
it has read, when it is killed or when the journal takes nothing.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lab import Guest
from lab.guest import Running
from tests.system.service import Service, error_count, wait_for
from tests.system.setting import MAIN, Setting

# Of the counting scripts: fewer than a ring holds, so that none is lost while nobody reads, and for one of them
# more than the agent reads at once. The journal takes tens of milliseconds for a line under emulation.
LINES = {"count": 1200, "parts": 300}
PATIENCE = 900.0
PRINTS = """\
global n
probe kernel.trace("sys_enter") {{ if ($id == 110 && execname() == "{name}") printf("{name} %d\\n", n++) }}
"""
# Two prints a line, so that pieces end within lines.
PARTS = """\
global n
probe kernel.trace("sys_enter") {{
	if ($id != 110 || execname() != "{name}") next
	printf("{name} ")
	printf("%d\\n", n++)
}}
"""
ERRORS = """\
global n
probe kernel.trace("sys_enter") { if (execname() == "blowing") for (i = 0; i < 100000; i++) n += i }
"""
SCRIPTS = {
    "count": PRINTS.format(name="count"),
    "parts": PARTS.format(name="parts"),
    "storm": PRINTS.format(name="blowing"),
    "halves": PARTS.format(name="blowing"),
    "errors": ERRORS,
}
CONFIG = f"""{MAIN}
scripts:
  storm: {{defines: {{RINGSIZE: 8192}}}}  # little is left to read after the storm: the journal is slow
  halves: {{defines: {{RINGSIZE: 8192}}}}
"""
CALL = """\
import os, sys
open("/proc/self/comm", "w").write(sys.argv[1])
for _ in range(int(sys.argv[2])): os.getppid()
"""
BLOW = """\
import os
open("/proc/self/comm", "w").write("blowing")
print("blows", flush=True)
while True: os.getppid()
"""
LOST = "stapwatch_script_events_lost_total"


@pytest.fixture(scope="module", autouse=True)
def serving(guest: Guest, setting: Setting, service: Service) -> None:
    setting.write("stapwatch.yaml", CONFIG)
    for name, text in SCRIPTS.items():
        setting.script(name, text)
    setting.compile()
    setting.install(guest)
    guest.push_text(CALL, "/root/call.py")
    guest.push_text(BLOW, "/root/blow.py")
    service.start()
    assert service.states() == dict.fromkeys(SCRIPTS, "running")


@contextmanager
def storm(guest: Guest) -> Iterator[Running]:
    blowing = guest.start(["python3", "/root/blow.py"], timeout=900)
    blowing.wait(until=b"blows\n")
    yield blowing
    blowing.kill(signal.SIGKILL)
    blowing.wait()


def call(guest: Guest, name: str, count: int) -> None:
    guest.run(["python3", "/root/call.py", name, str(count)], timeout=300).check()


def numbers(service: Service, name: str, since: str) -> Counter[int]:
    """How often each line of a counting script is in the journal after a cursor.

    By the identifier, because the journal does not find the unit of a process that is dead by the time at which
    it receives the line.
    """
    service.guest.run(["journalctl", "--sync"], timeout=60).check()
    argv = ["journalctl", "-o", "cat", "-t", "stapwatch", f"--after-cursor={since}"]
    texts = [
        line.split() for line in service.guest.run(argv, timeout=120).check().stdout.splitlines()
    ]
    return Counter(int(text[1]) for text in texts if text[0] == name and len(text) == 2)


def journal_end(guest: Guest) -> str:
    """The cursor of the agent's last entry.

    Not of the journal's: after a cursor, journalctl leaves out the first entry that it shows.
    """
    guest.run(["journalctl", "--sync"], timeout=60).check()
    argv = ["journalctl", "-t", "stapwatch", "-n", "1", "-o", "cat", "--show-cursor"]
    return guest.run(argv).check().stdout.splitlines()[-1].removeprefix("-- cursor: ")


def test_pages_and_watchdog_get_their_turns(guest: Guest, service: Service) -> None:
    """Without them the watchdog would end the service after half a minute."""
    period = int(service.show("WatchdogUSec").rstrip("s"))
    fed = int(service.show("WatchdogTimestampMonotonic"))
    took = []
    with storm(guest):
        began = time.monotonic()
        while time.monotonic() < began + 1.5 * period:
            at = time.monotonic()
            page = service.get("/metrics")
            took.append(time.monotonic() - at)
            assert page.status == 200
        lost = service.value(LOST, script="storm")
    took.sort()
    print(
        f"{len(took)} scrapes in a storm: median {took[len(took) // 2]:.2f} s, most {took[-1]:.2f} s"
    )
    assert took[-1] < period / 2
    assert int(service.show("WatchdogTimestampMonotonic")) > fed
    assert service.show("NRestarts") == "0"
    assert lost > 0, "the storm was more than the agent can read"


def test_errors_are_summed_up(service: Service) -> None:
    """Each is in a line, in a line's number, or counted as lost."""
    point = 'kernel.trace("sys_enter")'

    def found() -> list[str] | None:
        texts = service.errors("errors")
        told = sum(map(error_count, texts))
        errors = service.value("stapwatch_probe_errors_total", script="errors", probe=point)
        return texts if told + service.value(LOST, script="errors") == errors else None

    texts = wait_for(found, "the last errors in a summary", PATIENCE)
    assert "MAXACTION" in texts[0] and " more in " not in texts[0]
    assert 2 <= len(texts) < 20, "one line at first, and then one for ten seconds"


def quiet(service: Service) -> bool:
    """The agent has read and written what the storm has left."""
    before = service.series()["stapwatch_script_log_lines_total", frozenset({("script", "storm")})]
    time.sleep(0.5)
    return service.count("stapwatch_script_log_lines_total", script="storm") == before


def test_a_killed_agent_loses_no_line(guest: Guest, service: Service) -> None:
    """The next agent goes on where this one had written, and repeats at most one piece."""
    wait_for(lambda: quiet(service), "the storm's last lines", PATIENCE)
    since = journal_end(guest)
    for name, count in LINES.items():
        call(guest, name, count)
    wait_for(lambda: 0 in numbers(service, "count", since), "the first lines")
    killed = service.show("MainPID")
    guest.run(["kill", "-KILL", killed]).check()
    wait_for(lambda: service.show("ActiveState") == "active", "the next agent")
    assert service.show("MainPID") != killed
    for name, count in LINES.items():
        call(guest, name, 10)
        last = count + 9
        wait_for(lambda: last in numbers(service, name, since), f"{name}'s last line", PATIENCE)  # noqa: B023
        found = numbers(service, name, since)
        assert sorted(found) == list(range(last + 1)), name
        repeated = sum(found.values()) - len(found)
        print(f"{repeated} lines of {name} were written twice")
        assert repeated <= (1 << 15) // 32 and max(found.values()) <= 2
        assert service.value(LOST, script=name) == 0


def test_a_journal_that_takes_nothing_delays_lines(guest: Guest, service: Service) -> None:
    since = journal_end(guest)
    first = service.value("stapwatch_script_log_lines_total", script="count")
    guest.run(["systemctl", "kill", "-s", "STOP", "systemd-journald"]).check()
    for name, count in LINES.items():
        call(guest, name, count)
    for _ in range(3):
        assert service.get("/metrics").status == 200
    held = service.value("stapwatch_script_log_lines_total", script="count") - first
    assert held < LINES["count"], "the others are in the ring"
    guest.run(["systemctl", "kill", "-s", "CONT", "systemd-journald"]).check()
    for name, count in LINES.items():
        last = 2 * count + 9
        wait_for(lambda: last in numbers(service, name, since), f"{name}'s last line", PATIENCE)  # noqa: B023
        found = numbers(service, name, since)
        assert found == Counter(range(count + 10, last + 1)), name
        assert service.value(LOST, script=name) == 0
    assert service.value("stapwatch_log_lines_lost_total") == 0
