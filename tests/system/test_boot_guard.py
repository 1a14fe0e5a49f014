# SPDX-License-Identifier: GPL-2.0-or-later
"""The boot guard, with crashes and reboots of a real machine whose disk stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Guest, Image, install_app
from tests import PROJECT
from tests.lab_fixtures import skip_old_python
from tests.system.service import PORT, Service, wait_for
from tests.system.setting import Setting

SCRIPT = "global n\nprobe syscall.getpgid { n++ }\n"
CRASH = "echo c > /proc/sysrq-trigger"
RECORDS = "/var/lib/stapwatch/scripts"


@pytest.fixture(scope="module")
def first(image: Image) -> Iterator[Guest]:
    skip_old_python(image)
    with Guest.boot(image) as guest:
        yield guest


def service_in(guest: Guest, setting: Setting) -> Service:
    """Install the project and the configuration, which a reboot unmounts and overwrites."""
    install_app.install(guest, PROJECT)
    setting.install(guest)
    return Service(guest, guest.forward(PORT))


def record(guest: Guest, script: str) -> str:
    return guest.run(f"cat {RECORDS}/{script}.json 2>/dev/null").stdout


def test_a_script_that_takes_the_machine_down(first: Guest, setting: Setting) -> None:
    """A new one is not started after the crash; one that had run for a minute is. stapwatch=off starts none."""
    setting.script("old", SCRIPT)
    setting.compile()
    service = service_in(first, setting)
    service.start()
    assert '"starting": {' in record(first, "old")
    wait_for(lambda: '"starting": null' in record(first, "old"), "the old script's minute")
    setting.script("new", SCRIPT)
    setting.compile()
    setting.install(first)
    service.reload()
    assert service.states() == {"new": "running", "old": "running"}
    assert '"starting": {' in record(first, "new")

    with first.boot_again(CRASH) as second:
        service = service_in(second, setting)
        service.start()
        assert service.states() == {"new": "quarantined", "old": "running"}
        assert service.show("StatusText") == "1 quarantined, 1 running"
        assert service.modules() == {service.status()["old"]["module"]}
        [entry] = service.journal("BUDGET=boot")
        assert entry["SCRIPT"] == "new" and entry["PRIORITY"] == "3"
        assert "the machine went down before this script had run for a minute" in entry["MESSAGE"]
        done = second.run(["stapwatch", "arm", "new"], timeout=120)
        assert (done.status, done.stdout, done.stderr) == (0, "script new is armed\n", "")
        assert service.states() == {"new": "running", "old": "running"}
        assert '"starting": {' in record(second, "new")
        service.stop()
        assert '"starting": {' not in record(second, "new"), "it was stopped in order"

        with second.boot_again("reboot -f", kernel_args="stapwatch=off") as third:
            service = service_in(third, setting)
            service.start()
            assert service.modules() == set() and service.states() == {}
            assert service.value("stapwatch_disabled") == 1
            status = third.run(["stapwatch", "status"], timeout=120)
            assert "the kernel was booted with stapwatch=off" in status.stdout
            run = third.run(["stapwatch", "run", "-e", "probe begin { exit() }"], timeout=300)
            assert run.status == 1 and "the kernel was booted with stapwatch=off" in run.stderr
            service.stop()
