# SPDX-License-Identifier: GPL-2.0-or-later
"""Restarts, a release's upgrade and the loss of all tools stop no script; a stop does, even without an agent."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from agent.exposition.render import Format
from lab import Guest
from lab.guest import Running
from tests.agent import pages
from tests.system.service import Service, wait_for
from tests.system.setting import Setting

CALLS = """\
global getppid
probe kernel.trace("sys_enter") { if ($id == 110 && execname() == "steps") getppid[execname()]++ }
"""
OPENS = """\
probe syscall.openat { if (execname() == "steps") printf("opened %s\\n", filename) }
probe end { println("the last line") }
"""
STEPS = """\
import os, signal, time
open("/proc/self/comm", "w").write("steps")
ended = []
signal.signal(signal.SIGINT, lambda *_: ended.append(1))
time.sleep(0)
print("steps", flush=True)
calls = opens = 0
while not ended:
    for _ in range(20):
        os.getppid()
        calls += 1
    try:
        os.open(f"/nowhere/{opens}", os.O_RDONLY)
    except OSError:
        opens += 1
    time.sleep(0.01)
print(calls, opens)
"""
VALUE = "stapwatch_calls_getppid_total"
STARTED = "stapwatch_script_start_timestamp_seconds"
SOCKET = "[Socket]\nListenStream=\nListenStream=0.0.0.0:9436\n"
NEWER = "0.99.0"
# The new release's file in place of the old one's; the .pyc of that is no longer used.
UPGRADE = f"""
set -e
cd /usr/lib/stapwatch/compiler
sed 's/^VERSION = .*/VERSION = "{NEWER}"/' version.py > /root/version.py
: > /root/empty
mount --bind /root/version.py version.py
for pyc in __pycache__/version.*.pyc; do mount --bind /root/empty $pyc; done
"""
NO_TOOLS = """
set -e
mkdir /root/none
mount --bind /root/none /usr/src
for tool in gcc ld as; do
    [ ! -e /usr/bin/$tool ] || mount --bind /root/empty $(readlink -f /usr/bin/$tool)
done
! gcc --version
"""


@pytest.fixture(scope="module")
def modules(guest: Guest, setting: Setting, service: Service) -> set[str]:
    """Those of the running service, whose port systemd holds."""
    setting.script("calls", CALLS)
    setting.script("opens", OPENS)
    setting.compile()
    setting.install(guest)
    guest.push_text(STEPS, "/root/steps.py")
    guest.run(["mkdir", "/etc/systemd/system/stapwatch.socket.d"]).check()
    guest.push_text(SOCKET, "/etc/systemd/system/stapwatch.socket.d/lab.conf")
    service.systemctl("daemon-reload").check()
    guest.run(["systemctl", "enable", "--now", "stapwatch.socket"], timeout=120).check()
    service.start()
    assert set(service.states().values()) == {"running"}
    return service.modules()


@dataclass
class Scraper:
    """Scrapes as fast as it gets pages. `samples`: the counter and the scripts' start times in each of them."""

    service: Service
    samples: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def scrape(self) -> None:
        accept = "application/openmetrics-text; version=1.0.0"
        while not self.stop.wait(0.05):
            try:
                # the next agent starts beside the load, and an emulator is slow: only an error is a failure
                url = f"http://127.0.0.1:{self.service.port}/metrics"
                body = pages.fetched(url, 180, Accept=accept).body
                found = pages.samples(body, Format.OPENMETRICS)
                [value] = [v for (name, _), v in found.items() if name == VALUE]
                started = {str(k): v for (name, k), v in found.items() if name == STARTED}
                self.samples.append((value, started))
            except (OSError, ValueError) as error:
                self.failures.append(repr(error))


@contextmanager
def scraping(service: Service) -> Iterator[Scraper]:
    found = Scraper(service)
    thread = threading.Thread(target=found.scrape)
    thread.start()
    try:
        yield found
    finally:
        found.stop.set()
        thread.join()


def stepping(guest: Guest) -> Running:
    running = guest.start(["python3", "/root/steps.py"], timeout=600)
    running.wait(until=b"steps\n")
    return running


def steps(running: Running) -> tuple[int, int]:
    """End it. How many calls and how many opens it has made."""
    running.kill(2)
    calls, opens = running.wait().check().stdout.split()[-2:]
    return int(calls), int(opens)


