# SPDX-License-Identifier: GPL-2.0-or-later
"""The hand-written modules, built with kbuild by the guest's own compiler.

build(Image.ensure("6.1"), folder) -> {"hand_count": folder/"hand_count.ko", ...}
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lab import Image

HERE = Path(__file__).parent / "hand"


def build(image: Image, folder: Path) -> dict[str, Path]:
    """Build all of hand/ in `folder`, which is created. Raises LabError with the compiler's messages."""
    shutil.copytree(HERE, folder)
    names = sorted(path.stem for path in folder.glob("*.c"))
    (folder / "Kbuild").write_text("".join(f"obj-m += {name}.o\n" for name in names))
    make = ["make", "-s", "-C", f"/usr/src/linux-headers-{image.release}", "M=/mnt", "modules"]
    image.chroot_run(make, binds={folder: "/mnt"})
    return {name: folder / f"{name}.ko" for name in names}
