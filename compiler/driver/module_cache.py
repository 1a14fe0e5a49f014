# SPDX-License-Identifier: GPL-2.0-or-later
"""Modules made before: the cache's answer to a request, without any of the compiler.

    find(Request(name="x", text="probe begin { exit() }")) -> Response(True, "sw_x_1a2b...", cached=True)

The identity of a module names all that it is made from: script, library, options, kernel, and the
code of compiler and runtime. What identities do not name, the tools and the kernel's headers, is in
the answer with size and time, and an answer whose tools have changed is none.
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
from compiler.protocol import Fault, Pass, Request, Response
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
_NOTE = "result.json"
_NOT_IN_IDENTITY = frozenset(("text", "output", "cache", "last_pass", "source", "kernel", "target"))


@record
class Question:
    """A request with what there is to know before it is compiled."""

    request: Request
    file: str  # for messages
    text: str | bytes
    tapset: tapset_index.Tapset
    kernel: Kernel | None  # None: the running one
    cache: Cache
    identity: str
    module: str
    programs: Files = field(default_factory=Files)


def find(request: Request) -> Response | None:
    """The module from the cache; None if it must be made. Raises UnsafeCache, KernelFactError, OSError."""
    return answer(ask(request))


def ask(request: Request) -> Question:
    """Read all that the identity is made of."""
    file = request.source or f"<{request.name}>"
    text = request.text if request.text is not None else Path(file).read_bytes()
    cache = Cache(Path(request.cache) if request.cache else default_root())
    kernel = _kernel_elsewhere(request, cache)
    release = kernel.release if kernel else os.uname().release
    keep = cache.root / "kernels"
    tapset = tapset_index.read(request.library, release, keep)
    identity = _identity(request, text, tapset, kernel, keep)
    module = request.module or _module_name(request.name, identity)
    return Question(
        request, file, text, tapset, kernel, cache, identity, module, _programs(request)
    )


def answer(question: Question) -> Response | None:
    """What `remember` was told of this identity, if it still holds."""
    cache = question.cache
    entry = cache.get(key_of("compiled", question.identity))
    if entry is None:
        return None
    note = json.loads(entry.read(_NOTE))
    made = cache.get(note["key"])
    if made is None or note["inputs"] != derived_cache.signatures(note["inputs"]):
        cache.drop(key_of("compiled", question.identity))
        return None
    return Response(
        True,
        question.module,
        deliver(made.path(f"{question.module}.ko"), question.request),
        question.identity,
        True,
        tuple(Pass(**p) for p in note["passes"]),
        warnings=tuple(Fault(**w) for w in note["warnings"]),
    )


def remember(question: Question, done: Response, key: str, inputs: Iterable[Path]) -> None:
    """That the module of this identity is the cache's entry `key`, as long as `inputs` stay."""
    note = {
        "key": key,
        "inputs": derived_cache.signatures(map(str, inputs)),
        "passes": [asdict(p) for p in done.passes],
        "warnings": [asdict(w) for w in done.warnings],
    }
    question.cache.put(key_of("compiled", question.identity), {_NOTE: json.dumps(note).encode()})


def deliver(path: Path, request: Request) -> str:
    """A copy of the module where the request wants one."""
    if request.output is None:
        return str(path)
    folder = Path(request.output)
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / path.name
    # whole, or not at all: another process may load it
    work = made.with_name(f".{made.name}.{os.getpid()}")
    work.write_bytes(path.read_bytes())
    work.replace(made)
    return str(made)


def _kernel_elsewhere(request: Request, cache: Cache) -> Kernel | None:
    """The kernel of a root folder; None for the running one."""
    if request.kernel is None:
        return None
    from compiler.kernel.kernel import Kernel

    symbols = request.kernel.get("symbols")
    return Kernel.from_root(
        Path(request.kernel["root"]),
        request.kernel["release"],
        Path(symbols) if symbols else None,
        cache.root / "kernels",
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
    cache: Path,
) -> str:
    options = {k: v for k, v in asdict(request).items() if k not in _NOT_IN_IDENTITY}
    return key_of(
        "script",
        VERSION,
        _compiler_digest(cache),
        Sources.our_digest(),
        tapset.digest,
        digest_of(sorted(tapset.users.items())),
        kernel.release if kernel else os.uname().release,
        kernel.build_id if kernel else running_build_id(),
        "symbols" if request.kernel and request.kernel.get("symbols") else "",
        request.source or "",
        _surroundings(request, text),
        text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"),
        json.dumps(options, sort_keys=True, default=str),
    )


def _surroundings(request: Request, text: str | bytes) -> str:
    """What names of programs are found by; their files are noted when they are known."""
    names_programs = b"process" in text if isinstance(text, bytes) else "process" in text
    if not names_programs:
        return ""
    return f"{os.environ.get('PATH', '')}\0{Path.cwd()}\0{request.target}"


@functools.cache
def _compiler_digest(cache: Path) -> str:
    """Changes with the compiler's own code, so that an upgrade never serves old modules. Kept:
    reading it all takes longer than looking a module up."""
    paths = sorted([*_CODE.glob("*.py"), *_CODE.glob("*/*.lark"), *_CODE.glob("*/*.py")])

    def made() -> bytes:
        return digest_of((path.name, path.read_bytes()) for path in paths).encode()

    return derived_cache.derived(cache, "code", paths, made).decode()


def _module_name(name: str, identity: str) -> str:
    stem = _NAME.sub("_", name.lower()).strip("_")[:_MODULE_STEM] or "script"
    return f"sw_{stem}_{identity[:8]}"
