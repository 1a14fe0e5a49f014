# SPDX-License-Identifier: GPL-2.0-or-later
"""The cache of compiled modules: look a request up without importing the rest of the compiler.

    find(Request(name="x", text="probe begin { exit() }")) -> Response(True, "sw_x_1a2b...", cached=True)

A module's identity is a digest of what it does: the script (without comments and blanks, see
script_text.py) with its options, the user's library, and the kernel. Neither the release that compiled it
nor tools and headers are part of it, so their upgrade makes no module invalid, and none of them need be there
to load one.

An entry of an older compiler still serves a request that accepts it (`older`) in the boot in which it was
last in use. Else the script is compiled anew, and if that fails, the older module serves all the same.
`Lookup.why` says why an entry cannot be used: a changed program that it probes, a damaged file, a faulty
release.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.driver import tapset_index, unsafe_runtimes
from compiler.driver.compiler_version import compiler_version
from compiler.driver.script_text import meaning
from compiler.kernel.image import running_build_id
from compiler.protocol import Diagnostic, Pass, Request, Response
from compiler.support import derived_cache, given_files
from compiler.support.content_store import Cache, Entry, default_root, digest_of, key_of
from compiler.userspace.program_files import Files
from runtime.support import bounded_file
from runtime.support.boot import boot_id
from runtime.support.lazy_regex import pattern
from runtime.support.record import asdict, field, record, replace

if TYPE_CHECKING:
    from compiler.kernel.kernel import Kernel

_NAME = pattern(r"[^a-z0-9_]+")
# as `meaning` writes it: process( and anything but an absolute path or a number
_SEARCHED_PROGRAM = pattern(rb"IDENT 'process'\n LPAR '\('\n (?!STRING ['\"]/|NUMBER)")
# functions of the library that walk up stacks of programs, of which the target is one
_PROGRAM_STACKS = pattern(rb"\bu(?:stack|callers)\b|ubacktrace")
_MODULE_STEM = 32  # characters of the script's name in its module's
_RESULT = "result.json"
_BOOT = "boot"  # in an entry's folder: the boot in which its compiler last used it
_DEFAULTS = asdict(Request(""))
_NOT_IN_IDENTITY = frozenset(
    (
        *("text", "output", "cache", "last_pass", "source", "kernel", "target", "target_folder"),
        *("older", "recompile", "explain", "manifest"),
    )
)


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
    compiler: str = ""  # Manifest.compiler of the module that is about to be made

    @property
    def kernel_cache_dir(self) -> Path:
        """The folder that caches facts about kernels, the library and our own code."""
        return _kernel_cache_dir(self.cache)


@record
class Lookup:
    """`response`: the module that serves the request. Without it, `why` says what is wrong with the one that
    was made for it, if there is one, and `older` serves if it cannot be compiled anew."""

    response: Response | None = None
    why: str = ""
    older: Response | None = None


def find(request: Request) -> Response | None:
    """The module from the cache, or None. Raises UnsafeCache, KernelFactError, OSError."""
    return look_up(load(request)).response


def load(request: Request) -> CompileJob:
    """Read everything that the identity depends on."""
    file = request.source or f"<{request.name}>"
    text = request.text if request.text is not None else _script(Path(file))
    cache = Cache(Path(request.cache) if request.cache else default_root())
    kernel = _other_kernel(request, cache)
    release = kernel.release if kernel else os.uname().release
    cache_dir = _kernel_cache_dir(cache)
    tapset = tapset_index.read(request.library, release, cache_dir)
    identity = _identity(request, text, tapset, kernel)
    compiler = compiler_version(cache_dir)
    # Two compilers' modules of one script can be loaded at once: one replaces the other.
    build = key_of(identity, compiler, os.urandom(8) if request.recompile else "")
    module = request.module or _module_name(request.name, build)
    programs = _programs(request)
    return CompileJob(
        request, file, text, tapset, kernel, cache, identity, module, programs, compiler
    )


def _script(file: Path) -> bytes:
    return given_files.read(file) if given_files.is_given(file) else bounded_file.read(file)


def look_up(job: CompileJob) -> Lookup:
    """The record that `store` has made for this identity. Installs the module that serves the request."""
    cache, request = job.cache, job.request
    anew = request.recompile or request.explain  # an explanation is made by the passes
    entry = None if anew else cache.get(_entry_key(job))
    if entry is None:
        return Lookup()
    recorded = json.loads(entry.read(_RESULT))
    made_by = recorded.get("compiler", "")
    if fault := unsafe_runtimes.reason(made_by):
        return Lookup(why=fault)
    built = cache.get(recorded["key"])
    if built is None:
        return Lookup(why="its module was removed from the cache, or was damaged there")
    if changed := _changed(recorded["inputs"]):
        return Lookup(why=f"{changed} has changed since it was compiled")
    here = boot_id()
    if made_by != job.compiler and not (job.request.older and here == _boot_of(entry)):
        why = f"stapwatch {made_by} compiled it, and this is {job.compiler}"
        return Lookup(why=why, older=_response(job, recorded, built))
    if made_by == job.compiler:
        _note_boot(entry, here)
    found = _response(job, recorded, built)
    return Lookup(replace(found, path=install(Path(found.path), job.request.output)))


def _response(job: CompileJob, recorded: dict[str, Any], built: Entry) -> Response:
    module = recorded.get("module", job.module)
    return Response(
        True,
        module,
        str(built.path(f"{module}.ko")),
        job.identity,
        True,
        tuple(Pass(**p) for p in recorded["passes"]),
        warnings=tuple(Diagnostic(**w) for w in recorded["warnings"]),
        inputs=tuple(recorded["inputs"]),
    )


def store(job: CompileJob, response: Response, key: str) -> None:
    """Record that the cache's entry `key` is the module of this job, while the response's `inputs` do not
    change. Those are what the module probes: programs, and modules of the kernel whose types it reads.
    """
    recorded = {
        "key": key,
        "module": response.module,
        "compiler": job.compiler,
        "inputs": derived_cache.signatures(response.inputs),
        "passes": [asdict(p) for p in response.passes],
        "warnings": [asdict(w) for w in response.warnings],
    }
    job.cache.drop(_entry_key(job))  # an older compiler's
    entry = job.cache.put(_entry_key(job), {_RESULT: json.dumps(recorded).encode()})
    _note_boot(entry, boot_id())


def forget(cache: Cache, identity: str) -> None:
    """Drop a module and its record, if they are there."""
    key = key_of("compiled", identity)
    if (entry := cache.get(key)) is not None:
        cache.drop(json.loads(entry.read(_RESULT))["key"])
        cache.drop(key)


def _changed(inputs: dict[str, str]) -> str:
    """The files that differ from what was recorded."""
    now = derived_cache.signatures(inputs)
    return ", ".join(path for path in inputs if inputs[path] != now[path])


def _boot_of(entry: Entry) -> str:
    with contextlib.suppress(OSError):
        return entry.path(_BOOT).read_text()
    return ""


def _note_boot(entry: Entry, here: str) -> None:
    """No part of what the entry's digests cover. A cache that cannot be written serves all the same."""
    if here and _boot_of(entry) != here:
        with contextlib.suppress(OSError):
            entry.path(_BOOT).write_text(here)


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
    if request.target_root:
        return Files(Path(request.target_folder), request.target, request.target_root)
    if request.kernel is None:
        return Files(target=request.target)
    root = Path(request.kernel.get("programs") or request.kernel["root"])
    return Files(root, request.target)


