# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests as the hosts of a fleet, with names and machine-ids of their own, and what Debian's packages bring.

host = FleetHost.boot("web-1.example.org", "127.77.1.11", image, ("127.77.1.5", 5000), tools, machine_id)
host.give(etc)                        # what configuration management does
host.run(["sync", "reload"])          -> what was printed
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import TypeVar

from agent.rollout import matching
from agent.rollout.host_facts import HostFacts
from lab import Completed, Guest, Image, install_app
from lab.qemu import OUTSIDE
from tests import PROJECT
from tests.lab_fixtures import TRIGGER
from tests.system.service import PORT

T = TypeVar("T")
# Programs of packages that the images do not have. The host's are the oldest, so they run in all guests.
_PROGRAMS = ("skopeo", "ssh-keygen")
_OF_GLIBC = ("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "linux-vdso.so.1")
_WRAPPER = '#!/bin/sh\nLD_LIBRARY_PATH=/opt/tools/lib exec /opt/tools/bin/{} "$@"\n'
# Emulation makes hits dear; what a script says of its own budgets holds.
_SLOW_MACHINE = "budgets: {cpu: off, one_cpu: off, hit_time: off, total: {cpu: off}}\n"
_SETTLE = """
set -e
hostname {name}
echo {machine_id} >/etc/machine-id
systemctl restart systemd-journald
echo '{outside} registry.example.org' >>/etc/hosts
cp -r /share /opt/tools
chmod -R a+rX /opt/tools
install -m 755 /opt/tools/wrappers/* /usr/bin/
cp -r /opt/tools/containers /etc/
"""
# As on a server that has never compiled anything.
_STRIP = """
rm -f /usr/bin/*gcc* /usr/bin/cc /usr/bin/ld* /usr/bin/*-ld* /usr/bin/as /usr/bin/make
rm -f /lib/modules/*/build /lib/modules/*/source
mv /usr/src /usr/gone
rm -rf /var/cache/stapwatch/* /var/cache/stapwatch-compile/*
"""


def packed_tools(folder: Path) -> Path:
    """What a guest gets of packages: programs, their libraries, and the configuration of skopeo. As a share."""
    for name in ("bin", "lib", "wrappers"):
        (folder / name).mkdir(parents=True)
    for name in _PROGRAMS:
        program = shutil.which(name)
        assert program is not None, f"{name} is not installed"
        shutil.copy(program, folder / "bin")
        (folder / "wrappers" / name).write_text(_WRAPPER.format(name))
        listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True)
        for line in listed.stdout.splitlines():
            library, _, path = line.strip().partition(" => ")
            if path and library not in _OF_GLIBC:
                shutil.copy(path.split()[0], folder / "lib" / library)
    shutil.copytree("/etc/containers", folder / "containers")
    return folder


def machine_ids(scripts: Sequence[str], percent: int, hosts: int) -> list[str]:
    """The first host is within the percentage of these scripts, and the others are not."""
    numbers = count(1)

    def first(is_in: bool) -> str:
        return next(
            name
            for name in (f"{number:032x}" for number in numbers)
            if all((_position(name, script) < percent) is is_in for script in scripts)
        )

    return [first(number == 0) for number in range(hosts)]


def _position(machine_id: str, script: str) -> Decimal:
    return matching.position(HostFacts("", machine_id=machine_id), script)


@dataclass
class FleetHost:
    name: str
    guest: Guest

    @classmethod
    def boot(
        cls,
        name: str,
        address: str,
        image: Image,
        registry: tuple[str, int],
        tools: Path,
        machine_id: str,
        trigger: Path,
        has_compiler: bool,
    ) -> FleetHost:
        """`address`: of this machine, at which its agent answers."""
        guest = Guest.boot(image, share=tools, reach={registry[1]: registry})
        try:
            install_app.install(guest, PROJECT)
            guest.push(trigger, TRIGGER)
            guest.run(_SETTLE.format(name=name, machine_id=machine_id, outside=OUTSIDE)).check()
            if not has_compiler:
                guest.run(_STRIP).check()
            guest.forward(PORT, PORT, address)
        except BaseException:
            guest.close()
            raise
        return cls(name, guest)

    def give(self, etc: Path, *files: Path) -> None:
        """Its configuration, and files for root's folder."""
        self.guest.run(["rm", "-rf", "/etc/stapwatch"]).check()
        self.guest.push(etc, "/etc/stapwatch")
        self.guest.push_text(_SLOW_MACHINE, "/etc/stapwatch/conf.d/aa-lab.yaml")
        for file in files:
            self.guest.push(file, f"/root/{file.name}")

    def run(self, script: str | list[str]) -> Completed:
        """A script of the shell, which goes on after a command that fails."""
        return self.guest.run(script, timeout=300)

    def journal(self, unit: str) -> str:
        self.guest.run(["journalctl", "--sync"]).check()
        return self.guest.run(f"journalctl -q -o cat --no-pager -u {unit}").stdout

    def modules(self) -> set[str]:
        """The scripts whose modules are loaded."""
        text = self.guest.run(["cat", "/proc/modules"]).check().stdout
        names = [line.split()[0] for line in text.splitlines() if line.startswith("sw_")]
        return {name.removeprefix("sw_").rpartition("_")[0] for name in names}


def on_all(hosts: Sequence[FleetHost], do: Callable[[FleetHost], T]) -> list[T]:
    """At the same time."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(do, hosts))


def closed(hosts: Sequence[FleetHost]) -> Iterator[str]:
    """End the guests; what their kernels have complained about."""
    for host in hosts:
        yield from host.guest.complaints()
        host.guest.close()
