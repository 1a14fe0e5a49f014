# SPDX-License-Identifier: GPL-2.0-or-later
"""What starts a guest's kernel: QEMU itself, or a UEFI firmware with Secure Boot.

    Guest.boot(image, start=Start.FIRMWARE)          # Secure Boot is on, and nothing verifies the kernel
    guest.boot_again("reboot", start=Start.SHIM)     # shim, GRUB and the kernel, as Debian has signed them
    enrol(guest, "password")                         # what a person does in shim's MokManager

The firmware is Debian's ovmf, with Microsoft's keys enrolled as on a machine from a shop. Its variables are a
file of the guest's folder, which the next boot takes over.
"""

from __future__ import annotations

import enum
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lab.debian import find_vmlinuz
from lab.host import LabError, cache_root, locked, say

if TYPE_CHECKING:
    from lab.image import Image
    from lab.qemu import Qemu

OVMF = Path("/usr/share/OVMF")
VARIABLES = "variables.fd"
_PACKAGES = ("shim-signed", "shim-helpers-amd64-signed", "grub-efi-amd64-signed")
# file of the packages -> its place on the disk that the firmware starts from
_BOOT_FILES = {
    "usr/lib/shim/shimx64.efi.signed": "EFI/BOOT/BOOTX64.EFI",
    "usr/lib/shim/mmx64.efi.signed": "EFI/BOOT/mmx64.efi",
    "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "EFI/BOOT/grubx64.efi",
}
_PATIENCE = 240.0  # seconds
# seconds between keys: the keyboard's buffer is small, and a page does not show that it has read one
_KEY = 0.5


class Start(enum.Enum):
    """KERNEL: QEMU starts the vmlinux, which is fastest. FIRMWARE: UEFI starts QEMU's kernel. SHIM: UEFI
    starts shim, and that GRUB with the kernel; keys that were enrolled with shim are known to the kernel."""

    KERNEL = "kernel"
    FIRMWARE = "firmware"
    SHIM = "shim"


def kernel_arguments(start: Start, image: Image) -> list[str]:
    """QEMU's arguments that are part of the hardware."""
    argv = []
    if start is not Start.SHIM:
        is_elf = start is Start.KERNEL
        kernel = image.folder / "vmlinux" if is_elf else find_vmlinuz(image.rootfs, image.release)
        argv += ["-kernel", str(kernel), "-initrd", str(image.folder / "initrd")]
    if start is not Start.KERNEL:
        code = OVMF / "OVMF_CODE_4M.secboot.fd"
        if not code.exists():
            raise LabError("Secure Boot needs a firmware: apt install ovmf")
        argv += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        argv += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"]
    return argv


def boot_arguments(start: Start, image: Image, folder: Path, command_line: str) -> list[str]:
    """QEMU's arguments that belong to one boot. `folder`: of the guest."""
    argv = [] if start is Start.SHIM else ["-append", command_line]
    if start is Start.KERNEL:
        return argv
    variables = folder / VARIABLES
    if not variables.exists():
        shutil.copyfile(OVMF / "OVMF_VARS_4M.ms.fd", variables)
    argv += ["-drive", f"if=pflash,format=raw,unit=1,file={variables}"]
    if start is Start.SHIM:
        disk = folder / "esp"
        _fill(disk, image, command_line)
        argv += ["-drive", f"id=esp,if=none,format=raw,readonly=on,file=fat:{disk}"]
        argv += ["-device", "virtio-blk-pci,drive=esp,bootindex=0,addr=0x1e"]  # the last disk
    return argv


def take_variables(before: Path, folder: Path) -> None:
    """Go on with the firmware's variables of a guest that has ended."""
    if (before / VARIABLES).exists():
        shutil.move(before / VARIABLES, folder / VARIABLES)


def enrol(vm: Qemu, password: str) -> None:
    """Confirm the key that `mokutil --import` has registered, as a person does at the console; then QEMU
    ends."""
    pages = (
        ("Press any key to perform MOK management", ["ret"]),
        ("Enroll MOK", ["down", "ret"]),  # below "Continue boot"
        ("View key 0", ["down", "ret"]),  # Continue
        ("Enroll the key(s)?", ["down", "ret"]),  # Yes
        ("Password:", [*password, "ret"]),
        ("Reboot", ["ret"]),
    )
    seen = 0
    for words, keys in pages:
        seen = _wait_for_words(vm, words, seen)
        for key in keys:
            time.sleep(_KEY)
            vm.hmp(f"sendkey {key}")
    _wait(vm, lambda text: vm.process.poll() is not None, "MokManager reboots")


def _wait_for_words(vm: Qemu, words: str, start: int) -> int:
    """Where they end in the console's text; they are looked for behind `start`."""
    _wait(vm, lambda text: words in text[start:], f"MokManager shows '{words}'")
    return vm.console.read_text(errors="replace").index(words, start) + len(words)


def _wait(vm: Qemu, ready: Callable[[str], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not ready(vm.console.read_text(errors="replace")):
        if time.monotonic() > deadline:
            raise LabError(f"not after {_PATIENCE:.0f} s: {what}\n{vm.console.read_text()[-2000:]}")
        time.sleep(0.1)


def _fill(disk: Path, image: Image, command_line: str) -> None:
    files = _signed_files()
    for source, place in _BOOT_FILES.items():
        (disk / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(files / source, disk / place)
    shutil.copyfile(find_vmlinuz(image.rootfs, image.release), disk / "vmlinuz")
    shutil.copyfile(image.folder / "initrd", disk / "initrd")
    config = disk / "EFI/debian/grub.cfg"
    config.parent.mkdir(parents=True)
    config.write_text(f"linux /vmlinuz {command_line}\ninitrd /initrd\nboot\n")


def _signed_files() -> Path:
    """The files of Debian's packages. Installed, they would become this machine's own loader."""
    folder = cache_root() / "signed-boot"
    with locked(folder.with_suffix(".lock"), "shim being downloaded"):
        if not folder.exists():
            say(f"downloading {', '.join(_PACKAGES)}")
            with tempfile.TemporaryDirectory(dir=folder.parent) as name:
                made = Path(name)
                made.chmod(0o755)
                _run(["apt-get", "download", *_PACKAGES], made)
                for package in sorted(made.glob("*.deb")):
                    _run(["dpkg-deb", "-x", str(package), "files"], made)
                (made / "files").rename(folder)
    return folder


def _run(argv: list[str], folder: Path) -> None:
    done = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv)}: {done.stderr[-1000:]}")
