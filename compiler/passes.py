# SPDX-License-Identifier: GPL-2.0-or-later
"""The passes in order: parse, resolve, translate, compile.

run_passes(Question(request, ...), passes, progress)
  -> Response, and BuildResult with the module where the builder put it
"""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable
from pathlib import Path

from compiler import catalogue, library, listing
from compiler.build.pipeline import Builder
from compiler.build.request import BuildInput, BuildResult
from compiler.build.toolchain import Here, There, Toolchain
from compiler.codegen.module import Target, generate
from compiler.conditions import Conditions
from compiler.diagnostics import CompileError, Diagnostic
from compiler.display import displayed
from compiler.family import Environment
from compiler.kernel.release import Kernel
from compiler.lookup import Question
from compiler.optimise import optimise
from compiler.options import Limits, Options, unread, with_defines
from compiler.pairing import pair
from compiler.parser import parse
from compiler.preprocessor import Macro
from compiler.program import Program
from compiler.request import Fault, Pass, Request, Response
from compiler.resolve.analysis import resolve
from compiler.source import Source, Span, decode
from compiler.syntax import Script
from compiler.version import VERSION
from compiler.waste import require_probes, warnings
from runtime.manifest import Histogram, HistogramKind
from runtime.record import dataclass, field


@dataclass(slots=True)
class Clock:
    """Times passes, the processes they start included."""

    passes: list[Pass]
    _user: float = field(init=False, default=0.0)
    _system: float = field(init=False, default=0.0)
    _real: float = field(init=False, default=0.0)

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


# A process serves scripts until none waits, seconds as a rule: what it knows of the kernel and the
# library stays true for so long.


@functools.lru_cache(maxsize=1)
def _running(cache: Path) -> Kernel:
    return Kernel.running(cache)


@dataclass(frozen=True, slots=True)
class _Library:
    macros: dict[str, Macro]
    scripts: list[Script]


@functools.lru_cache(maxsize=1)
def _parsed(
    kernel: Kernel, guru: bool, compatible: str | None, tapset: tuple[tuple[str, bytes], ...]
) -> _Library:
    """The library, parsed. Raises CompileError."""
    files = dict(tapset)
    conditions = _conditions(kernel, guru, compatible)
    public = library.macros(files, conditions)
    return _Library(public, library.parse_all(files, conditions, public))


def run_passes(
    job: Question, passes: list[Pass], progress: Callable[[str], None]
) -> tuple[Response, BuildResult | None]:
    """All passes up to the request's last; each done one is added to `passes`.

    Raises CompileError, BuildError, KernelFactError and OSError.
    """
    request, file, module = job.request, job.file, job.module
    kernel = job.kernel or _running(job.cache.root / "kernels")
    clock = Clock(passes)
    clock.start()
    conditions = _conditions(kernel, request.guru, request.compatible)
    parsed = _parsed(kernel, request.guru, request.compatible, tuple(job.tapset.items()))
    public = parsed.macros
    script = parse(job.text, file, conditions=conditions, args=request.args, library_macros=public)
    extras = [
        parse(text, f"<-E {i}>", conditions=conditions, args=request.args, library_macros=public)
        for i, text in enumerate(request.extra, 1)
    ]
    scripts = parsed.scripts
    clock.stop("parsed user script", f"and {len(scripts)} library scripts")
    if request.listing is not None:
        return _listed(request, script, extras, scripts, kernel), None
    if request.last_pass < 2:
        trees = "".join(map(listing.tree, (script, *extras)))
        return Response(True, passes=tuple(clock.passes), output=trees), None
    clock.start()
    defined = with_defines(Limits(), request.defines)
    if defined.errors:
        raise CompileError(defined.errors)
    program = _resolve(request, [script, *extras], scripts, kernel)
    wasted: tuple[Fault, ...] = ()
    if request.optimise:
        whole, program = program, optimise(program)
        found = warnings(whole, program, [script, *extras])
        wasted = tuple(Fault.of(d) for d in found)
        if request.run_mode:
            require_probes(program, script, found)
    embeds = len(program.embedded) + sum(1 for f in program.functions if f.code is not None)
    clock.stop(
        "analyzed script",
        f"{len(program.probes)} probe(s), {len(program.functions)} function(s), "
        f"{embeds} embed(s), {len(program.globals)} global(s)",
    )
    said = wasted + tuple(
        Fault.of(w)
        for w in (
            *_absent(request),
            *defined.warnings,
            *(() if request.guru else unread(defined.macros)),
        )
    )
    if request.last_pass < 3:
        output = listing.program(program)
        return Response(True, passes=tuple(clock.passes), warnings=said, output=output), None
    clock.start()
    if request.optimise:
        program = pair(program)
    options = Options(
        defined.limits,
        strict=request.run_mode,
        export=request.export,
        histograms={name: _histogram(tree) for name, tree in request.statistics.items()},
        capacities=dict(request.capacities),
        displayed=displayed(program, job.tapset) if request.display else frozenset(),
        defines=defined.macros,
    )
    target = Target(module, job.identity, kernel.release, kernel.build_id, VERSION)
    generated = generate(program, target, options)
    clock.stop("translated to C", f'"{module}.c"')
    if request.last_pass < 4:
        output = generated.c_text
        done = Response(
            True, module=module, passes=tuple(clock.passes), warnings=said, output=output
        )
        return done, None
    clock.start()
    built = Builder(job.cache, _toolchain(job), progress=progress).build(
        BuildInput(
            module,
            generated.c_text,
            generated.manifest.to_json(),
            kernel,
            generated.needs_kernel_headers,
        )
    )
    clock.stop("compiled C", f'"{module}.ko"' + (" (cached)" if built.cached else ""))
    slow = tuple(
        Fault.without_place("slow-build", w, file, severity="warning") for w in built.warnings
    )
    done = Response(
        True, module, str(built.path), job.identity, False, tuple(passes), warnings=said + slow
    )
    return done, built


def _toolchain(job: Question) -> Toolchain:
    if job.request.kernel is None:
        return Here()
    return There(Path(job.request.kernel["root"]), job.cache.root)


def _conditions(kernel: Kernel, guru: bool, compatible: str | None) -> Conditions:
    return Conditions(
        kernel_vr=kernel.release,
        arch=kernel.arch,
        guru_mode=guru,
        config=_LazyConfig(kernel),
        **({"systemtap_v": compatible} if compatible else {}),
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


def _resolve(request: Request, own: list[Script], scripts: list[Script], kernel: Kernel) -> Program:
    return resolve(
        request.name, own, scripts, Environment(kernel, request.guru), dict(request.globals)
    )


def _absent(request: Request) -> list[Diagnostic]:
    """Warnings for folders of library scripts that are not there."""
    faults = []
    for folder in request.library:
        if not Path(folder).is_dir():
            text = decode(folder)
            span = Span(Source("<-I>", text), 0, len(text))
            message = f"there is no folder '{folder}'"
            faults.append(Diagnostic("no-library", message, span, severity="warning"))
    return faults


def _listed(
    request: Request, script: Script, extras: list[Script], scripts: list[Script], kernel: Kernel
) -> Response:
    """The answer to `-l`, `-L` and the `--dump` options."""
    environment = Environment(kernel)
    match request.listing:
        case "functions":
            lines = catalogue.functions([*scripts, *extras], environment)
        case "types":
            lines = catalogue.probe_types()
        case "aliases":
            lines = catalogue.probe_aliases([*scripts, *extras])
        case _:
            wanted = request.listing == "variables"
            lines = catalogue.points(script, extras, scripts, environment, variables=wanted)
    return Response(True, output="".join(f"{line}\n" for line in lines))


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
