# SPDX-License-Identifier: GPL-2.0-or-later
"""The shared libraries that a program loads, by the dynamic linker's rules.

libraries("/usr/bin/ls", files) -> {"libc.so.6": "/usr/lib/x86_64-linux-gnu/libc.so.6", ...}

Those are the ones that the file names, and the ones that they name; what a program loads by itself
(dlopen) is named by its path.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from compiler.userspace.elf_program import Executable, ProgramError
from compiler.userspace.program_files import Files

_CONFIGURATION = "/etc/ld.so.conf"
_STANDARD = (
    "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib",
)  # fmt: skip


def libraries(path: str, files: Files) -> dict[str, str]:
    """Name -> file, nearest first. A library that is not found is left out."""
    found: dict[str, str] = {}
    waiting = [path]
    folders = [*_configured(_CONFIGURATION, files), *_STANDARD]
    while waiting:
        user = waiting.pop(0)
        try:
            executable = Executable.open(files.read(user))
        except (ProgramError, OSError):
            continue
        origin = str(PurePosixPath(user).parent)
        own = [f.replace("${ORIGIN}", "$ORIGIN") for f in executable.library_folders]
        own = [f.replace("$ORIGIN", origin) for f in own if f]
        for name in executable.needed:
            if name in found:
                continue
            places = [name] if "/" in name else [f"{folder}/{name}" for folder in own + folders]
            path_ = next((hit for place in places for hit in files.find(place)), None)
            if path_ is not None:
                found[name] = path_
                waiting.append(path_)
    return found


def _configured(name: str, files: Files, depth: int = 0) -> Iterator[str]:
    """Folders in the linker's configuration, which may include other files of it."""
    if depth > 8:
        return
    for path in files.find(name):
        for line in files.read(path).read_text(errors="replace").splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["include"]:
                for pattern in words[1:]:
                    place = pattern if pattern.startswith("/") else f"/etc/{pattern}"
                    yield from _configured(place, files, depth + 1)
            elif words:
                yield words[0].partition("=")[0]
