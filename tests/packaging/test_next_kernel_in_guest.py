# SPDX-License-Identifier: GPL-2.0-or-later
"""A second kernel is installed, its probes are prepared, and a reboot into it compiles nothing."""

from __future__ import annotations

import pytest

from lab import Guest, Image, debian
from tests.packaging.administration import VALUE, apt, configure, stepping, steps, warm
from tests.packaging.packages import build
from tests.packaging.second_kernel import SecondKernel
from tests.system.service import PORT, Service, wait_for

PREPARED = "stapwatch_prepared_kernel"
MORE = "global more\nprobe syscall.getpgid { more++ }\n"
# it has nothing to compile with after the reboot
NO_COMPILER = "set -e; for tool in gcc ld as make; do mv $(readlink -f /usr/bin/$tool) /root/; done"


@pytest.fixture(scope="module")
def second(image: Image) -> SecondKernel:
    if image.suite.name != debian.host_codename():
        pytest.skip(f"this machine's apt has no kernels of {image.suite.name}")
    return SecondKernel.of(image)


@pytest.fixture(scope="module")
def first(
    booted: Guest, image: Image, second: SecondKernel, tmp_path_factory: pytest.TempPathFactory
) -> Service:
    """The agent with one script, on the kernel that the guest has. The reboot ends this guest."""
    guest = booted
    built = build(tmp_path_factory.mktemp("debs") / "this")
    guest.push(built.deb("stapwatch").path, "/root/debs/stapwatch.deb")
    apt(guest, "install", "/root/debs/stapwatch.deb")
    warm(guest, image)
    warm(guest, second.image)
    configure(guest)
    service = Service(guest, guest.forward(PORT))
    done = service.systemctl("reload-or-restart", "stapwatch")
    assert done.status == 0, service.journal_text()
    return service


def states(service: Service, release: str) -> set[str]:
    """The states of a kernel in the metrics."""
    labels = [dict(labels) for name, labels in service.series() if name == PREPARED]
    return {found["state"] for found in labels if found["release"] == release}


def is_over(guest: Guest) -> bool:
    """Whether nothing is queued or running that the packages' hooks have started."""
    units = "systemctl list-units --plain --no-legend 'stapwatch-prepare@*'; systemctl list-jobs --plain --no-legend"
    return "stapwatch-prepare@" not in guest.run(units).check().stdout


def said(guest: Guest) -> str:
    units = ("prepare@*", "loader", "compile@*")
    words = " ".join(f"-u 'stapwatch-{unit}'" for unit in units)
    return guest.run(f"journalctl --no-pager -o short {words} | tail -50").stdout


def cached(guest: Guest) -> set[str]:
    """The modules in the loader's cache."""
    argv = ["find", "/var/cache/stapwatch/entries", "-name", "sw_*.ko", "-printf", "%f\\n"]
    return set(guest.run(argv).check().stdout.split())


def test_the_next_kernel(first: Service, second: SecondKernel) -> None:
    """Debian's own packages run the hooks, first the kernel's and then its headers'."""
    guest, release = first.guest, second.release
    assert states(first, release) == set()
    before = cached(guest)
    # as Ubuntu's are
    guest.run(f"dpkg-statoverride --add root root 0600 /boot/vmlinuz-{release}").check()
    for package in second.packages:
        guest.push(package, f"/root/debs/{package.name}")
    apt(guest, "install", *(f"/root/debs/{package.name}" for package in second.packages))
    wait_for(lambda: is_over(guest), "the end of the preparation", 1400)
    assert states(first, release) == {"ready"}, said(guest)
    mode = guest.run(f"stat -c '%a %U' /boot/vmlinuz-{release}").stdout
    assert mode == "600 root\n"
    [prepared] = cached(guest) - before
    assert first.states() == {"calls": "running"} and len(first.modules()) == 1
    more = a_script_is_added(first, second)
    kernel_install_queues_it(guest, release)
    assert guest.complaints() == []
    guest.run(NO_COMPILER).check()

    with guest.boot_again("systemctl reboot", image=second.image) as rebooted:
        assert rebooted.run(["uname", "-r"]).stdout.strip() == release
        service = Service(rebooted, rebooted.forward(PORT))
        wait_for(lambda: service.show("SubState") == "running", "the agent")
        assert service.states() == {"calls": "running", "more": "running"}, service.journal_text()
        assert {f"{module}.ko" for module in service.modules()} == {prepared, more}
        compilers = rebooted.run("journalctl -q -b -o cat -u 'stapwatch-compile@*'").stdout
        assert compilers == ""
        running = stepping(rebooted)
        wait_for(lambda: service.value(VALUE) > 0, "the first calls")
        assert steps(running) == service.value(VALUE)
        forgets(service, release, prepared)
        assert rebooted.complaints() == []


def a_script_is_added(service: Service, second: SecondKernel) -> str:
    """The reload has the next kernel prepared again, by a unit. The module for that kernel."""
    guest = service.guest
    guest.push_text(MORE, "/etc/stapwatch/probes.d/more.stp")
    before = cached(guest)
    service.systemctl("reload", "stapwatch").check()
    # one for the kernel that runs, and one for the next
    wait_for(lambda: len(cached(guest) - before) == 2 and is_over(guest), "the new module", 600)
    assert states(service, second.release) == {"ready"}, said(guest)
    again = cached(guest)
    service.systemctl("reload", "stapwatch").check()
    assert is_over(guest) and cached(guest) == again, "nothing has changed since"
    [module] = again - before - {f"{name}.ko" for name in service.modules()}
    return module


def kernel_install_queues_it(guest: Guest, release: str) -> None:
    """systemd's own command, with all of its hooks. What it queues finds everything in the cache."""
    done = guest.run(f"kernel-install -v add {release} /boot/vmlinuz-{release}", timeout=300)
    assert done.status == 0, f"{done.stdout}{done.stderr}"
    assert "90-stapwatch.install" in done.stdout + done.stderr
    jobs = "systemctl show -P ActiveState -P Job 'stapwatch-prepare@" + release + ".service'"
    assert not is_over(guest), guest.run(jobs).stdout
    wait_for(lambda: is_over(guest), "the end of the preparation", 300)


def forgets(service: Service, release: str, module: str) -> None:
    """As dpkg does it when a kernel is removed."""
    guest = service.guest
    guest.run(f"mv /boot/vmlinuz-{release} /root/").check()
    hook = f"/etc/kernel/postrm.d/zz-stapwatch {release} /boot/vmlinuz-{release}"
    guest.run(hook, timeout=60).check()
    wait_for(lambda: states(service, release) == set(), "the kernel's end")
    assert module not in cached(guest)
