# SPDX-License-Identifier: GPL-2.0-or-later
"""Which compiler makes modules now: its release, and a digest of everything of ours that goes into a module.

    compiler_version(Path("/var/cache/stapwatch/kernels"))  -> "0.1.0+1a2b3c4d5e6f"

A module's manifest has it as `compiler`. It is no part of a module's identity, because a module does the same
whichever release has made it.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path

from compiler.driver import tapset_index
from compiler.modbuild.runtime_sources import Sources
from compiler.support import derived_cache
from compiler.support.content_store import digest_of, key_of
from compiler.version import VERSION

_CODE = Path(__file__).parents[1]
_DIGITS = 12  # of the digest


@functools.cache
def compiler_version(cache_dir: Path) -> str:
    """Read once in a process: an agent that runs on while its package is upgraded stays the older one."""
    tapset = tapset_index.read((), os.uname().release, cache_dir).digest
    digest = key_of(_code_digest(cache_dir), Sources.our_digest(cache_dir), tapset)
    return f"{VERSION}+{digest[:_DIGITS]}"


def _code_digest(cache_dir: Path) -> str:
    """Digest the compiler's code. It is cached, because reading all files takes longer than a look-up."""
    names = derived_cache.files_below(str(_CODE), (".py", ".lark"))
    paths = [f"{_CODE}/{name}" for name in names]

    def digest() -> bytes:
        return digest_of((name, (_CODE / name).read_bytes()) for name in names).encode()

    return derived_cache.derived(cache_dir, "code", paths, digest).decode()
