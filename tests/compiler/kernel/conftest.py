# SPDX-License-Identifier: GPL-2.0-or-later
"""Real kernels: Debian's current one, downloaded once, and the running one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from compiler.kernel.kernel import SYS_BTF, Kernel
from tests.compiler.kernel.commands import LIMIT, run


def _fetch(release: str, root: Path) -> None:
    """Unpack a kernel and its headers into `root`, completely or not at all."""
    common = re.sub(r"-(?:cloud-|rt-)?amd64$", "-common", release)
    kbuild = "linux-kbuild-" + re.sub(r"^(\d+\.\d+)\.0-.*", r"\1", release)
    packages = [f"linux-image-{release}", f"linux-headers-{release}"]
    packages += [f"linux-headers-{common}", kbuild]
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as name:
        folder = Path(name)
        subprocess.run(["apt-get", "download", *packages], cwd=folder, timeout=LIMIT, check=True)
        for package in folder.glob("*.deb"):
            run("dpkg-deb", "-x", package, folder / "root")
        # the modules are 350 MB; a few are enough
        for module in (folder / "root" / "lib" / "modules").rglob("*.ko*"):
            if module.name.partition(".")[0] not in ("xfs", "nf_conntrack"):
                module.unlink()
        with suppress(OSError):  # another run was faster
            (folder / "root").rename(root)


@pytest.fixture(scope="session")
def debian_root() -> tuple[Path, str]:
    """A folder with Debian's kernel and headers as its package manager would lay them out."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip("needs apt-get and dpkg-deb to fetch Debian's kernel")
    depends = run("apt-cache", "depends", "linux-image-amd64")
    found = re.search(r"Depends: linux-image-(\S+)", depends)
    if found is None:
        pytest.skip("apt knows no linux-image-amd64")
    release = found[1]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "stapwatch-lab" / "kernels" / release
    if not root.is_dir():
        try:
            _fetch(release, root)
        except subprocess.CalledProcessError:
            pytest.skip(f"cannot download Debian's kernel {release}")
    return root, release


@pytest.fixture(scope="session")
def debian(debian_root: tuple[Path, str]) -> Kernel:
    root, release = debian_root
    return Kernel.from_root(root, release, cache=root.parent)


@pytest.fixture(scope="session")
def host() -> Kernel:
    if not (SYS_BTF / "vmlinux").exists():
        pytest.skip("the running kernel has no type information")
    return Kernel.running()


@pytest.fixture(scope="session", params=["debian", "host"])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    """Each real kernel in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Kernel)
    return found


@pytest.fixture(scope="session")
def bpftool() -> Path:
    found = shutil.which("bpftool", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip("needs bpftool as a second opinion")
    return Path(found)
