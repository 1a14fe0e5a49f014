# SPDX-License-Identifier: GPL-2.0-or-later
"""The facts of a host that conditions can be about. They are read from files; no program is run.

gather({"tier": "canary"})
-> HostFacts(host="web-1", kernel="6.1.0-13-cloud", virtualization="kvm", os="debian", cpus=4, ...)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from compiler.kernel import image
from compiler.kernel.errors import BadImage
from runtime.support.record import field, record

NO_VIRTUALIZATION = "none"
# What the firmware of a virtual machine calls itself, and the name that systemd-detect-virt has for it.
_FIRMWARE = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Microsoft Corporation", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google", "google"),
)
_DMI = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")
# A hypervisor's clock, which the kernel offers only on it.
_CLOCKS = (("kvm-clock", "kvm"), ("hyperv", "microsoft"), ("xen", "xen"))
_UNSET = ("", "uninitialized")  # texts of /etc/machine-id before the first boot has ended


@record
class HostFacts:
    """`virtualization` and `os` are named as systemd-detect-virt and os-release name them."""

    host: str
    machine_id: str = ""
    kernel: str = ""
    arch: str = ""
    virtualization: str = NO_VIRTUALIZATION
    os: str = ""
    os_version: str = ""
    cpus: int = 1
    cgroup: str = ""  # v1, v2 or hybrid
    build_id: str = ""  # of the kernel, hexadecimal: two builds of one release differ
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """What tells this host from all others: the machine-id, or without one its name."""
        return self.machine_id or self.host


def gather(labels: Mapping[str, str], root: Path = Path("/")) -> HostFacts:
    """The facts of this host. `root`: the folder that contains etc, proc and sys."""
    names = os.uname()
    release = _os_release(root)
    machine_id = _text(root / "etc/machine-id")
    return HostFacts(
        host=names.nodename,
        machine_id="" if machine_id in _UNSET else machine_id,
        kernel=names.release,
        arch=names.machine,
        virtualization=container(root) or virtual_machine(root) or NO_VIRTUALIZATION,
        os=release.get("ID", ""),
        os_version=release.get("VERSION_ID", ""),
        cpus=_cpus(root),
        cgroup=_cgroup(root),
        build_id=_build_id(root),
        labels=labels,
    )


def container(root: Path) -> str:
    """The kind of container that this process is in; "" if it is in none."""
    for file in ("run/systemd/container", "run/host/container-manager"):
        if name := _text(root / file):
            return name
    if (root / "run/.containerenv").exists():
        return "podman"
    return "docker" if (root / ".dockerenv").exists() else ""


def virtual_machine(root: Path) -> str:
    """The kind of virtual machine; "" for hardware. Clouds rent hardware under the same firmware names."""
    if (hypervisor := _text(root / "sys/hypervisor/type")) == "xen":
        privileged = "control_d" in _text(root / "proc/xen/capabilities")
        return "" if privileged else hypervisor
    cpu = _text(root / "proc/cpuinfo")
    tells_flags = "\nflags" in cpu  # other architectures' processors do not tell of a hypervisor
    if tells_flags and not _has_hypervisor_flag(cpu):
        return ""
    firmware = _firmware(root)
    if firmware in ("", "qemu"):
        clocks = _text(root / "sys/devices/system/clocksource/clocksource0/available_clocksource")
        firmware = next((name for clock, name in _CLOCKS if clock in clocks), firmware)
    return firmware or ("vm-other" if tells_flags else "")


def _has_hypervisor_flag(cpu: str) -> bool:
    flags = next((line for line in cpu.splitlines() if line.startswith("flags")), "")
    return "hypervisor" in flags.split()


def _firmware(root: Path) -> str:
    for file in _DMI:
        text = _text(root / "sys/class/dmi/id" / file)
        for start, name in _FIRMWARE:
            if text.startswith(start):
                return name
    return ""


def _os_release(root: Path) -> dict[str, str]:
    text = _text(root / "etc/os-release") or _text(root / "usr/lib/os-release")
    pairs = (line.partition("=") for line in text.splitlines())
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}


def _cpus(root: Path) -> int:
    """CPUs that are online; `0-3,8` has five."""
    total = 0
    try:
        for part in _text(root / "sys/devices/system/cpu/online").split(","):
            low, _, high = part.partition("-")
            total += int(high or low) - int(low) + 1
    except ValueError:
        return os.cpu_count() or 1
    return total


def _build_id(root: Path) -> str:
    try:
        return image.build_id((root / "sys/kernel/notes").read_bytes()).hex()
    except (OSError, BadImage):
        return ""


def _cgroup(root: Path) -> str:
    top = root / "sys/fs/cgroup"
    if (top / "cgroup.controllers").exists():
        return "v2"
    if (top / "unified/cgroup.controllers").exists():
        return "hybrid"
    return "v1" if top.is_dir() and any(top.iterdir()) else ""


def _text(path: Path) -> str:
    """A file's text; "" if it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
