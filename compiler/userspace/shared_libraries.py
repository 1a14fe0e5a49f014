# SPDX-License-Identifier: GPL-2.0-or-later
"""The shared libraries that a program loads, by the dynamic linker's rules (ld.so(8)).

libraries("/usr/bin/ls", files, arch) -> {"libc.so.6": "/usr/lib/.../libc.so.6", ...}

These are the libraries that the file names, and those that they name in turn. Libraries that a program
opens while it runs (dlopen) are not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from compiler.arch import Arch
from compiler.support.elf import ElfError
from compiler.userspace.elf_program import Executable
from compiler.userspace.program_files import Files

_CONFIGURATION = "/etc/ld.so.conf"


def libraries(path: str, files: Files, arch: Arch) -> dict[str, str]:
    """Name -> file, in the order of loading. A library that is not found is left out."""
    found: dict[str, str] = {}
    waiting = [path]
    folders = [*_configured(_CONFIGURATION, files), *arch.library_folders]
    while waiting:
        user = waiting.pop(0)
        try:
            executable = Executable.open(files.read(user), arch)
            own, needed = executable.library_folders, executable.needed
        except (ElfError, OSError):
            continue
        origin = str(PurePosixPath(user).parent)
        nearest = [f.replace("${ORIGIN}", "$ORIGIN").replace("$ORIGIN", origin) for f in own if f]
        for name in needed:
            if name in found:
                continue
            paths = [name] if "/" in name else [f"{folder}/{name}" for folder in nearest + folders]
            path_ = next((hit for path in paths for hit in files.find(path)), None)
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
