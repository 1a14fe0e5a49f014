# SPDX-License-Identifier: GPL-2.0-or-later
"""Test modules of the kernel, built with kbuild by the guest's own compiler. They may include the runtime's compat.h.

build([Path("x.c"), Path("x.h")], Image.ensure("6.1"), folder)   -> {"x": folder/"x.ko"}
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from lab import Image
from tests import PROJECT

RUNTIME = PROJECT / "runtime/kernel"


def build(files: Iterable[Path], image: Image, folder: Path) -> dict[str, Path]:
    """A module for each C file, in `folder`, which is created. Raises LabError with the compiler's messages."""
    folder.mkdir()
    copies = [Path(shutil.copy(file, folder)) for file in (*files, RUNTIME / "compat.h")]
    names = sorted(copy.stem for copy in copies if copy.suffix == ".c")
    rules = (RUNTIME / "Kbuild").read_text().splitlines()
    features = [line for line in rules if line.startswith("sw-headers") or "sw-have" in line]
    lines = [*(f"obj-m += {name}.o" for name in names), *features]
    (folder / "Kbuild").write_text("".join(f"{line}\n" for line in lines))
    make = ["make", "-s", "-C", f"/usr/src/linux-headers-{image.release}", "M=/mnt", "modules"]
    image.chroot_run(make, binds={folder: "/mnt"})
    return {name: folder / f"{name}.ko" for name in names}
