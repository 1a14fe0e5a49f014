# SPDX-License-Identifier: GPL-2.0-or-later
"""Look-ups in the cache of modules, in this process. They block: use a thread.

    find(request)       -> Response(True, "sw_vfs_1a2b3c4d", ...), or None: it is not in the cache
    identity(request)   -> "5f2c..."
    drop("5f2c...", Path("/var/cache/stapwatch"))

What is wrong with a request is for the compiler to say, so nothing is found for it here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from compiler.protocol import LAST_PASS, Request, Response


def find(wanted: Request) -> Response | None:
    """The module from the cache, or None."""
    if wanted.last_pass < LAST_PASS or wanted.listing is not None:
        return None
    with _driver():
        from compiler.driver import module_cache

        return module_cache.find(wanted)
    return None


def identity(wanted: Request) -> str:
    """The identity that the script's module has, whoever compiles it; "" if that is not known."""
    with _driver():
        from compiler.driver import module_cache

        return module_cache.load(wanted).identity
    return ""


def version(cache_folder: Path) -> str:
    """`Manifest.compiler` of modules that are compiled now; "" if that is not known."""
    with _driver():
        from compiler.driver import compiler_version

        return compiler_version.compiler_version(cache_folder / "kernels")
    return ""


def drop(identity: str, cache_folder: Path) -> None:
    """Remove the module of this identity from the cache, if it is there."""
    with _driver():
        from compiler.driver import module_cache
        from compiler.support.content_store import Cache

        module_cache.forget(Cache(cache_folder), identity)


@contextlib.contextmanager
def _driver() -> Iterator[None]:
    """Errors in the request, the cache or the kernel are ignored."""
    from compiler.kernel.errors import KernelFactError
    from compiler.support.content_store import UnsafeCache

    with contextlib.suppress(UnsafeCache, KernelFactError, OSError, ValueError, KeyError):
        yield
