# SPDX-License-Identifier: GPL-2.0-or-later
"""The passes in order: parse, resolve, translate, compile.

    compile_script(Request(name="x", text="probe begin { exit() }"), progress) -> Response

A script compiled before with the same everything comes from the cache and passes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from compiler import library, listing
from compiler.build.cache import Cache, default_root, key_of
from compiler.build.faults import BuildError
from compiler.build.pipeline import Builder
from compiler.build.request import BuildInput
from compiler.build.sources import Sources
from compiler.build.toolchain import Here, There, Toolchain
from compiler.codegen.module import Target, generate
from compiler.conditions import Conditions
from compiler.diagnostics import CompileError
from compiler.family import Environment
from compiler.kernel.faults import KernelFactError
from compiler.kernel.release import Kernel
from compiler.optimise import optimise
from compiler.options import Limits, Options, with_defines
from compiler.parser import parse
from compiler.program import Program
from compiler.request import Fault, Pass, Request, Response
from compiler.resolve.analysis import resolve
from compiler.syntax import Script
from compiler.version import VERSION
from runtime.manifest import Histogram, HistogramKind

_NAME = re.compile(r"[^a-z0-9_]+")
_MODULE_STEM = 32  # characters of the script's name in its module's


@dataclass(slots=True)
class Clock:
    """Times passes, the processes they start included."""

    passes: list[Pass] = field(default_factory=list)
    _user: float = 0.0
    _system: float = 0.0
    _real: float = 0.0

    def start(self) -> None:
        self._user, self._system = _cpu()
        self._real = time.monotonic()

    def stop(self, title: str, summary: str) -> None:
        user, system = _cpu()
        self.passes.append(
            Pass(
                len(self.passes) + 1,
                title,
                user - self._user,
                system - self._system,
                time.monotonic() - self._real,
                summary,
            )
        )


def _cpu() -> tuple[float, float]:
    used = [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime for u in used), sum(u.ru_stime for u in used)


def compile_script(request: Request, progress: Callable[[str], None]) -> Response:
    """All passes up to `request.last_pass`. User's mistakes come back as the response's errors."""
    clock = Clock()
    file = request.source or f"<{request.name}>"
    try:
        return _compile(request, clock, progress, file)
    except CompileError as error:
        faults = tuple(Fault.of(d) for d in error.diagnostics)
        return Response(False, errors=faults, passes=tuple(clock.passes))
    except (BuildError, KernelFactError) as error:
        slug = error.slug if isinstance(error, BuildError) else "kernel-facts"
        fault = Fault.without_place(slug, error.message, file, error.hint)
        return Response(False, errors=(fault,), passes=tuple(clock.passes))
    except OSError as error:
        fault = Fault.without_place(
            "unreadable", f"cannot read {error.filename}: {error.strerror}", file
        )
        return Response(False, errors=(fault,), passes=tuple(clock.passes))


def _compile(
    request: Request, clock: Clock, progress: Callable[[str], None], file: str
) -> Response:
    text = request.text if request.text is not None else Path(file).read_bytes()
    kernel = _kernel(request)
    clock.start()
    tapset = library.read(request.library)
    identity = _identity(request, text, tapset, kernel)
    module = request.module or _module_name(request.name, identity)
    cache = Cache(Path(request.cache) if request.cache else default_root())
    if request.last_pass >= 4:
        found = _from_cache(request, cache, identity)
        if found is not None:
            return found
    conditions = _conditions(kernel, request)
    script = parse(text, file, conditions=conditions, args=request.args)
    scripts = library.parse_all(tapset, conditions)
    clock.stop("parsed user script", f"and {len(scripts)} library scripts")
    if request.last_pass < 2:
        return Response(True, passes=tuple(clock.passes), output=listing.tree(script))
    clock.start()
    limits, _ = with_defines(Limits(), request.defines)
    program = _resolve(request, script, scripts, kernel)
    if request.optimise:
        program = optimise(program)
    embeds = len(program.embedded) + sum(1 for f in program.functions if f.code is not None)
    clock.stop(
        "analyzed script",
        f"{len(program.probes)} probe(s), {len(program.functions)} function(s), "
        f"{embeds} embed(s), {len(program.globals)} global(s)",
    )
    if request.last_pass < 3:
        return Response(True, passes=tuple(clock.passes), output=listing.program(program))
    clock.start()
    options = Options(
        limits,
        strict=request.run_mode,
        export=request.export,
        histograms={name: _histogram(tree) for name, tree in request.statistics.items()},
        capacities=dict(request.capacities),
    )
    target = Target(module, identity, kernel.release, kernel.build_id, VERSION)
    generated = generate(program, target, options)
    clock.stop("translated to C", f'"{module}.c"')
    if request.last_pass < 4:
        return Response(True, module=module, passes=tuple(clock.passes), output=generated.c_text)
    clock.start()
    built = Builder(cache, _toolchain(request, cache), progress=progress).build(
        BuildInput(
            module,
            generated.c_text,
            generated.manifest.to_json(),
            kernel,
            generated.needs_kernel_headers,
        )
    )
    clock.stop("compiled C", f'"{module}.ko"' + (" (cached)" if built.cached else ""))
    warnings = tuple(Fault.without_place("slow-build", w, file) for w in built.warnings)
    note = {
        "module": module,
        "passes": [asdict(p) for p in clock.passes],
        "warnings": [asdict(w) for w in warnings],
    }
    entry = cache.put(
        _script_key(identity),
        {f"{module}.ko": built.path, "result.json": json.dumps(note).encode()},
    )
    path = _deliver(entry.path(f"{module}.ko"), request)
    return Response(True, module, path, identity, False, tuple(clock.passes), warnings=warnings)


def _toolchain(request: Request, cache: Cache) -> Toolchain:
    if request.kernel is None:
        return Here()
    return There(Path(request.kernel["root"]), cache.root)


def _kernel(request: Request) -> Kernel:
    if request.kernel is None:
        return Kernel.running()
    return Kernel.from_root(Path(request.kernel["root"]), request.kernel["release"])


def _conditions(kernel: Kernel, request: Request) -> Conditions:
    return Conditions(
        kernel_vr=kernel.release,
        arch=kernel.arch,
        guru_mode=request.guru,
        config=_LazyConfig(kernel),
    )


class _LazyConfig(dict[str, str]):
    """The kernel's options, read when the first condition asks."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = kernel

    def __missing__(self, name: str) -> str:
        raise KeyError(name)

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        found = self._kernel.config.get(name)
        return found if found is not None else default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None


def _resolve(request: Request, script: Script, scripts: list[Script], kernel: Kernel) -> Program:
    overrides = {
        name: int(value, 0) if isinstance(value, str) and _is_number(value) else value
        for name, value in request.globals.items()
    }
    return resolve(request.name, [script], scripts, Environment(kernel), overrides)


def _is_number(text: str) -> bool:
    try:
        int(text, 0)
    except ValueError:
        return False
    return True


def _histogram(tree: object) -> Histogram:
    assert isinstance(tree, dict)
    match HistogramKind(tree["kind"]):
        case HistogramKind.LOG2:
            return Histogram(HistogramKind.LOG2, 0, 65)
        case HistogramKind.LINEAR:
            low, high, interval = tree["low"], tree["high"], tree["interval"]
            count = (high - low) // interval + 3
            return Histogram(HistogramKind.LINEAR, 0, count, low=low, high=high, interval=interval)
        case HistogramKind.BOUNDS:
            bounds = tuple(tree["bounds"])
            return Histogram(HistogramKind.BOUNDS, 0, len(bounds) + 1, bounds=bounds)


def _identity(request: Request, text: str | bytes, tapset: dict[str, bytes], kernel: Kernel) -> str:
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
        kernel.release,
        kernel.build_id,
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
