# SPDX-License-Identifier: GPL-2.0-or-later
"""From a request to a module: out of the cache, else by all the passes.

    compile_script(Request(name="x", text="probe begin { exit() }"), progress) -> Response

A script compiled before with the same everything comes from the cache and passes nothing: then the
passes, which take four times as long to import as the look-up does, are not even imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from compiler import library
from compiler.build.cache import Cache, default_root, key_of
from compiler.build.faults import BuildError
from compiler.build.sources import Sources
from compiler.diagnostics import CompileError
from compiler.kernel.faults import KernelFactError
from compiler.kernel.image import running_build_id
from compiler.request import Fault, Pass, Request, Response
from compiler.version import VERSION

if TYPE_CHECKING:
    from compiler.kernel.release import Kernel

_NAME = re.compile(r"[^a-z0-9_]+")
_MODULE_STEM = 32  # characters of the script's name in its module's


def compile_script(request: Request, progress: Callable[[str], None]) -> Response:
    """All passes up to `request.last_pass`. User's mistakes come back as the response's errors."""
    passes: list[Pass] = []
    file = request.source or f"<{request.name}>"
    try:
        return _compile(request, passes, progress, file)
    except CompileError as error:
        faults = tuple(Fault.of(d) for d in error.diagnostics)
        return Response(False, errors=faults, passes=tuple(passes))
    except (BuildError, KernelFactError) as error:
        slug = error.slug if isinstance(error, BuildError) else "kernel-facts"
        fault = Fault.without_place(slug, error.message, file, error.hint)
        return Response(False, errors=(fault,), passes=tuple(passes))
    except OSError as error:
        fault = Fault.without_place(
            "unreadable", f"cannot read {error.filename}: {error.strerror}", file
        )
        return Response(False, errors=(fault,), passes=tuple(passes))


def _compile(
    request: Request, passes: list[Pass], progress: Callable[[str], None], file: str
) -> Response:
    text = request.text if request.text is not None else Path(file).read_bytes()
    kernel = _kernel_elsewhere(request)
    tapset = library.read(request.library, kernel.release if kernel else os.uname().release)
    identity = _identity(request, text, tapset, kernel)
    module = request.module or _module_name(request.name, identity)
    cache = Cache(Path(request.cache) if request.cache else default_root())
    if request.last_pass >= 4 and request.listing is None:
        found = _from_cache(request, cache, identity)
        if found is not None:
            return found
    # not above: see the top of this file
    from compiler.kernel.release import Kernel
    from compiler.passes import Job, run_passes

    kernel = kernel or Kernel.running()
    job = Job(request, file, text, tapset, module, identity, cache, kernel)
    done = run_passes(job, passes, progress)
    if request.last_pass < 4 or request.listing is not None:
        return done
    note = {
        "module": module,
        "passes": [asdict(p) for p in done.passes],
        "warnings": [asdict(w) for w in done.warnings],
    }
    files: dict[str, bytes | Path] = {
        f"{module}.ko": Path(done.path),
        "result.json": json.dumps(note).encode(),
    }
    entry = cache.put(_script_key(identity), files)
    return replace(done, path=_deliver(entry.path(f"{module}.ko"), request))


def _kernel_elsewhere(request: Request) -> Kernel | None:
    """The kernel of a root folder; None for the running one."""
    if request.kernel is None:
        return None
    from compiler.kernel.release import Kernel

    return Kernel.from_root(Path(request.kernel["root"]), request.kernel["release"])


def _identity(
    request: Request, text: str | bytes, tapset: dict[str, bytes], kernel: Kernel | None
) -> str:
    """Names everything that the module is made from."""
    options = {
        k: v
        for k, v in asdict(request).items()
        if k not in ("text", "output", "cache", "last_pass", "source", "kernel")
    }
    tapset_digest = hashlib.sha256()
    for name, data in sorted(tapset.items()):
        tapset_digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return key_of(
        "script",
        VERSION,
        _compiler_digest(),
        Sources.ours().digest,
        tapset_digest.hexdigest(),
        kernel.release if kernel else os.uname().release,
        kernel.build_id if kernel else running_build_id(),
        request.source or "",
        text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"),
        json.dumps(options, sort_keys=True, default=str),
    )


def _compiler_digest() -> str:
    """Changes with the compiler's own code, so that an upgrade never serves old modules."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted([*folder.glob("*.py"), *folder.glob("*.lark"), *folder.glob("*/*.py")]):
        data = path.read_bytes()
        digest.update(f"{path.name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _module_name(name: str, identity: str) -> str:
    stem = _NAME.sub("_", name.lower()).strip("_")[:_MODULE_STEM] or "script"
    return f"sw_{stem}_{identity[:8]}"


def _script_key(identity: str) -> str:
    return key_of("compiled", identity)


def _from_cache(request: Request, cache: Cache, identity: str) -> Response | None:
    entry = cache.get(_script_key(identity))
    if entry is None:
        return None
    note = json.loads(entry.read("result.json"))
    module = note["module"]
    return Response(
        True,
        module,
        _deliver(entry.path(f"{module}.ko"), request),
        identity,
        True,
        tuple(Pass(**p) for p in note["passes"]),
        warnings=tuple(Fault(**w) for w in note["warnings"]),
    )


def _deliver(path: Path, request: Request) -> str:
    if request.output is None:
        return str(path)
    folder = Path(request.output)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / path.name
    shutil.copyfile(path, made)
    return str(made)
