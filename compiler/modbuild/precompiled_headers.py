# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's headers, read once: what a script with embedded C includes, precompiled.

    precompiled(kit, cache, identity, progress) -> Entry(files=("prefix.h", "prefix.h.gch"))

    gcc ... -include ENTRY/prefix.h -include WORK/names.h script.c

A compiler takes a precompiled header only when it comes first and macros are as they were: so
prefix.h has what kbuild includes on the command line too, and the module's own name comes after it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compiler.modbuild.fast_tier import PREFIX, Kit, apart
from compiler.modbuild.kbuild_tier import first_complaint
from compiler.support.content_store import Cache, Entry, key_of

_PROBLEM = "problem"


def precompiled(
    kit: Kit, cache: Cache, identity: str, progress: Callable[[str], None]
) -> Entry | None:
    """The headers of a preparation, by its identity; made once. None where that does not work, and then
    scripts are compiled without. Raises BuildError ("unsafe-cache")."""
    key = key_of("headers", identity)
    entry = cache.get(key)
    if entry is None:
        with cache.locked(f"headers-{key[:16]}"):
            entry = cache.get(key)  # another process may have made it meanwhile
            if entry is None:
                progress("reading the kernel's headers for embedded C, once")
                with cache.workplace() as work:
                    entry = cache.put(key, _make(kit, work))
    return None if _PROBLEM in entry.files else entry


def _make(kit: Kit, work: Path) -> dict[str, bytes | Path]:
    includes, words = apart(kit.words(kit.commands.embedded, kit.entry.folder))
    folder = kit.commands.folder_of(kit.toolchain.path(kit.entry.folder))
    seen = kit.toolchain.path(work)
    lines = [f'#include "{name}"' for name in includes] + ["#include <stapwatch_embedded.h>"]
    (work / PREFIX).write_text("\n".join([*lines, ""]))
    made = f"{PREFIX}.gch"
    argv = [*words, "-x", "c-header", "-o", f"{seen}/{made}", f"{seen}/{PREFIX}"]
    ran = kit.toolchain.run(argv, folder=folder, env={"TMPDIR": seen})
    if ran.status != 0 or not (work / made).is_file():
        return {_PROBLEM: first_complaint(ran.output).encode()}
    return {PREFIX: work / PREFIX, made: work / made}
