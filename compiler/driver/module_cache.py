# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of compiled modules: look a request up without importing the rest of the compiler.

    find(Request(name="x", text="probe begin { exit() }")) -> Response(True, "sw_x_1a2b...", cached=True)

A module's identity is a digest of everything it is made from: script, library, options, kernel, and
the code of compiler and runtime. The identity does not cover the tools and the kernel's headers. The
cache entry lists those with their size and modification time, and the entry is invalid as soon as
one of them has changed.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.driver import tapset_index
from compiler.kernel.image import running_build_id
from compiler.modbuild.runtime_sources import Sources
from compiler.protocol import Diagnostic, Pass, Request, Response
from compiler.support import derived_cache
from compiler.support.content_store import Cache, default_root, digest_of, key_of
from compiler.userspace.program_files import Files
from compiler.version import VERSION
from runtime.support.lazy_regex import pattern
from runtime.support.record import asdict, field, record

if TYPE_CHECKING:
    from compiler.kernel.kernel import Kernel

_CODE = Path(__file__).parents[1]
_NAME = pattern(r"[^a-z0-9_]+")
_MODULE_STEM = 32  # characters of the script's name in its module's
_RESULT = "result.json"
_NOT_IN_IDENTITY = frozenset(("text", "output", "cache", "last_pass", "source", "kernel", "target"))


@record
class CompileJob:
    """A request with everything that is read before it is compiled."""

    request: Request
    file: str  # the script's name in messages
    text: str | bytes
    tapset: tapset_index.Tapset
    kernel: Kernel | None  # None: the running one
    cache: Cache
    identity: str
    module: str
    programs: Files = field(default_factory=Files)

    @property
    def kernel_cache_dir(self) -> Path:
        """The folder that caches facts about kernels, the library and our own code."""
        return _kernel_cache_dir(self.cache)


def find(request: Request) -> Response | None:
    """The module from the cache, or None. Raises UnsafeCache, KernelFactError, OSError."""
    return cached_result(load(request))


def load(request: Request) -> CompileJob:
    """Read everything that the identity depends on."""
    file = request.source or f"<{request.name}>"
    text = request.text if request.text is not None else Path(file).read_bytes()
    cache = Cache(Path(request.cache) if request.cache else default_root())
    kernel = _other_kernel(request, cache)
    release = kernel.release if kernel else os.uname().release
    cache_dir = _kernel_cache_dir(cache)
    tapset = tapset_index.read(request.library, release, cache_dir)
    identity = _identity(request, text, tapset, kernel, cache_dir)
    module = request.module or _module_name(request.name, identity)
    programs = _programs(request)
    return CompileJob(request, file, text, tapset, kernel, cache, identity, module, programs)


def cached_result(job: CompileJob) -> Response | None:
    """The response that `store` recorded for this identity, if it is still valid. Installs the module."""
    cache = job.cache
    entry = cache.get(_entry_key(job))
    if entry is None:
        return None
    recorded = json.loads(entry.read(_RESULT))
    built = cache.get(recorded["key"])
    if built is None or recorded["inputs"] != derived_cache.signatures(recorded["inputs"]):
        cache.drop(_entry_key(job))
        return None
    return Response(
        True,
        job.module,
        install(built.path(f"{job.module}.ko"), job.request.output),
        job.identity,
        True,
        tuple(Pass(**p) for p in recorded["passes"]),
        warnings=tuple(Diagnostic(**w) for w in recorded["warnings"]),
    )


def store(job: CompileJob, response: Response, key: str, inputs: Iterable[Path]) -> None:
    """Record that the cache's entry `key` is the module of this job, while `inputs` do not change."""
    recorded = {
        "key": key,
        "inputs": derived_cache.signatures(map(str, inputs)),
        "passes": [asdict(p) for p in response.passes],
        "warnings": [asdict(w) for w in response.warnings],
    }
    job.cache.put(_entry_key(job), {_RESULT: json.dumps(recorded).encode()})


def install(path: Path, folder: str | None) -> str:
    """Copy the module into a folder; None leaves it where it is. Returns its path."""
    if folder is None:
        return str(path)
    Path(folder).mkdir(parents=True, exist_ok=True)
    target = Path(folder) / path.name
    # atomic: another process may be loading the module of that name
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.write_bytes(path.read_bytes())
    temporary.replace(target)
    return str(target)


def _entry_key(job: CompileJob) -> str:
    return key_of("compiled", job.identity)


def _kernel_cache_dir(cache: Cache) -> Path:
    return cache.root / "kernels"


def _other_kernel(request: Request, cache: Cache) -> Kernel | None:
    """The kernel below the request's root folder; None for the running one."""
    if request.kernel is None:
        return None
    from compiler.kernel.kernel import Kernel

    symbols = request.kernel.get("symbols")
    return Kernel.from_root(
        Path(request.kernel["root"]),
        request.kernel["release"],
        Path(symbols) if symbols else None,
        _kernel_cache_dir(cache),
    )


def _programs(request: Request) -> Files:
    if request.kernel is None:
        return Files(target=request.target)
    root = Path(request.kernel.get("programs") or request.kernel["root"])
    return Files(root, request.target)


def _identity(
    request: Request,
    text: str | bytes,
    tapset: tapset_index.Tapset,
    kernel: Kernel | None,
    cache_dir: Path,
) -> str:
    options = {k: v for k, v in asdict(request).items() if k not in _NOT_IN_IDENTITY}
    return key_of(
        "script",
        VERSION,
        _compiler_digest(cache_dir),
        Sources.our_digest(cache_dir),
        tapset.digest,
        digest_of(sorted(tapset.users.items())),
        kernel.release if kernel else os.uname().release,
        kernel.build_id if kernel else running_build_id(),
        "symbols" if request.kernel and request.kernel.get("symbols") else "",
        request.source or "",
        _program_search(request, text),
        text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"),
        json.dumps(options, sort_keys=True, default=str),
    )


def _program_search(request: Request, text: str | bytes) -> str:
    """The settings that the lookup of program names depends on. The files found are inputs of the entry."""
    names_programs = b"process" in text if isinstance(text, bytes) else "process" in text
    if not names_programs:
        return ""
    return f"{os.environ.get('PATH', '')}\0{Path.cwd()}\0{request.target}"


@functools.cache
def _compiler_digest(cache_dir: Path) -> str:
    """Changes with the compiler's own code, so that an upgrade never serves old modules. The digest
    is cached, because reading all files takes longer than looking a module up."""
    names = derived_cache.files_below(str(_CODE), (".py", ".lark"))
    paths = [f"{_CODE}/{name}" for name in names]

    def digest() -> bytes:
        return digest_of((name, (_CODE / name).read_bytes()) for name in names).encode()

    return derived_cache.derived(cache_dir, "code", paths, digest).decode()


def _module_name(name: str, identity: str) -> str:
    stem = _NAME.sub("_", name.lower()).strip("_")[:_MODULE_STEM] or "script"
    return f"sw_{stem}_{identity[:8]}"
