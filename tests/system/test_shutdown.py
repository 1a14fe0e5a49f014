# SPDX-License-Identifier: GPL-2.0-or-later
"""At a shutdown the agent unloads its modules, although systemd stops its loader at the same time. Without a loader,
which systemd does not start any more then, stapwatch-modules.service does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab import Guest, Image, install_app
from tests import PROJECT
from tests.system.service import PORT, Service
from tests.system.setting import Setting

SCRIPTS = {
    "calls": 'global n probe kernel.function("vfs_read") { n++ }',
    "last": 'probe end { println("the last line") }',
}
KEEP_JOURNAL = """
rm /etc/systemd/journald.conf.d/lab.conf
mkdir -p /var/log/journal
systemctl restart systemd-journald
journalctl --flush
"""


UNLOADED = "2 scripts were stopped: calls, last"  # by stapwatch-modules.service


@pytest.fixture(scope="module")
def guest(image: Image) -> Iterator[Guest]:
    with Guest.boot(image) as guest:
        guest.run(KEEP_JOURNAL, timeout=60).check()
        yield guest


def started(guest: Guest, setting: Setting) -> Service:
    """The service in a guest that has just been booted: a reboot unmounts the project."""
    install_app.install(guest, PROJECT)
    setting.install(guest)
    service = Service(guest, guest.forward(PORT))
    service.start()
    assert len(service.modules()) == len(SCRIPTS)
    return service


def logged(guest: Guest, machine: str) -> str:
    """What the units of the project said on a machine of this id, which is a new one at each boot."""
    folder = f"/var/log/journal/{machine}"
    argv = ["journalctl", "-D", folder, "-o", "cat", "--no-pager", "-u", "stapwatch*"]
    return guest.run(argv, timeout=120).check().stdout


def machine_id(guest: Guest) -> str:
    return guest.run(["cat", "/etc/machine-id"]).check().stdout.strip()


def test_modules_are_unloaded(guest: Guest, setting: Setting) -> None:
    for name, text in SCRIPTS.items():
        setting.script(name, text)
    setting.compile()
    started(guest, setting)
    machine = machine_id(guest)
    with guest.boot_again("systemctl reboot") as second:
        said = logged(second, machine)
        assert "stopping" in said and "modules stay loaded" not in said, said
        assert "the last line" in said and UNLOADED not in said, said

        service = started(second, setting)
        service.systemctl("stop", "stapwatch-loader").check()
        machine = machine_id(second)
        with second.boot_again("systemctl reboot") as third:
            said = logged(third, machine)
            assert "at a stop stapwatch-modules.service unloads them" in said, said
            assert "timed out" not in said, said
            assert "the last line" in said and UNLOADED in said, said
