# SPDX-License-Identifier: GPL-2.0-or-later
"""The package in a guest, as its administrator uses it.

apt(guest, "install", "/root/debs/stapwatch-0.1.0.deb")
answered_version(service)   -> "0.1.0"
"""

from __future__ import annotations

from lab import Completed, Guest, Image, install_app
from lab.guest import Running
from lab.warm_cache import warm_cache
from tests import PROJECT
from tests.system.service import PORT, Service

SCRIPT = """\
global getppid
probe kernel.trace("sys_enter") { if ($id == 110 && execname() == "steps") getppid++ }
"""
VALUE = "stapwatch_calls_getppid_total"
CONFIGURATION = f"""\
listen: ["0.0.0.0:{PORT}"]
public_status: true
{install_app.SLOW_MACHINE}\
"""
_STEPS = """\
import os, signal, time
open("/proc/self/comm", "w").write("steps")
ended = []
signal.signal(signal.SIGINT, lambda *_: ended.append(1))
print("steps", flush=True)
calls = 0
while not ended:
    for _ in range(20):
        os.getppid()
        calls += 1
    time.sleep(0.01)
print(calls)
"""


_WARM = """
set -e
mkdir -p $CACHE
cp -a --no-preserve=ownership /root/warm/. $CACHE/
chown -R --reference=$CACHE $CACHE/
chmod -R go= $CACHE/
"""


def apt(guest: Guest, *words: str) -> Completed:
    """apt-get with nobody to answer a question: the package manager fails if one is asked."""
    done = guest.run(["apt-get", "-q", "-y", *words], timeout=900)
    assert done.status == 0, f"{done.stdout}{done.stderr}"
    return done


def configure(guest: Guest) -> None:
    """The test's script, and an address that is forwarded."""
    guest.push_text(CONFIGURATION, "/etc/stapwatch/conf.d/lab.yaml")
    guest.push_text(SCRIPT, "/etc/stapwatch/probes.d/calls.stp")


def answered_version(service: Service) -> str | None:
    """None while no agent answers."""
    try:
        return str(service.tree()["version"])
    except OSError:
        return None


def warm(guest: Guest, image: Image, *caches: str) -> None:
    """What the compiler knows of the kernel, made on the host: it takes minutes under emulation. `caches`: other
    ones than the service's."""
    guest.push(warm_cache(PROJECT, image), "/root/warm")
    for user in caches or ("stapwatch", "stapwatch-compile"):
        guest.run(_WARM, env={"CACHE": f"/var/cache/{user}"}).check()


def stepping(guest: Guest) -> Running:
    """A program that calls getppid until it is told to end."""
    guest.push_text(_STEPS, "/root/steps.py")
    running = guest.start(["python3", "/root/steps.py"], timeout=1200)
    running.wait(until=b"steps\n")
    return running


def steps(running: Running) -> int:
    """End it. How many calls it has made."""
    running.kill(2)
    return int(running.wait().check().stdout.split()[-1])
