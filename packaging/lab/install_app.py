# SPDX-License-Identifier: GPL-2.0-or-later
"""Installs the project in a guest. A change of the project does not rebuild the guest's image.

    install(guest, project_root)        # then: guest.run(["stapwatch", "check", "x.stp"])

The tree and the packages it needs are compiled by the guest's own Python (natively, through a
chroot), packed as a small ext4 disk named by its content, and mounted as the guest's second disk:
nothing is copied file by file, and nothing is compiled under emulation.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lab.debian import make_disk
from lab.guest import Guest
from lab.host import LabError, cache_root, locked, remove_all_but, run_logged, say
from lab.image import Image
from lab.warm_cache import warm_cache
from runtime.support import python_module

PREFIX = "usr/lib/stapwatch"
# (path in the project, path in the guest); a row whose source is missing is left out
PLACES = (
    ("agent", f"{PREFIX}/agent"),
    ("compiler", f"{PREFIX}/compiler"),
    ("runtime", f"{PREFIX}/runtime"),
    ("systemd", "etc/systemd/system"),
    ("systemd/stapwatch.catalog", "usr/lib/systemd/catalog/stapwatch.catalog"),
    ("systemd/stapwatch.sysusers", "usr/lib/sysusers.d/stapwatch.conf"),
    ("packaging/stapwatch.yaml", "etc/stapwatch/stapwatch.yaml"),
    ("packaging/etc", "etc/stapwatch"),
    ("packaging/probes.d", "usr/share/stapwatch/probes.d"),
)
# Emulation makes each hit 10 to 20 times dearer than budgets expect: only a test that is about budgets sets
# LAB_BUDGETS.
LAUNCHER = f"""\
#!/bin/sh
export PYTHONPATH=/{PREFIX}:/{PREFIX}/vendor PYTHONSAFEPATH=1
[ "$1" = run ] && [ -z "$LAB_BUDGETS" ] && shift && set -- run -DSTP_NO_OVERLOAD "$@"
exec python3 -s -m agent "$@"
"""
# A drop-in for the agent's configuration: emulation makes each hit 10 to 20 times dearer than budgets expect.
SLOW_MACHINE = "budgets: off\n"
DISKS_KEPT = 6
AT = "/run/lab/app"
# files outside of the prefix are copied: units and configuration must be real, writable files
_INSTALL = f"""
set -e
cd {AT}
mkdir -p /{PREFIX}
mount --bind {PREFIX} /{PREFIX}
tar -cf - --exclude=./{PREFIX} --exclude=./lost+found . | tar -xf - -C / --no-overwrite-dir
systemd-sysusers stapwatch.conf
"""


def runs_in(image: Image) -> bool:
    """Whether the guest's own Python is new enough for the project."""
    major, minor = map(int, image.python.split("."))
    return (major, minor) >= (3, 10)


def install(guest: Guest, project_root: Path, *, units: bool = True) -> None:
    """Install the project as it is now in the guest; a second call replaces the first.

    `units`: whether systemd reads the units, too, which takes minutes under the debug kernel.

    Raises LabError in a guest whose Python is too old: modules built outside load there, though.
    """
    if not runs_in(guest.image):
        raise LabError(f"the guest's Python {guest.image.python} is too old for the project")
    guest.load_parcel(stage(project_root, guest.image), AT)
    guest.run(_INSTALL).check()
    if units:
        guest.run(["systemctl", "daemon-reload"]).check()


def stage(project_root: Path, image: Image) -> Path:
    """Return a disk image with the project for this guest, made when its content is new."""
    vendor = ensure_vendor(project_root, image)
    warm = warm_cache(project_root, image)
    digest = hashlib.sha256(f"{Path(__file__).read_text()}\0{vendor.name}\0{warm.name}".encode())
    for path, place in project_files(project_root):
        executable = os.access(path, os.X_OK)
        digest.update(f"\0{place}\0{executable}\0".encode() + path.read_bytes())
    folder = cache_root() / "app"
    disk = folder / f"{digest.hexdigest()[:16]}.ext4"
    if not disk.exists():
        with locked(folder / "app.lock", "the project being packed"):
            if not disk.exists():
                _pack(project_root, image, (vendor, warm), disk)
                remove_all_but(DISKS_KEPT, folder.glob("*.ext4"))
    os.utime(disk)
    return disk