def pid_after(service: Service, before: str) -> str:
    """The agent that follows this one, when it is ready."""

    def follower() -> str | None:
        pid = service.show("MainPID")
        return pid if pid not in (before, "0") and service.show("SubState") == "running" else None

    return wait_for(follower, "another agent")


def test_restarts_under_load(service: Service, modules: set[str]) -> None:
    """`systemctl restart`, and a SIGTERM that systemd knows nothing of: nothing is lost, and nothing refused."""
    guest = service.guest
    running = stepping(guest)
    wait_for(lambda: service.count(VALUE, execname="steps") > 0, "the first calls")
    with scraping(service) as scraper:
        wait_for(lambda: len(scraper.samples) > 1, "the first pages")
        pid = service.show("MainPID")
        service.systemctl("restart", "stapwatch").check()
        second = pid_after(service, pid)
        guest.run(["kill", second]).check()
        pid_after(service, second)
        here = len(scraper.samples)
        wait_for(lambda: len(scraper.samples) > here + 1, "pages of the third agent")
        calls, opens = steps(running)
    assert scraper.failures == []
    values = [value for value, _ in scraper.samples]
    assert values == sorted(values) and values[0] < values[-1]
    started = scraper.samples[0][1]
    assert len(started) == 2
    assert all(found == started for _, found in scraper.samples)
    assert service.count(VALUE, execname="steps") == calls
    assert service.modules() == modules

    def lines() -> Counter[str] | None:
        found = Counter(e["MESSAGE"] for e in service.journal("SCRIPT=opens") if "FILENAME" in e)
        return found if sum(found.values()) >= opens else None

    found = wait_for(lines, f"{opens} lines")
    assert found == Counter({f'opened "/nowhere/{n}"': 1 for n in range(opens)})
    said = [entry["MESSAGE"] for entry in service.journal() if "SCRIPT" not in entry]
    assert sum("2 modules stay loaded for the next agent" in text for text in said) == 2
    assert sum("systemd has no job for stapwatch.service" in text for text in said) == 1


def test_another_release_without_any_tools(service: Service, modules: set[str]) -> None:
    """What runs is adopted; what is in the cache is loaded, although nothing could be compiled."""
    guest = service.guest
    before = service.count(VALUE, execname="steps")
    assert before > 0
    guest.run(UPGRADE).check()
    guest.run(NO_TOOLS).check()
    service.systemctl("restart", "stapwatch").check()
    tree = service.tree()
    assert tree["version"] == NEWER
    assert {s["state"] for s in tree["scripts"]} == {"running"}
    assert all(s["older_compiler"] for s in tree["scripts"])
    assert service.modules() == modules
    running = stepping(guest)
    wait_for(lambda: service.count(VALUE, execname="steps") > before, "calls")
    calls, _ = steps(running)
    assert service.count(VALUE, execname="steps") == before + calls
    status = guest.run(["stapwatch", "status"], timeout=120)
    assert status.status == 0 and "its module is of compiler 0." in status.stdout

    service.stop()
    assert service.modules() == set()
    assert service.show("ActiveState") == "inactive"
    service.start()
    assert service.modules() == modules, "from the cache"
    assert set(service.states().values()) == {"running"}
    assert service.count(VALUE, execname="steps") == 0


def test_a_stop_without_an_agent(service: Service, modules: set[str]) -> None:
    """The agent was killed, and systemd waits before it starts another: a stop unloads, with end probes."""
    guest = service.guest
    guest.run(["mkdir", "-p", "/etc/systemd/system/stapwatch.service.d"]).check()
    late = "[Service]\nRestartSec=600\n"
    guest.push_text(late, "/etc/systemd/system/stapwatch.service.d/late.conf")
    service.systemctl("daemon-reload").check()
    guest.run(["kill", "-9", service.show("MainPID")]).check()
    wait_for(lambda: service.show("SubState") == "auto-restart", "the end of the agent")
    assert service.modules() == modules
    service.stop()
    # the job of the other unit, which `systemctl stop` does not wait for
    wait_for(lambda: service.modules() == service.devices() == set(), "the end of the modules")
    guest.run(["journalctl", "--sync"], timeout=60).check()
    words = ["journalctl", "-o", "cat", "--no-pager", "-u", "stapwatch-modules"]
    said = guest.run(words, timeout=120).stdout
    assert "the last line" in said and "2 scripts were stopped: calls, opens" in said
    is_active = ("is-active", "stapwatch.socket")
    wait_for(lambda: service.systemctl(*is_active).stdout == "inactive\n", "the port's end")
