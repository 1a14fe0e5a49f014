# SPDX-License-Identifier: GPL-2.0-or-later
"""Prepares the compiler for a guest's kernel on the host, where it takes seconds and not minutes.

    warm_cache(project_root, image)  -> a folder for the guest's /var/cache/stapwatch

The guest's own compiler does it, run natively in its root folder.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from lab.host import cache_root, locked, remove_all_but, run_logged, say
from lab.image import Image

_KEPT = 8
# the sources that determine how a kernel is prepared
_SOURCES = (
    "compiler/arch",
    "compiler/modbuild",
    "compiler/kernel",
    "compiler/support",
    "runtime/kernel",
)
_PREPARE = """
import sys
from pathlib import Path
from compiler.support.content_store import Cache
from compiler.modbuild.builder import Builder
from compiler.modbuild.toolchain import ChrootToolchain
from compiler.kernel.kernel import Kernel
root, release, folder = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
Builder(Cache(folder), ChrootToolchain(root, folder)).prepare(Kernel.from_root(root, release))
"""


def warm_cache(project_root: Path, image: Image) -> Path:
    """The cache folder for this image and these sources, made when one of them is new."""
    digest = hashlib.sha256(f"{image.folder.name}\0{Path(__file__).read_text()}".encode())
    for part in _SOURCES:
        for path in sorted((project_root / part).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    top = cache_root() / "warm"
    top.mkdir(parents=True, exist_ok=True)
    folder = top / digest.hexdigest()[:16]
    with locked(top / "warm.lock", "the guest's compiler being prepared"):
        if not folder.exists():
            _make(project_root, image, folder)
            remove_all_but(_KEPT, [p for p in top.iterdir() if p.is_dir()])
    os.utime(folder)
    return folder


def _make(project_root: Path, image: Image, folder: Path) -> None:
    say(f"preparing the compiler for the guest's kernel {image.release}")
    made = Path(tempfile.mkdtemp(dir=folder.parent, suffix=".tmp"))
    try:
        argv = [sys.executable, "-c", _PREPARE, str(image.rootfs), image.release, str(made)]
        log = folder.parent / "warm.log"
        log.unlink(missing_ok=True)
        env = {**os.environ, "PYTHONPATH": str(project_root)}
        run_logged(argv, log, what="preparing for the guest's kernel", env=env)
        for spare in ("work", "failed", "locks"):
            shutil.rmtree(made / spare, ignore_errors=True)
        made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