def project_files(project_root: Path) -> Iterator[tuple[Path, str]]:
    """Yield (file, its path in the guest), in a stable order."""
    for source, place in PLACES:
        top = project_root / source
        if top.is_file():
            yield top, place
        for path in sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, f"{place}/{path.relative_to(top)}"


def _pack(project_root: Path, image: Image, extras: tuple[Path, Path], disk: Path) -> None:
    vendor, warm = extras
    with tempfile.TemporaryDirectory(dir=disk.parent) as name:
        tree = Path(name) / "tree"
        (tree / PREFIX).mkdir(parents=True)
        tree.chmod(0o755)
        for path, place in project_files(project_root):
            target = tree / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            target.chmod(target.stat().st_mode & ~0o022)  # the agent refuses what others may write
        launcher = tree / "usr/bin/stapwatch"
        launcher.parent.mkdir(parents=True)
        launcher.write_text(LAUNCHER)
        launcher.chmod(0o755)
        build_table(tree / PREFIX, vendor)
        compile_python(tree / PREFIX, image)
        shutil.copytree(vendor, tree / PREFIX / "vendor", symlinks=True)
        for user in ("stapwatch", "stapwatch-compile"):  # the loader's, and its compilers'
            cache = tree / "var/cache" / user
            shutil.copytree(warm, cache)
            cache.chmod(0o700)
        made = Path(name) / "disk"
        make_disk(tree, made, "128M", Path(name) / "log", "packing the project")
        made.rename(disk)


def build_table(tree: Path, vendor: Path) -> None:
    """Generate the parser's tables, as a package does, so that no command has to."""
    if not (tree / "compiler" / "frontend" / "parser.py").exists():
        return
    env = {**os.environ, "PYTHONPATH": f"{tree}:{vendor}"}
    argv = [*python_module.command("compiler.frontend.parser"), "--build-table"]
    run_logged(argv, tree.parent.parent / "log", what="generating the parser's tables", env=env)


def compile_python(tree: Path, image: Image, below: str = "") -> None:
    """Write the .pyc files of a tree that the guest will have at /PREFIX/below, read-only.

    unchecked-hash: the guest never compares a source's time with its .pyc's.
    """
    argv = ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    place = str(Path("/") / PREFIX / below)
    argv += ["-s", "/mnt/tree", "-p", place, "/mnt/tree"]
    # a file that does not compile (a syntax error) is reported by whoever imports it
    image.chroot_run(argv, binds={tree: "/mnt/tree"}, check=False)


def ensure_vendor(project_root: Path, image: Image) -> Path:
    """Return a folder of the project's dependencies, compiled for the guest's Python.

    Pure Python only, so one download serves every guest: a C extension of the host's Python would
    not load there, and the package that has one works without.
    """
    import tomli  # a guest that imports this file has no tomli, and makes no vendor folder

    project = tomli.loads((project_root / "pyproject.toml").read_text())["project"]
    wanted = sorted(project["dependencies"])
    key = hashlib.sha256("\0".join(wanted).encode()).hexdigest()[:12]
    folder = cache_root() / f"vendor-{key}-py{image.python}"
    if not folder.exists():
        with locked(folder.with_suffix(".lock"), "the dependencies being downloaded"):
            if not folder.exists():
                _download(wanted, image, folder)
    return folder


def _download(wanted: list[str], image: Image, folder: Path) -> None:
    names = ", ".join(re.split(r"[<>=!~;\[ ]", each)[0] for each in wanted)
    say(f"downloading {names} for the guest's Python {image.python}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        made = Path(name) / "vendor"
        argv = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target"]
        log = folder.with_suffix(".log")
        log.unlink(missing_ok=True)
        run_logged([*argv, str(made), *wanted], log, what="pip install")
        for extension in made.rglob("*.so"):
            extension.unlink()
        shutil.rmtree(made / "bin", ignore_errors=True)
        compile_python(made, image, "vendor")
        made.chmod(0o755)
        made.rename(folder)
