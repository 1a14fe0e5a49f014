# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernels to build for, and the folders that they and their headers are in.

    find(("6.1.0-56-cloud",), (Path("/srv/roots"),))
      -> [BuildKernel(release="6.1.0-56-cloud", root=/srv/roots/bookworm, build_id="e4f1...")], []

A root folder is a system's `/`: with /boot/vmlinuz-RELEASE, /lib/modules/RELEASE, the headers and a compiler.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from compiler.kernel.errors import KernelFactError
from compiler.kernel.image import running_build_id
from compiler.kernel.kernel import Kernel, releases
from compiler.support.did_you_mean import did_you_mean
from runtime.support.record import record


class KernelError(Exception):
    """A kernel that is asked for cannot be found, or read; the text says what to do."""


@record
class BuildKernel:
    """`root`: the folder that it is installed in; "/" for this machine. `build_id`: hexadecimal."""

    release: str
    root: Path
    build_id: str
    architecture: str

    @property
    def request(self) -> dict[str, str] | None:
        """Request.kernel; None if it is the one that runs here."""
        if self.root == Path("/") and self.build_id == _running():
            return None
        return {"root": str(self.root), "release": self.release}


def find(
    wanted: Iterable[str], sysroots: Sequence[Path], cache: Path
) -> tuple[list[BuildKernel], list[str]]:
    """One kernel for each build that has a wanted release, and what is wrong with the others. Without
    releases, each one of the root folders; and without those, the one that runs here.

    `cache`: for facts of kernels. Raises KernelError for a wrong folder.
    """
    roots = [root for folder in sysroots for root in _roots(folder)]
    known = [(release, root) for root in roots for release in releases(root)]
    wanted = list(dict.fromkeys(wanted))
    if not wanted:
        wanted = list(dict.fromkeys(r for r, _ in known)) if roots else [os.uname().release]
    found: dict[str, BuildKernel] = {}
    problems = []
    for release in wanted:
        try:
            places = [root for name, root in known if name == release]
            for root in places or [_here(release, known)]:
                kernel = _read(release, root, cache)
                found.setdefault(kernel.build_id, kernel)
        except KernelError as error:
            problems.append(str(error))
    return list(found.values()), problems


def _roots(folder: Path) -> list[Path]:
    """The folder itself if kernels are in it, else each of its folders that has some. Raises KernelError."""
    if not folder.is_dir():
        raise KernelError(f"there is no folder {folder}")
    folder = folder.resolve()
    if releases(folder):
        return [folder]
    found = [inner for inner in sorted(folder.iterdir()) if inner.is_dir() and releases(inner)]
    if not found:
        hint = (
            "unpack a system there that has linux-image, linux-headers and gcc, as mmdebstrap does"
        )
        raise KernelError(f"no kernel is installed in {folder}, or in a folder of it; {hint}")
    return found


def _here(release: str, known: Iterable[tuple[str, Path]]) -> Path:
    """This machine's root folder, if it has that kernel. Raises KernelError."""
    if release == os.uname().release or release in releases(Path("/")):
        return Path("/")
    names = sorted({name for name, _ in known} | set(releases(Path("/"))))
    hint = did_you_mean(release, names) or f"there is {', '.join(names) or 'none'}"
    raise KernelError(
        f"no kernel {release} here, nor in a --sysroot; {hint}; install it, or give its --sysroot"
    )


def _read(release: str, root: Path, cache: Path) -> BuildKernel:
    """Raises KernelError."""
    try:
        if root == Path("/") and release == os.uname().release:
            return BuildKernel(release, root, _running(), os.uname().machine)
        kernel = Kernel.from_root(root, release, None, cache)
        return BuildKernel(release, root, kernel.build_id.hex(), os.uname().machine)
    except KernelFactError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise KernelError(f"kernel {release} in {root}: {error.message}{hint}") from error


def _running() -> str:
    return running_build_id().hex()
