# SPDX-License-Identifier: GPL-2.0-or-later
"""Guest images in the cache, each built once and named by a hash of what it is made from.

image = Image.ensure("6.1")                       # builds it the first time, ~1.5 minutes
image = Image.ensure("7.2", ("bpftrace",))        # a variant with more of Debian's packages
image = Image.ensure("6.1-rt")                    # another of Debian's kernels in the guest of 6.1
image = Image.ensure("debug")                     # a kernel that checks itself: 15 minutes, once
image.chroot_run(["gcc", "--version"])            # the guest's compiler, at native speed

CACHE/images/bookworm-0f3a.../{rootfs/, vmlinux, initrd, disk.raw, release, snapshots/}
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from lab import debian, debug_kernel, flavours
from lab.flavours import FLAVOURS, Flavour
from lab.host import LabError, cache_root, ensure_host_packages, locked, remove_all_but
from lab.suites import DEFAULT_KERNEL, SUITES, Suite, suite_for

KERNELS = tuple(
    sorted((*SUITES, *FLAVOURS), key=flavours.order)
)  # all of Debian's that a guest can have
KEPT = 2  # images of a variant that stay in the cache

# $1 root, $2 the folder inside; pairs (host path, path inside) up to "--"; then the command
_CHROOT = r"""
set -e
root=$1 cwd=$2; shift 2
mount --bind -o ro "$root" "$root"
cd "$root"
mount --rbind /dev dev
mount -t proc proc proc
for place in tmp mnt run; do mount -t tmpfs -o mode=1777 tmpfs "$place"; done
while [ "$1" != -- ]; do
    inside=$root$2
    if [ -d "$1" ]; then mkdir -p "$inside"
    else mkdir -p "${inside%/*}"; [ -e "$inside" ] || : > "$inside"; fi
    mount --bind "$1" "$inside"
    shift 2
done
shift
exec chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$cwd" "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """One built guest in the cache. `key` is the hash of all that it is made from."""

    slowness: ClassVar[float] = 1.0  # how many times longer its kernel may take to answer
    kernel_args: ClassVar[str] = ""  # more of its kernel's command line

    suite: Suite
    key: str
    folder: Path

    @classmethod
    def find(cls, kernel: str = DEFAULT_KERNEL, extra: Sequence[str] = ()) -> Image:
        """Name the image for a kernel series or suite name; it may not exist yet.

        `extra`: packages over those that every guest of the suite has; such a variant is an image
        of its own, and leaves the plain one alone.
        """
        if extra and kernel in (debug_kernel.NAME, *FLAVOURS):
            raise LabError(f"the guest of kernel {kernel} takes no more packages")
        if kernel in FLAVOURS:
            return FlavourImage.of(FLAVOURS[kernel])
        if kernel == debug_kernel.NAME:
            base = Image.find(debug_kernel.DEBIAN_KERNEL)
            key = debug_kernel.recipe_key(base.key)
            name = f"{base.suite.name}+{debug_kernel.NAME}-{key}"
            return DebugImage(base.suite, key, cache_root() / "images" / name)
        suite = suite_for(kernel)
        suite = replace(suite, extra=(*suite.extra, *extra))
        key = debian.recipe_key(suite)
        folder = cache_root() / "images" / f"{'+'.join([suite.name, *extra])}-{key}"
        return cls(suite, key, folder)

    @classmethod
    def ensure(cls, kernel: str = DEFAULT_KERNEL, extra: Sequence[str] = ()) -> Image:
        """Return the image, built if it is not in the cache. Safe with several callers at once."""
        image = cls.find(kernel, extra)
        ensure_host_packages()
        if not image.exists:
            with locked(image.folder.parent / f"{image.variant}.lock", "an image build"):
                if not image.exists:
                    image._build()
        os.utime(image.folder)  # the images used last are kept
        return image

    @property
    def variant(self) -> str:
        """The suite and the packages over its own, e.g. sid+bpftrace."""
        return self.folder.name.removesuffix(f"-{self.key}")

    @property
    def exists(self) -> bool:
        return (self.folder / "release").exists()

    @property
    def release(self) -> str:
        """The kernel's release, e.g. 6.1.0-56-amd64."""
        return (self.folder / "release").read_text().strip()

    @property
    def rootfs(self) -> Path:
        """The guest's root as a folder on the host: read it, never write into it."""
        return self.folder / "rootfs"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def python(self) -> str:
        """The guest's Python as "3.11"."""
        for path in sorted((self.rootfs / "usr/bin").glob("python3.[0-9]*")):
            if path.name.removeprefix("python3.").isdigit():
                return path.name.removeprefix("python")
        raise LabError(f"no python in {self.rootfs}")

    def _build(self) -> None:
        if os.geteuid() != 0:
            raise LabError(f"building the image {self.folder.name} needs root, once")
        parent = self.folder.parent
        for left in parent.glob(f"{self.variant}-*.tmp"):  # by a build that was killed
            shutil.rmtree(left)
        folder = Path(tempfile.mkdtemp(prefix=f"{self.folder.name}-", suffix=".tmp", dir=parent))
        folder.chmod(0o755)
        try:
            self._fill(folder)
            folder.rename(self.folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        remove_all_but(KEPT, [p for p in parent.glob(f"{self.variant}-*") if p.is_dir()])

    def _fill(self, folder: Path) -> None:
        debian.build_guest(self.suite, folder)

    def chroot_run(
        self,
        argv: Sequence[str],
        *,
        binds: Mapping[Path, str] | None = None,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        input: bytes | None = None,
        timeout: float = 600,
        check: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program of the guest natively: same compiler, same headers, no emulation.

        The root is read-only there; /tmp, /mnt and /run are empty and writable, and vanish after
        the call. `binds` shows host files or folders inside, writable, at paths that exist in the
        root or are below those three. uname reports the host's kernel. Needs root.
        Raises LabError, with the output's end, on a failing command when `check` is set.
        """
        pairs = [part for host, inside in (binds or {}).items() for part in (str(host), inside)]
        base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        # its own pid namespace: what it starts ends with it, or with this process
        isolate = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        script = ("sh", "-c", _CHROOT, "sh", str(self.rootfs), cwd, *pairs, "--")
        done = subprocess.run(
            [*isolate, *script, *argv],
            env={**base, **(env or {})},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            tail = (done.stdout + done.stderr).decode(errors="replace")[-3000:]
            raise LabError(
                f"in {self.rootfs}: {' '.join(argv)} ended with {done.returncode}:\n{tail}"
            )
        return done


class DebugImage(Image):
    """The guest of another image with a kernel of our own."""

    slowness = 12.0
    kernel_args = "systemd.default_timeout_start_sec=900"  # services end early otherwise

    def _fill(self, folder: Path) -> None:
        base = Image.ensure(debug_kernel.DEBIAN_KERNEL)
        debug_kernel.build_guest(base.rootfs, folder)


@dataclass(frozen=True, slots=True)
class FlavourImage(Image):
    """The guest of another image with another of Debian's kernels."""

    flavour: Flavour

    @classmethod
    def of(cls, flavour: Flavour) -> FlavourImage:
        base = Image.find(flavour.guest)
        key = flavours.recipe_key(flavour, base.key)
        folder = cache_root() / "images" / f"{base.suite.name}+{flavour.name}-{key}"
        return cls(base.suite, key, folder, flavour)

    def _fill(self, folder: Path) -> None:
        base = Image.ensure(self.flavour.guest)
        flavours.build_guest(self.flavour, base.rootfs, folder)
