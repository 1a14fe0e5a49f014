# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths inside another system's root folder, whose absolute symbolic links start at that root.

    inside(Path("/srv/guest"), "/lib/modules/6.1/build")
      -> Path("/srv/guest/usr/src/linux-headers-6.1")

`Path.resolve` would follow the absolute links of that system to files of this one.
"""

from __future__ import annotations

from pathlib import Path

_LINKS = 40  # the kernel's limit (MAXSYMLINKS)


def inside(root: Path, path: str | Path) -> Path:
    """`path`, taken from `root`, with every symbolic link followed as if `root` were `/`.

    A component that does not exist stays as written. `..` stops at the root, and a loop of links after 40.
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
