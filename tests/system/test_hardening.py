# SPDX-License-Identifier: GPL-2.0-or-later
"""The service's parts have the privileges that they need and no others, and do their work with them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from agent.loader.sandbox import SOCKET as COMPILE_SOCKET
from agent.scripts.loader_calls import SOCKET
from lab import Guest
from tests import PROJECT
from tests.system.exposure import COMMAND, HIGHEST, exposure
from tests.system.service import Service, wait_for
from tests.system.setting import Setting

CALLS = """\
global getppid
probe kernel.trace("sys_enter") {
	if ($id == 110 && execname() == "trigger") getppid[execname()]++
}
"""
VALUE = ("stapwatch_calls_getppid_total", {"execname": "trigger"})
# What a process in a unit's sandbox can do: "" for what it can, else the error's name.
PROBE = """\
import ctypes, errno, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *given):
    if libc.syscall(number, *given) < 0:
        raise OSError(ctypes.get_errno(), "")
def tried(action):
    try:
        action()
        return ""
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
def write(path):
    with open(path, "w"):
        os.unlink(path)
actions = {
    "internet": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(("10.0.2.2", 1)),
    "unix": lambda: socket.socket(socket.AF_UNIX),
    "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "shadow": lambda: open("/etc/shadow").read(),
    "modules": lambda: os.listdir("/var/cache/stapwatch"),
    "records": lambda: os.listdir("/var/lib/stapwatch"),
    "etc": lambda: write("/etc/x"),
    "usr": lambda: write("/usr/x"),
    "run": lambda: write("/run/x"),
    "dev": lambda: open("/dev/kmsg"),
    "home": lambda: os.listdir("/root"),
    "init": lambda: os.kill(1, 0),
    "namespace": lambda: call(272, 0x10000000),
    "mount": lambda: call(165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "load": lambda: call(313, 0, b"", 0),
    "unload": lambda: call(176, b"sw_x", 0),
    "become root": lambda: os.setuid(0),
    "trace": lambda: call(101, 16, 1, 0, 0),
    "own folder": lambda: write(f"{os.environ.get('CACHE_DIRECTORY') or os.environ['STATE_DIRECTORY']}/x"),
    "own /tmp": lambda: write("/tmp/x"),
}
print("PROBE", json.dumps({name: tried(action) for name, action in actions.items()}), flush=True)
"""
PROBING = "/usr/bin/python3 -I /usr/local/lib/probe.py"
# The directives that are no part of a sandbox; the agent's folder in /run would go with the probe.
_ITS_OWN = re.compile(
    r"(?m)^(Exec|Type|Restart|Watchdog|Standard|RuntimeDirectory|PartOf|Requires).*\n"
)
FORBIDDEN = {
    "become root",
    "dev",
    "etc",
    "home",
    "init",
    "load",
    "modules",
    "mount",
    "namespace",
    "packets",
}
FORBIDDEN |= {"run", "shadow", "trace", "unload", "usr"}


@pytest.fixture(scope="module")
def started(guest: Guest, setting: Setting, service: Service) -> Service:
    """One script is in the cache; the guest compiles the other one."""
    setting.script("calls", CALLS)
    setting.script("cold", CALLS)
    setting.cold.add("cold")
    setting.compile()
    setting.install(guest)
    guest.push_text(PROBE, "/usr/local/lib/probe.py")
    service.start()
    return service


def test_scripts_are_compiled_loaded_and_served(started: Service, guest: Guest) -> None:
    assert started.states() == {"calls": "running", "cold": "running"}
    guest.run(["trigger", "getppid", "77"]).check()
    assert started.value(VALUE[0], **VALUE[1]) == 77
    assert started.value(VALUE[0].replace("calls", "cold"), **VALUE[1]) == 77
    started.systemctl("restart", "stapwatch").check()
    assert started.value(VALUE[0], **VALUE[1]) == 77


def credentials(guest: Guest, pid: str) -> dict[str, list[str]]:
    text = guest.run(["cat", f"/proc/{pid}/status"]).check().stdout
    return {line.split(":")[0]: line.split()[1:] for line in text.splitlines()}


def capabilities(found: dict[str, list[str]]) -> set[int]:
    """All that the process has, and all that it could get."""
    bits = [int(found[name][0], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")]
    return {number for number in range(64) if any(each >> number & 1 for each in bits)}


def test_the_agent_has_no_privilege(started: Service, guest: Guest) -> None:
    found = credentials(guest, started.show("MainPID"))
    user = guest.run(["id", "-u", "stapwatch"]).check().stdout.strip()
    assert user != "0" and set(found["Uid"]) == {user}
    assert capabilities(found) == set()
    assert (found["NoNewPrivs"], found["Seccomp"]) == (["1"], ["2"])


def test_the_loader_has_two(started: Service, guest: Guest) -> None:
    """It is there while it is asked, and for some seconds more."""
    guest.run(["stapwatch", "reload"], timeout=300).check()
    pid = (
        guest.run(["systemctl", "show", "-P", "MainPID", "stapwatch-loader"]).check().stdout.strip()
    )
    found = credentials(guest, pid)
    assert capabilities(found) == {16, 34}, "CAP_SYS_MODULE and CAP_SYSLOG"
    assert (found["NoNewPrivs"], found["Seccomp"]) == (["1"], ["2"])
    state = ["systemctl", "show", "-P", "ActiveState", "stapwatch-loader"]
    wait_for(lambda: guest.run(state).stdout.strip() == "inactive", "the loader ends by itself")
    assert started.states() == {"calls": "running", "cold": "running"}


@pytest.mark.parametrize("unit", HIGHEST)
def test_exposure(started: Service, guest: Guest, unit: str) -> None:
    done = guest.run([*COMMAND, f"/etc/systemd/system/{unit}"], timeout=120)
    assert exposure(done.stdout) <= HIGHEST[unit]


def probed(guest: Guest, unit: str) -> dict[str, str]:
    """What a process can do in the sandbox of a copy of the unit."""
    text = _ITS_OWN.sub("", (PROJECT / "systemd" / unit).read_text())
    text = text.replace("[Service]\n", f"[Service]\nType=oneshot\nExecStart={PROBING}\n")
    guest.push_text(text, "/run/systemd/system/probe.service")
    guest.run("systemctl daemon-reload && systemctl start probe", timeout=120).check()
    guest.run(["journalctl", "--sync"]).check()
    printed = guest.run("journalctl -u probe -o cat --no-pager").check().stdout
    found: dict[str, str] = json.loads(re.findall(r"(?m)^PROBE (.*)$", printed)[-1])
    return found


def test_what_a_compiler_can_do(started: Service, guest: Guest) -> None:
    found = probed(guest, "stapwatch-compile@.service")
    for name in FORBIDDEN | {"internet", "unix", "records"}:
        assert found[name], f"{name} is possible: {found}"
    assert found["own folder"] == found["own /tmp"] == ""


def test_what_an_agent_can_do(started: Service, guest: Guest) -> None:
    found = probed(guest, "stapwatch.service")
    for name in FORBIDDEN:
        assert found[name], f"{name} is possible: {found}"
    assert found["unix"] == found["records"] == found["own folder"] == ""
    assert found["internet"] not in ("EPERM", "EAFNOSUPPORT"), "it has the host's network"


def test_a_compile_is_limited(started: Service, setting: Setting, guest: Guest) -> None:
    """One that is killed is tried again, in another sandbox."""
    setting.script("more", CALLS.replace("110", "39"))
    setting.cold.add("more")
    setting.install(guest)
    reload = guest.start(["stapwatch", "reload"], timeout=300)
    limits = wait_for(lambda: compiler(guest), "a compiler runs")
    assert limits["user"] not in ("0", guest.run(["id", "-u", "stapwatch"]).stdout.strip())
    assert limits["capabilities"] == set()
    assert (limits["memory.max"], limits["pids.max"]) == (str(2 << 30), "64")
    quota, period = limits["cpu.max"].split()
    assert quota == period
    assert (limits["nice"], limits["oom"]) == ("10", "500")
    guest.run(["kill", "-KILL", limits["pid"]]).check()
    done = reload.wait()
    assert done.status == 0, done.stderr
    assert started.states()["more"] == "running"


def compiler(guest: Guest) -> dict[str, Any] | None:
    """The state of a compiler that runs now."""
    script = """
        pid=$(systemctl show -P MainPID 'stapwatch-compile@*.service' | grep -vx 0 | head -1)
        [ -n "$pid" ] || exit 1
        group=/sys/fs/cgroup$(cut -d: -f3 /proc/$pid/cgroup)
        echo pid $pid
        for file in memory.max pids.max cpu.max; do echo $file $(cat $group/$file); done
        echo oom $(cat /proc/$pid/oom_score_adj)
        echo nice $(cut -d' ' -f19 /proc/$pid/stat | sed 's/.*) //')
    """
    printed = guest.run(script)
    rows = dict(line.split(" ", 1) for line in printed.stdout.splitlines() if " " in line)
    if printed.status or set(rows) != {"pid", "memory.max", "pids.max", "cpu.max", "oom", "nice"}:
        return None
    found = guest.run(["cat", f"/proc/{rows['pid']}/status"])
    status = {line.split(":")[0]: line.split()[1:] for line in found.stdout.splitlines()}
    if found.status or status["Uid"][0] == "0":
        return None  # systemd is still preparing it
    return {**rows, "user": status["Uid"][0], "capabilities": capabilities(status)}


ASK = """\
import os, pwd, socket, sys
user = pwd.getpwnam(sys.argv[1])
os.setgroups([]); os.setgid(user.pw_gid); os.setuid(user.pw_uid)
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[2])
peer.sendall(sys.argv[3].encode() + b"\\n")
print(peer.makefile().readline())
"""


def test_the_agents_word_is_not_enough(started: Service, guest: Guest) -> None:
    """Who has taken the agent over loads nothing that root's files do not ask for."""
    guest.push_text(ASK, "/root/ask.py")

    def ask(user: str, socket: str, call: object) -> str:
        done = guest.run(["python3", "/root/ask.py", user, socket, json.dumps(call)], timeout=120)
        return done.stdout + done.stderr

    own = {"name": "mine", "text": 'probe begin { %{ panic(""); %} }', "guru": True}
    assert "does not ask for this script" in ask("stapwatch", str(SOCKET), {"build": own})
    load = {"do": "load", "path": "/tmp/sw_x_1.ko", "name": "sw_x_1"}
    assert "no module that the loader" in ask("stapwatch", str(SOCKET), load)
    unload = {"do": "unload", "name": "virtio_net"}
    assert "not one of stapwatch's" in ask("stapwatch", str(SOCKET), unload)
    assert "PermissionError" in ask("nobody", str(SOCKET), {"do": "names"})
    assert "PermissionError" in ask("stapwatch", str(COMPILE_SOCKET), {})