def _identity(
    request: Request, text: str | bytes, tapset: tapset_index.Tapset, kernel: Kernel | None
) -> str:
    """Stays the same over releases: options that have their defaults are left out, also new ones."""
    options = {
        name: value
        for name, value in asdict(request).items()
        if name not in _NOT_IN_IDENTITY and value != _DEFAULTS[name]
    }
    said = meaning(text, request.args)
    return key_of(
        "script",
        digest_of(sorted(tapset.users.items())),
        kernel.release if kernel else os.uname().release,
        kernel.build_id if kernel else running_build_id(),
        "symbols" if request.kernel and request.kernel.get("symbols") else "",
        request.source or "",
        _program_search(request, said),
        said,
        json.dumps(options, sort_keys=True, default=str),
    )


def _program_search(request: Request, said: bytes) -> str:
    """The settings that the lookup of program names depends on: none for absolute paths. The files found are
    inputs of the entry.
    """
    if b"process" not in said and not _PROGRAM_STACKS.search(said):
        return ""
    target = request.target or ""
    if not _SEARCHED_PROGRAM.search(said):
        return target
    return f"{os.environ.get('PATH', '')}\0{Path.cwd()}\0{target}"


def _module_name(name: str, digest: str) -> str:
    stem = _NAME.sub("_", name.lower()).strip("_")[:_MODULE_STEM] or "script"
    return f"sw_{stem}_{digest[:8]}"
