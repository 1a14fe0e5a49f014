# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths inside another system's root folder, whose symbolic links mean that root.

    inside(Path("/srv/guest"), "/lib/modules/6.1/build")
      -> Path("/srv/guest/usr/src/linux-headers-6.1")

Plain `Path.resolve` would follow the guest's absolute links into this machine's own files.
"""

from __future__ import annotations

from pathlib import Path

_LINKS = 40  # as the kernel's own limit


def inside(root: Path, path: str | Path) -> Path:
    """`path`, taken from `root`, with every symbolic link followed as if `root` were `/`.

    What does not exist is kept as written; `..` stops at the root; a loop of links too.
    """
    todo = [part for part in reversed(Path(path).parts) if part != "/"]
    at: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            at = at[:-1]
            continue
        here = root.joinpath(*at, part)
        if not here.is_symlink() or links >= _LINKS:
            at.append(part)
            continue
        links += 1
        target = here.readlink()
        if target.is_absolute():
            at = []
        todo += [step for step in reversed(target.parts) if step != "/"]
    return root.joinpath(*at)