def test_a_stop_starts_a_loader_that_has_ended(started: Service) -> None:
    """As it does when nobody has called for some seconds: the agent asks it whether this is a restart."""
    for verb, left in (("restart", started.modules()), ("stop", set())):
        assert started.modules()
        started.systemctl("stop", "stapwatch-loader.service").check()
        started.systemctl(verb, "stapwatch").check()
        assert started.modules() == left
        assert started.show("Result") == "success"
    started.start()


def test_a_cached_module_needs_no_compiler(
    started: Service, setting: Setting, guest: Guest
) -> None:
    """A cold script says what is missing."""
    setting.script("colder", CALLS.replace("110", "20"))
    setting.cold.add("colder")
    setting.install(guest)
    started.stop()
    assert started.modules() == set()
    drop_in = "/run/systemd/system/stapwatch-compile.socket.d/none.conf"
    guest.push_text("[Unit]\nConditionPathExists=/nowhere\n", drop_in)
    started.systemctl("daemon-reload").check()
    started.systemctl("stop", "stapwatch-compile.socket").check()
    started.start()
    states = started.states()
    assert states.pop("colder") == "failed" and set(states.values()) == {"running"}
    assert "cannot start the compiler" in started.status()["colder"]["reason"]
    guest.run(["rm", drop_in]).check()
    started.systemctl("daemon-reload").check()


def test_modules_of_an_agent_that_was_root_are_adopted(
    started: Service, setting: Setting, guest: Guest
) -> None:
    """As after an upgrade from a release whose agent loaded them itself."""
    setting.remove("probes.d/colder.stp")
    setting.install(guest)
    started.stop()
    agent = guest.start(["stapwatch", "agent"], timeout=300)
    wait_for(lambda: len(guest_states(started)) == 3, "the agent by hand runs the scripts")
    modules = started.modules()
    guest.run(["trigger", "getppid", "5"]).check()
    agent.kill(15)
    agent.wait()
    assert started.modules() == modules
    started.start()
    assert started.modules() == modules
    assert started.value(VALUE[0], **VALUE[1]) == 5
    started.stop()
    assert started.modules() == set()
    assert guest.run("systemctl --failed --no-legend 'stapwatch*'").stdout == ""


def guest_states(service: Service) -> set[str]:
    try:
        return {name for name, state in service.states().items() if state == "running"}
    except OSError:
        return set()
