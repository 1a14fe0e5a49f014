# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts from files: those of machines of all kinds, and those of the one that runs this."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.rollout.host_facts import HostFacts, container, gather, virtual_machine

X86 = "processor\t: 0\nflags\t\t: fpu sse2 {}\n"
VIRTUAL, METAL = X86.format("hypervisor lahf_lm"), X86.format("lahf_lm")
DMI = "sys/class/dmi/id/"
CLOCK = "sys/devices/system/clocksource/clocksource0/available_clocksource"


def root(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"proc/cpuinfo": METAL, DMI + "sys_vendor": "Dell Inc.\n"}, ""),
        ({"proc/cpuinfo": METAL, DMI + "sys_vendor": "Amazon EC2\n"}, ""),  # rented hardware
        ({"proc/cpuinfo": VIRTUAL, DMI + "sys_vendor": "Amazon EC2\n"}, "amazon"),
        ({"proc/cpuinfo": VIRTUAL, DMI + "sys_vendor": "QEMU\n", CLOCK: "kvm-clock tsc\n"}, "kvm"),
        ({"proc/cpuinfo": VIRTUAL, DMI + "sys_vendor": "QEMU\n", CLOCK: "tsc hpet\n"}, "qemu"),
        ({"proc/cpuinfo": VIRTUAL, DMI + "product_name": "KVM\n"}, "kvm"),
        ({"proc/cpuinfo": VIRTUAL, DMI + "product_name": "VMware Virtual Platform"}, "vmware"),
        ({"proc/cpuinfo": VIRTUAL, DMI + "product_name": "VirtualBox"}, "oracle"),
        ({"proc/cpuinfo": VIRTUAL, DMI + "product_name": "Virtual Machine",
          DMI + "sys_vendor": "Microsoft Corporation"}, "microsoft"),
        ({"proc/cpuinfo": METAL, DMI + "sys_vendor": "Microsoft Corporation"}, ""),  # a laptop
        ({"proc/cpuinfo": VIRTUAL, DMI + "product_name": "Google Compute Engine"}, "google"),
        ({"proc/cpuinfo": VIRTUAL}, "vm-other"),
        ({"proc/cpuinfo": VIRTUAL, CLOCK: "hyperv_clocksource_tsc_page"}, "microsoft"),
        ({"proc/cpuinfo": METAL, "sys/hypervisor/type": "xen\n"}, "xen"),
        ({"proc/cpuinfo": METAL, "sys/hypervisor/type": "xen\n",
          "proc/xen/capabilities": "control_d\n"}, ""),
        # arm has no flag: the firmware's name must do
        ({"proc/cpuinfo": "Features\t: fp asimd\n", DMI + "sys_vendor": "QEMU"}, "qemu"),
        ({"proc/cpuinfo": "Features\t: fp asimd\n"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_virtual_machines(tmp_path: Path, files: dict[str, str], name: str) -> None:
    assert virtual_machine(root(tmp_path, files)) == name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({"run/host/container-manager": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({}, ""),
    ],
)
def test_containers(tmp_path: Path, files: dict[str, str], name: str) -> None:
    assert container(root(tmp_path, files)) == name


def test_all_facts(tmp_path: Path) -> None:
    files = {
        "etc/machine-id": "3f9e12ab34cd41d2a7f0c1b2d3e4f506\n",
        "etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\n',
        "sys/devices/system/cpu/online": "0-3,8\n",
        "sys/fs/cgroup/cgroup.controllers": "cpu io\n",
        "proc/cpuinfo": METAL,
    }
    names = os.uname()
    assert gather({"tier": "canary"}, root(tmp_path, files)) == HostFacts(
        host=names.nodename,
        machine_id="3f9e12ab34cd41d2a7f0c1b2d3e4f506",
        kernel=names.release,
        arch=names.machine,
        virtualization="none",
        os="debian",
        os_version="12",
        cpus=5,
        cgroup="v2",
        labels={"tier": "canary"},
    )


@pytest.mark.parametrize("text", ["", "uninitialized\n"])
def test_a_first_boot_has_no_machine_id(tmp_path: Path, text: str) -> None:
    facts = gather({}, root(tmp_path, {"etc/machine-id": text}))
    assert (facts.machine_id, facts.identity) == ("", os.uname().nodename)


@pytest.mark.parametrize(
    ("file", "version"),
    [("cgroup/cgroup.controllers", "v2"), ("cgroup/unified/cgroup.controllers", "hybrid"), ("cgroup/cpu/x", "v1"), ("x", "")],
)  # fmt: skip
def test_control_groups(tmp_path: Path, file: str, version: str) -> None:
    assert gather({}, root(tmp_path, {f"sys/fs/{file}": ""})).cgroup == version


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    facts = gather({}, tmp_path)
    assert (facts.os, facts.cgroup, facts.virtualization) == ("", "", "none")
    assert facts.cpus == os.cpu_count()
