# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel headers that scripts with embedded C include, precompiled once for a kernel.

    precompiled(kit, cache, identity, progress) -> Entry(files=("prefix.h", "prefix.h.gch"))

    gcc ... -include ENTRY/prefix.h -include WORK/names.h script.c

A compiler accepts a precompiled header only if it comes first and macros have the same values.
Therefore prefix.h also includes the headers of kbuild's command line, and the macros with the module's
name follow it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compiler.modbuild.fast_tier import PREFIX, KernelKit, apart
from compiler.modbuild.toolchain import first_complaint
from compiler.support.content_store import Cache, Entry, key_of

_PROBLEM = "problem"


def precompiled(
    kit: KernelKit, cache: Cache, identity: str, progress: Callable[[str], None]
) -> Entry | None:
    """The precompiled headers of a kit, by its identity. None if the compiler cannot make them: then
    scripts are compiled without them. Raises UnsafeCache."""
    key = key_of("headers", identity)
    entry = cache.get(key)
    if entry is None:
        with cache.locked(f"headers-{key[:16]}"):
            entry = cache.get(key)  # another process may have made it by now
            if entry is None:
                progress("reading the kernel's headers for embedded C, once")
                with cache.workplace() as work:
                    entry = cache.put(key, _make(kit, work))
    return None if _PROBLEM in entry.files else entry


def _make(kit: KernelKit, work: Path) -> dict[str, bytes | Path]:
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
