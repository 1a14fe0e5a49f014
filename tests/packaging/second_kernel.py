# SPDX-License-Identifier: GPL-2.0-or-later
"""Another kernel of a guest's suite: Debian's packages of it, and what QEMU needs to boot it.

second = SecondKernel.of(image)
second.release      -> "6.1.0-57-cloud-amd64"
second.packages     -> (Path(".../linux-image-6.1.0-57-cloud-amd64_....deb"), ...)
second.image        an image that boots it, from any disk which has its modules
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.arch import arch_of
from compiler.kernel.image import kernel_elf
from lab import Image, debian
from lab.host import LabError, cache_root, locked, remove_all_but

_FLAVOUR = "cloud-amd64"


@dataclass(frozen=True)
class SecondKernel:
    """The cloud flavour of the kernel that the image has: another build with another configuration."""

    release: str
    folder: Path
    image: Image

    @classmethod
    def of(cls, image: Image) -> SecondKernel:
        """Its packages come from this machine's archive, once: `image` must be of its suite. Raises LabError."""
        release = image.release.removesuffix("amd64") + _FLAVOUR
        recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
        folder = cache_root() / "second-kernels" / f"{release}-{image.key}-{recipe}"
        with locked(folder.parent / "second.lock", "another kernel's packages"):
            if not folder.exists():
                _make(image, release, folder)
                remove_all_but(2, [p for p in folder.parent.iterdir() if p.is_dir()])
        return cls(release, folder, replace(image, folder=folder))

    @property
    def packages(self) -> tuple[Path, ...]:
        """In the order in which they are to be installed: the kernel comes before its headers."""
        return tuple(
            sorted(
                self.folder.glob("*.deb"),
                key=lambda p: (p.name[:5] == "linux", "headers" in p.name),
            )
        )


def _make(image: Image, release: str, folder: Path) -> None:
    made = Path(tempfile.mkdtemp(dir=folder.parent, suffix=".tmp"))
    try:
        # lz4 unpacks that flavour's image
        names = [f"linux-image-{release}", f"linux-headers-{release}", "lz4"]
        argv = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names]
        done = subprocess.run(argv, cwd=made, capture_output=True, text=True)
        if done.returncode != 0:
            raise LabError(f"cannot download {', '.join(names)}: {done.stderr.strip()}")
        root = made / "rootfs"  # of links: nothing writes into an image's files
        subprocess.run(["cp", "-al", image.rootfs, root], check=True)
        for package in made.glob("linux-*.deb"):
            # over the links of a merged /usr
            tar = f"tar -C {shlex.quote(str(root))} -x --keep-directory-symlink"
            command = f"dpkg-deb --fsys-tarfile {shlex.quote(str(package))} | {tar}"
            subprocess.run(command, shell=True, check=True)
        image.chroot_run(["depmod", "-b", "/mnt/root", release], binds={root: "/mnt/root"})
        (made / "release").write_text(release + "\n")
        packed = debian.find_vmlinuz(root, release)
        unpacked = kernel_elf(packed.read_bytes(), packed, arch_of("x86_64"))
        (made / "vmlinux").write_bytes(unpacked)
        (made / "initrd").write_bytes(debian.make_initramfs(root, release))
        made.chmod(0o755)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
