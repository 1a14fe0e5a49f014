# SPDX-License-Identifier: GPL-2.0-or-later
"""The manifest inside a module file.

manifest_of_module(Path("swatch_1234.ko"))  -> Manifest(name="vfs", ...)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from compiler.support.elf import Elf
from runtime.abi.manifest import Manifest

MANIFEST_SECTION: Final = ".stapwatch.manifest"


def manifest_of_module(path: Path) -> Manifest:
    """The manifest of a module file. Raises ElfError for a damaged file, ValueError for a module without a
    manifest, and OSError."""
    elf = Elf(path.read_bytes())
    if elf.find(MANIFEST_SECTION) is None:
        raise ValueError(f"{path}: no section {MANIFEST_SECTION}: not a stapwatch module")
    return Manifest.from_json(elf.contents(MANIFEST_SECTION).rstrip(b"\0"))
