# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules whose reader was killed are unloaded by the next command; those that are read, or left on purpose, stay."""

from __future__ import annotations

import signal

import pytest

from lab import Guest
from lab.guest import Running
from tests.system.setting import Setting
from tests.system.test_command_line import no_module_is_left

TICKS = "probe begin { println(1) } probe timer.ms(50) { println(2) } probe end { println(3) }"
ENDLESS = 'probe begin { println("armed") }'
HELLO = 'probe begin { println("hello") exit() }'


@pytest.fixture(scope="module", autouse=True)
def ready(guest: Guest, setting: Setting) -> None:
    setting.compile_run(*(["-e", text] for text in (TICKS, ENDLESS, HELLO)))
    setting.install_cache(guest)


def started(guest: Guest, script: str, until: bytes) -> Running:
    running = guest.start(["stapwatch", "run", "-e", script], timeout=300)
    running.wait(until=until)
    return running


def killed(guest: Guest, script: str, until: bytes) -> None:
    running = started(guest, script, until)
    running.kill(signal.SIGKILL)
    running.wait()


def test_the_same_script_runs_again(guest: Guest) -> None:
    killed(guest, TICKS, b"2\n")
    assert not no_module_is_left(guest)
    again = guest.run(["stapwatch", "run", "-T", "1", "-e", TICKS], timeout=300)
    assert (again.status, again.stdout[:2], again.stdout[-2:]) == (0, "1\n", "3\n"), again.stderr
    assert "WARNING: module sw_" in again.stderr and "was killed" in again.stderr
    assert no_module_is_left(guest)


def test_every_run_cleans_up_but_not_what_is_read_or_left_on_purpose(guest: Guest) -> None:
    left = guest.run(["stapwatch", "run", "-F", "-e", TICKS], timeout=300).stdout.split()[-1]
    killed(guest, ENDLESS, b"armed\n")
    read = started(guest, 'probe begin { println("mine") }', b"mine\n")
    done = guest.run(["stapwatch", "run", "-e", HELLO], timeout=300)
    assert (done.status, done.stdout) == (0, "hello\n"), done.stderr
    assert guest.run("grep -c ^sw_ /proc/modules").stdout == "2\n"
    read.kill(signal.SIGINT)
    assert read.wait().status == 0
    assert guest.run("grep ^sw_ /proc/modules").stdout.startswith(f"{left} ")
    again = guest.start(["stapwatch", "run", "-A", left], timeout=300)
    again.wait(until=b"2\n")
    again.kill(signal.SIGKILL)  # now it is nobody's
    again.wait()
    guest.run(["stapwatch", "run", "-e", HELLO], timeout=300).check()
    assert no_module_is_left(guest)
