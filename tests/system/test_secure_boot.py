# SPDX-License-Identifier: GPL-2.0-or-later
"""A host whose kernel loads signed modules only: UEFI, shim and GRUB with Secure Boot on, and a key of its own.

The tests follow one another on one machine: in lockdown integrity without a key, and in confidentiality with one that a
person has confirmed in MokManager.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.signing.module_signature import signed
from lab import Guest, Image, install_app
from lab.firmware import Start
from lab.native_compiler import CACHE
from tests import PROJECT
from tests.agent.signing.keys import new_pair
from tests.lab_fixtures import TRIGGER, project_guest, skip_old_python
from tests.system.service import PORT, Service
from tests.system.setting import Setting

PASSWORD = "abcd"
LOCKDOWN = "/sys/kernel/security/lockdown"
CALLS = """\
global %s
probe kernel.trace("sys_enter") {
	if ($id == 110 && execname() == "trigger") %s[execname()]++
}
"""
# What confidentiality might take away: functions by name and by pattern, their arguments, addresses, return values.
FUNCTIONS = """\
global opens, reads, sizes, names
probe kernel.function("do_sys_openat2") { if (execname() == "trigger") opens++ }
probe kernel.function("vfs_rea*") { reads++ }
probe kernel.function("vfs_read").return { if ($return > 0) sizes <<< $return }
probe begin { names[symname(&@var("jiffies"))]++ }
"""


class Machine:
    """`guest`: as it was booted last. `folder`: files for it."""

    def __init__(self, image: Image, trigger: Path, folder: Path) -> None:
        self.trigger, self.folder = trigger, folder
        self.guest = Guest.boot(image, start=Start.FIRMWARE)
        self.service = self._install()

    def _install(self) -> Service:
        install_app.install(self.guest, PROJECT)
        return Service(self.guest, self.guest.forward(PORT))

    def add_programs(self) -> None:
        """What a host installs by apt."""
        self.guest.push(self.trigger, TRIGGER)
        for name in ("openssl", "mokutil"):
            self.guest.push(Path("/usr/bin", name), f"/usr/bin/{name}")
        done = subprocess.run(
            ["ldd", "/usr/bin/mokutil"], check=True, capture_output=True, text=True
        )
        for line in done.stdout.splitlines():
            if "libefivar" in line or "libkeyutils" in line:
                path = Path(line.split()[2])
                (self.folder / path.name).write_bytes(path.read_bytes())
                self.guest.push(self.folder / path.name, f"/usr/lib/x86_64-linux-gnu/{path.name}")

    def confirm(self) -> None:
        """Reboot, and enrol at the console what was registered."""
        self.guest.run("sync").check()
        self.guest = self.guest.boot_again(
            "reboot -f",
            start=Start.SHIM,
            mok_password=PASSWORD,
            kernel_args="lockdown=confidentiality",
        )
        self.service = self._install()

    def add(self, setting: Setting) -> None:
        """Scripts and modules that are new; the key in /etc/stapwatch stays."""
        self.guest.run(
            "rm -rf /etc/stapwatch/conf.d"
        ).check()  # the examples, which a reboot brings back
        self.guest.push(setting.etc, "/etc/stapwatch")
        setting.install_cache(self.guest)

    def key(self, *words: str) -> tuple[int, str]:
        done = self.guest.run(["stapwatch", "key", *words], timeout=120)
        return done.status, done.stdout + done.stderr

    def calls(self, script: str) -> float:
        return self.service.count(f"stapwatch_{script}_{script}_total", execname="trigger")

    def reason(self, script: str) -> str:
        return str(self.service.status()[script]["reason"])

    def lockdown(self) -> str:
        return self.guest.run(["cat", LOCKDOWN]).check().stdout


@pytest.fixture(scope="module")
def machine(
    image: Image, trigger: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    skip_old_python(image)
    found = Machine(image, trigger, tmp_path_factory.mktemp("machine"))
    try:
        found.add_programs()
        yield found
        assert found.guest.complaints() == []
    finally:
        found.guest.close()


def test_run_where_signatures_are_enforced(image: Image, tmp_path: Path) -> None:
    """A guest without UEFI, in which nobody can enrol a key."""
    setting = Setting(tmp_path, image)
    words = ["-e", "probe begin { exit() }"]
    setting.compile_run(words)
    with project_guest(image) as guest:
        setting.install_cache(guest)
        guest.run("echo Y >/sys/module/module/parameters/sig_enforce").check()
        done = guest.run(["stapwatch", "run", *words], timeout=300)
        assert done.status == 1
        reason = "the kernel enforces signatures (module.sig_enforce), and the module is not signed"
        assert f"{reason}: no key is here to sign it with: stapwatch key create" in done.stderr
        status = guest.run(["stapwatch", "key", "status"], timeout=60)
        assert status.status == 1 and "Secure Boot  not known (no UEFI)\n" in status.stdout


def test_without_a_key(machine: Machine, setting: Setting) -> None:
    assert "[integrity]" in machine.lockdown()
    status, text = machine.key("status")
    assert status == 1 and "Secure Boot  on\nlockdown     integrity\n" in text
    assert "next         stapwatch key create, stapwatch key enroll, and reboot" in text
    setting.script("calls", CALLS % ("calls", "calls"))
    setting.compile()
    setting.install(machine.guest)
    machine.service.start()
    reason = machine.reason("calls")
    assert machine.service.states() == {"calls": "failed"}
    assert "the kernel is locked down (integrity), and the module is not signed" in reason
    assert "no key is here to sign it with: stapwatch key create, stapwatch key enroll" in reason
    machine.service.stop()


def test_a_key_is_made_and_registered(machine: Machine) -> None:
    assert machine.key("enroll") == (1, "error: no key is here; stapwatch key create\n")
    status, text = machine.key("create")
    assert status == 0 and "/etc/stapwatch/mok.key is the private key" in text
    modes = machine.guest.run("stat -c '%a %U' /etc/stapwatch/mok.*").check().stdout
    assert modes == "600 root\n644 root\n"
    assert machine.key("create")[0] == 1, "it is there already"
    assert "not enrolled" in machine.key("status")[1]
    machine.guest.run(f"mokutil --generate-hash={PASSWORD} >/root/hash").check()
    status, text = machine.key("enroll", "--hash-file", "/root/hash")
    assert status == 0 and "Now reboot. At the console, in MokManager" in text
    assert "is registered already" in machine.key("enroll")[1]
    status, text = machine.key("status")
    assert status == 1 and "next         reboot; at the console, in MokManager" in text


def test_modules_are_signed_when_they_are_loaded(machine: Machine, setting: Setting) -> None:
    machine.confirm()
    machine.add(setting)
    assert "[confidentiality]" in machine.lockdown()
    status, text = machine.key("status")
    assert status == 0 and "the kernel trusts it (keyring ." in text
    assert "signed with /etc/stapwatch/mok.key" in text
    machine.service.start()
    assert machine.service.states() == {"calls": "running"}, machine.service.status()
    machine.guest.run(["trigger", "getppid", "77"]).check()
    assert machine.calls("calls") == 77
    [path] = machine.guest.run(f"find {CACHE} -name 'sw_calls_*.ko'").check().stdout.split()
    assert machine.guest.run(f"tail -c 28 {path} | grep -q appended").status == 1, (
        "not in the cache"
    )


def test_what_is_signed_by_others_is_named(
    machine: Machine, setting: Setting, tmp_path: Path
) -> None:
    builder = new_pair(tmp_path, "the builder")
    setting.script("foreign", CALLS % ("foreign", "foreign"))
    module = setting.compile()["foreign"]["module"]
    setting.tamper(module, lambda data: signed(data, builder))
    machine.add(setting)
    machine.service.reload_in_vain()
    assert "does not trust the module's signature by 'the builder'" in machine.reason("foreign")
    setting.remove("probes.d/foreign.stp")
    machine.guest.run(["rm", "/etc/stapwatch/probes.d/foreign.stp"]).check()


def test_a_key_that_others_can_read(machine: Machine, setting: Setting) -> None:
    setting.script("late", CALLS % ("late", "late"))
    setting.compile()
    machine.add(setting)
    machine.guest.run(["chmod", "640", "/etc/stapwatch/mok.key"]).check()
    machine.service.reload_in_vain()
    assert "chmod 600 /etc/stapwatch/mok.key" in machine.reason("late")
    machine.guest.run(["chmod", "600", "/etc/stapwatch/mok.key"]).check()
    machine.service.reload()
    machine.guest.run(["trigger", "getppid", "5"]).check()
    assert (machine.calls("calls"), machine.calls("late")) == (82, 5)


def test_compiling_without_tracefs(machine: Machine, setting: Setting) -> None:
    """The host's own compiler, which has kallsyms, BTF and its headers."""
    closed = "cat /sys/kernel/tracing/available_filter_functions"
    assert machine.guest.run(closed).status == 1
    setting.script("functions", FUNCTIONS)
    machine.add(setting)
    machine.service.reload()
    assert set(machine.service.states().values()) == {"running"}, machine.service.status()
    machine.guest.run(["trigger", "getppid", "9"]).check()
    machine.guest.run(["trigger", "open", "/etc/hostname", "3"]).check()
    assert (machine.calls("calls"), machine.calls("late")) == (91, 14)
    assert machine.service.value("stapwatch_functions_opens_total") > 0
    assert machine.service.value("stapwatch_functions_reads_total") > 0
    assert b'"jiffies"' in machine.service.get("/metrics").body, "an address became a name"
