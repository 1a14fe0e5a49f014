# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel that checks itself (debug.config: KASAN, lockdep, kmemleak), in the guest of DEBIAN_KERNEL.

    build_guest(base.rootfs, folder)  -> folder/{rootfs/, vmlinux, initrd, disk.raw, release}

It is built with this machine's compiler, which must be the guest's own, in about 15 minutes on two cores.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lab import debian
from lab.host import LabError, find_tool, run_logged, say

NAME = "debug"  # as the lab's kernels are named
DEBIAN_KERNEL = "6.1"
CONFIG = Path(__file__).with_name("debug.config")
PACKAGES = (
    f"linux-source-{DEBIAN_KERNEL}",
    "bc",
    "bison",
    "dwarves",
    "flex",
    "gcc",
    "libelf-dev",
    "libssl-dev",
    "make",
    "xz-utils",
)
SOURCE = Path(f"/usr/src/linux-source-{DEBIAN_KERNEL}.tar.xz")
ARCH = "x86"  # as the kernel's tree calls it


def recipe_key(base_key: str) -> str:
    """Hash everything that decides what the guest is (12 hex digits)."""
    parts = (base_key.encode(), CONFIG.read_bytes(), Path(__file__).read_bytes())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def build_guest(base: Path, folder: Path) -> None:
    """Fill an empty `folder` from the rootfs of the guest whose kernel is replaced. Raises LabError."""
    log = folder / "build.log"
    check_host(base)
    install_packages(log)
    tree = build_kernel(folder / "work", log)
    assemble(base, tree, folder)
    shutil.rmtree(folder / "work")


def check_host(base: Path) -> None:
    """Modules are compiled in the guest, so the kernel must come from the same compiler."""
    mine = Path("/etc/debian_version").read_text() if find_tool("apt-get") else "no Debian"
    guest = (base / "etc/debian_version").read_text()
    if mine.partition(".")[0] != guest.partition(".")[0]:
        raise LabError(
            f"the debug kernel needs the compiler of Debian {guest.strip()}, this is {mine.strip()}"
        )


def install_packages(log: Path) -> None:
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ", *PACKAGES]
    found = subprocess.run(query, capture_output=True, text=True)
    if found.stdout.split() == ["installed"] * len(PACKAGES):
        return
    say(f"installing {' '.join(PACKAGES)}")
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q", "-y"]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run_logged([*apt, "update"], log, what="apt-get update", env=env)
    install = [*apt, "--no-install-recommends", "install", *PACKAGES]
    run_logged(install, log, what="apt-get install", env=env)


def build_kernel(work: Path, log: Path) -> Path:
    """Unpack, configure and compile; the kernel's tree."""
    work.mkdir()
    run_logged(["tar", "-xf", str(SOURCE), "-C", str(work)], log, what="unpacking the kernel")
    (tree,) = work.iterdir()
    make = ["make", "-s", "-C", str(tree), f"KCONFIG_ALLCONFIG={CONFIG}"]
    run_logged([*make, "allnoconfig"], log, what="configuring the debug kernel")
    check_config(tree)
    jobs = f"-j{os.cpu_count() or 1}"
    say("compiling the debug kernel (15 minutes on two cores)")
    run_logged([*make, jobs, "bzImage", "modules"], log, what="compiling the debug kernel")
    return tree


def check_config(tree: Path) -> None:
    """kconfig drops silently what depends on something that is off."""
    made = set((tree / ".config").read_text().splitlines())
    wanted = [line for line in CONFIG.read_text().splitlines() if line.startswith("CONFIG_")]
    dropped = [line for line in wanted if not line.endswith("=n") and line not in made]
    if dropped:
        raise LabError(f"{CONFIG.name}: the kernel's configuration lacks {', '.join(dropped)}")


def assemble(base: Path, tree: Path, folder: Path) -> None:
    """The guest of `base` with the kernel that was built in `tree`."""
    log, root = folder / "build.log", folder / "rootfs"
    say("debug kernel: files and disk")
    subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
    for old in (*(root / "usr/lib/modules").iterdir(), *(root / "usr/src").glob("linux-headers-*")):
        shutil.rmtree(old)
    for old in (root / "boot").iterdir():
        old.unlink()
    release = (tree / "include/config/kernel.release").read_text().strip()
    modules = root / "usr/lib/modules" / release
    install = ["make", "-s", "-C", str(tree), f"INSTALL_MOD_PATH={root}/usr", "INSTALL_MOD_STRIP=1"]
    run_logged([*install, "modules_install"], log, what="installing the debug kernel's modules")
    # the guest's own depmod: this machine may have none
    run_logged(["chroot", str(root), "depmod", release], log, what="depmod of the debug kernel")
    headers = Path("usr/src") / f"linux-headers-{release}"
    for name in ("build", "source"):
        (modules / name).unlink(missing_ok=True)
        (modules / name).symlink_to(f"/{headers}")
    for path in build_tree(tree):
        target = root / headers / path.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
    # an ELF file would be started through the PVH entry, whose C runs before KASAN has its shadow memory
    shutil.copy(tree / f"arch/{ARCH}/boot/bzImage", folder / "vmlinux")
    kernel = root / "boot" / f"vmlinuz-{release}"  # the compiler reads its types
    subprocess.run(["objcopy", "--strip-debug", str(tree / "vmlinux"), str(kernel)], check=True)
    shutil.copy(tree / "System.map", root / "boot" / f"System.map-{release}")
    shutil.copy(tree / ".config", root / "boot" / f"config-{release}")
    (folder / "initrd").write_bytes(debian.make_initramfs(root, release))
    what = "debug kernel: disk"
    debian.make_disk(root, folder / "disk.raw", debian.DISK_SIZE, log, what, journal=True)
    (folder / "release").write_text(release + "\n")


def build_tree(tree: Path) -> Iterator[Path]:
    """The files of a kernel's tree that a module's build reads; Debian's kernel packages hold the same."""
    top = tree / "arch" / ARCH
    yield from (tree / name for name in (".config", "Module.symvers", "Makefile", "Kbuild"))
    yield from (tree / "tools/objtool/objtool", *top.glob("Makefile*"))
    yield from (path for name in ("Kbuild.platforms", "Platform") for path in top.rglob(name))
    folders = [tree / "include", tree / "scripts"]
    folders += [path for path in top.rglob("*") if path.name in ("include", "scripts")]
    for folder in folders:
        yield from (path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())
    # what every build makes anew unless it is there
    yield from (tree / name for name in ("kernel/bounds.s", f"arch/{ARCH}/kernel/asm-offsets.s"))
