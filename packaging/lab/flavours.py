# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's other kernels, each in the guest of a suite whose own kernel it replaces.

    build_guest(FLAVOURS["6.1-rt"], base, folder)  -> folder/{rootfs/, vmlinux, initrd, disk.raw, release}

A kernel that is older than the suite comes with the compiler that its headers want, from its own suite.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lab import debian
from lab.host import LabError, run_logged, say
from lab.suites import Suite, suite_for


@dataclass(frozen=True, slots=True)
class Flavour:
    """A kernel series, which of its packages, and the kernel of the guest that it is put into.

    `packages`: NAME of linux-image-NAME and linux-headers-NAME. `suite`: where they are, if that is not the
    guest's own suite.
    """

    name: str
    guest: str
    packages: str
    suite: str = ""

    @property
    def base(self) -> Suite:
        return suite_for(self.guest)


FLAVOURS = {
    flavour.name: flavour
    for flavour in (
        Flavour("5.10", "6.1", "amd64", suite="bullseye"),  # bullseye's Python 3.9 is too old
        Flavour("6.1-cloud", "6.1", "cloud-amd64"),
        Flavour("6.1-rt", "6.1", "rt-amd64"),
        Flavour("6.12-cloud", "6.12", "cloud-amd64"),
        Flavour("6.12-rt", "6.12", "rt-amd64"),
        Flavour("7.2-cloud", "7.2", "cloud-amd64"),
        Flavour("7.2-rt", "7.2", "rt-amd64"),
    )
}


def order(kernel: str) -> tuple[tuple[int, ...], str]:
    """The key that sorts kernels by series, the plain one first: 5.10, 6.1, 6.1-cloud, 6.1-rt, 6.12."""
    series, _, flavour = kernel.partition("-")
    return tuple(map(int, series.split("."))), flavour


# $1 the root, $2 what to install, then apt's options. The archive is found as this machine finds it.
_INSTALL = r"""
set -e
root=$1 wanted=$2; shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for place in tmp run; do mount -t tmpfs -o mode=1777 tmpfs "$root/$place"; done
cat /etc/resolv.conf > "$root/run/resolv.conf"
mount --bind "$root/run/resolv.conf" "$root/etc/resolv.conf"
in_guest() { chroot "$root" "$@"; }
in_guest apt-get "$@" update
# the kernel's packages and what depends on them; the kernel of the suite must not stay beside the other one
kinds='image|headers|kbuild|compiler|binary|modules'
old=$(in_guest dpkg-query -W -f '${Package} ${db:Status-Status}\n' 'linux-*' |
	sed -nE "s/^(linux-($kinds)-[^ ]*) installed$/\\1/p")
in_guest apt-get "$@" purge $old
in_guest apt-get "$@" --no-install-recommends install $wanted
in_guest apt-get clean
rm -rf "$root"/var/lib/apt/lists/*
"""


def recipe_key(flavour: Flavour, base_key: str) -> str:
    """Hash everything that decides what the guest is (12 hex digits)."""
    parts = (base_key, repr(flavour), Path(__file__).read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def build_guest(flavour: Flavour, base: Path, folder: Path) -> None:
    """Fill an empty `folder` from the rootfs of the guest whose kernel is replaced. Raises LabError."""
    name = f"building image {flavour.name}"
    started = time.monotonic()
    log, root = folder / "build.log", folder / "rootfs"
    say(f"{name}: 1/3 packages")
    subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
    install_kernel(flavour, root, log, f"{name}: 1/3 packages")
    say(f"{name}: 2/3 kernel and initramfs")
    release = debian.kernel_release(root)
    packed = debian.find_vmlinuz(root, release).read_bytes()
    (folder / "vmlinux").write_bytes(bootable(packed))
    (folder / "initrd").write_bytes(debian.make_initramfs(root, release))
    (folder / "release").write_text(release + "\n")
    say(f"{name}: 3/3 disk")
    what = f"{name}: 3/3 disk"
    debian.make_disk(root, folder / "disk.raw", debian.DISK_SIZE, log, what, journal=True)
    say(f"{name}: ready after {time.monotonic() - started:.0f} s")


def bootable(packed: bytes) -> bytes:
    """The ELF kernel of a bzImage, or the bzImage, which QEMU starts as well, some seconds slower.

    The cloud kernels are packed with LZ4, for which there is no program on every machine.
    """
    try:
        return debian.extract_vmlinux(packed)
    except LabError:
        return packed


def install_kernel(flavour: Flavour, root: Path, log: Path, what: str) -> None:
    """Replace the kernel's packages in a root. What else changes is what these depend on."""
    sources = root / "etc/apt/sources.list.d/kernel.list"
    pin = root / "etc/apt/preferences.d/kernel"
    suffix = ""
    if flavour.suite:
        found = debian.source_lines(Suite(flavour.name, flavour.suite))
        sources.write_text("\n".join(found) + "\n")
        # nothing else comes from there, but what the kernel's packages need and the suite does not have
        pin.write_text(f"Package: *\nPin: release n={flavour.suite}*\nPin-Priority: 50\n")
        suffix = f"/{flavour.suite}"
    wanted = f"linux-image-{flavour.packages}{suffix} linux-headers-{flavour.packages}{suffix}"
    options = ["-q", "-y", "-o", "APT::Sandbox::User=root", "-o", "APT::Get::Allow-Downgrades=true"]
    for option in debian.apt_options(flavour.base):
        key, _, value = option.partition(" ")
        options += ["-o", f"{key}={value.strip(chr(34))}"]
    argv = ["unshare", "--mount", "sh", "-c", _INSTALL, "sh", str(root), wanted, *options]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LANG": "C.UTF-8"}
    env["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"
    run_logged(argv, log, what=what, env=env)
    for path in (sources, pin):
        path.unlink(missing_ok=True)
