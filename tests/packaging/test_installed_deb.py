# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of the packages in a guest that has never seen this project: install, upgrade, remove, purge.

LAB_KERNEL=6.12 and 7.2 run it on Debian 13 and sid, with their versions of Python, systemd and the libraries.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.version import VERSION
from lab import Guest, Image
from tests import PROJECT
from tests.agent.prebuilt.builder import Builder
from tests.packaging import autopkgtest
from tests.packaging.administration import (
    SCRIPT,
    VALUE,
    answered_version,
    apt,
    configure,
    stepping,
    steps,
    warm,
)
from tests.packaging.packages import Built, build
from tests.system.service import PORT, Service, wait_for

NEWER = "0.99.0"
# one of the enabled examples is enough under emulation
EXAMPLES = [path.stem for path in (PROJECT / "packaging/probes.d").glob("*.stp")]
ONE_EXAMPLE = "scripts:\n" + "".join(
    f"  {name}: {{enabled: false}}\n" for name in EXAMPLES if name != "tcp"
)
PACKED = "global packed\nprobe syscall.getpgid { packed++ }\n"
HIDE_COMPILER = """
set -e
mkdir /root/tools
for tool in gcc ld as make; do mv $(readlink -f /usr/bin/$tool) /root/tools/; done
"""
# Files of the machine, without those that apt, dpkg and the journal write for every package.
FILES = """
find / -xdev \\( -path /root -o -path /tmp -o -path /var/tmp -o -path /var/log -o -path /var/lib/apt \\
    -o -path /var/cache/apt -o -path /var/cache/debconf -o -path /var/lib/dpkg \\) -prune -o -print
find /run -path '*stapwatch*' -not -path '/run/lab*'
"""
# Copies that tools keep of the lists of users, and what systemd makes for any service with a folder of its own.
ANY_PACKAGE = {
    *(f"/etc/{name}" for name in (".pwd.lock", "passwd-", "group-", "shadow-", "gshadow-")),
    "/var/cache/private",
    "/var/lib/private",
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """This release and a newer one, by version."""
    folder = tmp_path_factory.mktemp("debs")
    return {VERSION: build(folder / "this"), NEWER: build(folder / "newer", NEWER)}


@pytest.fixture(scope="module")
def service(guest: Guest, packages: dict[str, Built]) -> Iterator[Service]:
    for version, built in packages.items():
        for package in ("stapwatch", "stapwatch-probes"):
            guest.push(built.deb(package).path, f"/root/debs/{package}-{version}.deb")
    yield Service(guest, guest.forward(PORT))


@pytest.fixture(scope="module")
def before(service: Service) -> set[str]:
    """The machine's files before the first installation."""
    return files(service.guest)


def files(guest: Guest) -> set[str]:
    return set(guest.run(FILES, timeout=300).check().stdout.splitlines())


def deb(package: str, version: str = VERSION) -> str:
    return f"/root/debs/{package}-{version}.deb"


def test_install(service: Service, before: set[str], image: Image) -> None:
    guest = service.guest
    assert "/usr/bin/stapwatch" not in before
    apt(guest, "install", deb("stapwatch"))
    wait_for(lambda: service.show("SubState") == "running", "the agent")
    wait_for(lambda: guest.run(["stapwatch", "status"], timeout=60).status == 0, "its answer")
    assert guest.run(["stapwatch", "--version"], timeout=60).stdout == f"stapwatch {VERSION}\n"
    assert service.systemctl("is-enabled", "stapwatch").stdout == "enabled\n"
    assert service.systemctl("is-enabled", "stapwatch.socket").stdout == "disabled\n"
    assert "stapwatch" in guest.run(["ps", "-o", "user=", "-C", "stapwatch"]).stdout
    catalog = guest.run(["journalctl", "--list-catalog"], timeout=60).stdout
    assert "stapwatch: The agent serves its metrics" in catalog
    sources = guest.run("find /usr/share/stapwatch -name '*.py' | wc -l").stdout
    assert sources == guest.run("find /usr/share/stapwatch -name '*.pyc' | wc -l").stdout
    warm(guest, image)


def test_a_script_is_dropped_in(service: Service) -> None:
    """The guest's own compiler, in its sandbox, compiles it."""
    guest = service.guest
    configure(guest)
    done = service.systemctl("reload", "stapwatch")
    assert done.status == 0, service.journal_text()
    assert service.states() == {"calls": "running"}
    assert service.value(VALUE) == 0


def test_a_package_of_modules_needs_no_compiler(
    service: Service, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Another machine has compiled the script for this kernel. Installing its package loads it."""
    guest = service.guest
    builder = Builder(tmp_path_factory.mktemp("builder"), image)
    builder.script("packed", PACKED)
    builder.build("--deb", builder.folder / "out")
    [package] = (builder.folder / "out").iterdir()
    ssh_keygen = shutil.which("ssh-keygen")
    assert ssh_keygen is not None
    guest.push(Path(ssh_keygen), "/usr/bin/ssh-keygen")
    guest.push(package, f"/root/debs/{package.name}")
    guest.run(HIDE_COMPILER).check()
    warm(guest, image, "stapwatch-sync")
    guest.push_text(PACKED, "/etc/stapwatch/probes.d/packed.stp")
    assert service.systemctl("reload", "stapwatch").status != 0
    assert service.states()["packed"] == "failed"
    apt(guest, "install", f"/root/debs/{package.name}")
    wait_for(lambda: service.states()["packed"] == "running", "the module of the package")
    found = {
        key: value for key, value in service.series().items() if key[0] == "stapwatch_store_modules"
    }
    assert list(found.values()) == [1]
    # the timer fetches what a kernel needs that boots for the first time
    assert service.systemctl("is-active", "stapwatch-sync.timer").stdout == "active\n"
    apt(guest, "remove", f"stapwatch-modules-{image.release}")
    assert guest.run("ls -d /usr/lib/stapwatch").status != 0
    # it is in the loader's cache now
    assert service.systemctl("reload", "stapwatch").status == 0
    assert service.states()["packed"] == "running"
    guest.run("rm /etc/stapwatch/probes.d/packed.stp /usr/bin/ssh-keygen").check()
    guest.run("mv /root/tools/* /usr/bin/").check()
    assert service.systemctl("reload", "stapwatch").status == 0
    service.systemctl("stop", "stapwatch-sync.timer")


def test_examples_come_and_go_with_their_package(service: Service) -> None:
    guest = service.guest
    guest.push_text(ONE_EXAMPLE, "/etc/stapwatch/conf.d/examples.yaml")
    apt(guest, "install", deb("stapwatch-probes"))
    wait_for(lambda: service.states().get("tcp") == "running", "the example")
    assert "stapwatch_tcp_retransmits_total" in {name for name, _ in service.series()}
    guest.run(["rm", "/etc/stapwatch/conf.d/examples.yaml"]).check()
    apt(guest, "remove", "stapwatch-probes")
    wait_for(lambda: service.states() == {"calls": "running"}, "the end of the example")


def test_upgrade_while_it_counts(service: Service) -> None:
    guest = service.guest
    modules = service.modules()
    assert len(modules) == 1
    running = stepping(guest)
    wait_for(lambda: service.value(VALUE) > 0, "the first calls")
    apt(guest, "install", deb("stapwatch", NEWER))
    wait_for(lambda: answered_version(service) == NEWER, "the newer agent")
    wait_for(lambda: service.states() == {"calls": "running"}, "the script")
    calls = steps(running)
    assert service.value(VALUE) == calls
    assert service.modules() == modules
    assert guest.run(["stapwatch", "--version"], timeout=60).stdout == f"stapwatch {NEWER}\n"


@pytest.mark.parametrize("name", autopkgtest.names())
def test_autopkgtest(service: Service, name: str) -> None:
    autopkgtest.run(service.guest, name)


def test_remove(service: Service) -> None:
    guest = service.guest
    apt(guest, "remove", "stapwatch")
    assert service.modules() == service.devices() == set()
    assert guest.run(["pgrep", "-u", "stapwatch"]).stdout == ""
    units = service.systemctl("list-units", "--all", "--plain", "--no-legend", "stapwatch*").stdout
    assert "active" not in units.replace("inactive", "")
    assert not guest.run("ls -d /usr/share/stapwatch /run/stapwatch* 2>/dev/null").stdout
    assert guest.run(["cat", "/etc/stapwatch/probes.d/calls.stp"]).check().stdout == SCRIPT


def test_install_again_what_was_removed(service: Service) -> None:
    """With the configuration and the cache that were left: nothing is compiled."""
    apt(service.guest, "install", deb("stapwatch", NEWER))
    wait_for(lambda: answered_version(service) == NEWER, "the agent")
    wait_for(lambda: service.states() == {"calls": "running"}, "the script")


def test_purge(service: Service, before: set[str]) -> None:
    """Only the user is left, and what it may own: Debian never removes users."""
    guest = service.guest
    apt(guest, "purge", "stapwatch", "stapwatch-probes")
    assert service.modules() == service.devices() == set()
    assert files(guest) - before - ANY_PACKAGE == set()
    assert before - files(guest) == set()
    assert guest.run(["id", "stapwatch"]).status == 0


def test_the_lists_of_files_would_show_a_file(service: Service, before: set[str]) -> None:
    path = Path("/var/lib/stapwatch")
    service.guest.run(["mkdir", str(path)]).check()
    assert files(service.guest) - before - ANY_PACKAGE == {str(path)}
