# SPDX-License-Identifier: GPL-2.0-or-later
"""The passes in order: parse, resolve, translate, compile.

Modules that few requests need are imported where they are used, here and in what is called from
here: all imports together would be a third of what a typical script costs.

run_passes(Question(request, ...), passes, progress)
  -> Response, and BuildResult with the module where the builder put it
"""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from compiler.analysis.unused import require_probes, warnings
from compiler.codegen.module import generate
from compiler.codegen.probe_table import Target
from compiler.driver import tapset_index
from compiler.driver.module_cache import Question
from compiler.frontend.parser import parse
from compiler.frontend.preprocessor import Macro
from compiler.frontend.preprocessor_conditions import Conditions
from compiler.ir.diagnostics import CompileError, Diagnostic
from compiler.ir.options import Limits, Options, unread, with_defines
from compiler.ir.program import HookKind, Program
from compiler.ir.source import Source, Span, decode
from compiler.ir.syntax import Script
from compiler.kernel.kernel import Kernel
from compiler.modbuild.builder import Builder
from compiler.modbuild.request import BuildInput, BuildResult
from compiler.modbuild.toolchain import Here, There, Toolchain
from compiler.probes import Environment
from compiler.protocol import Fault, Pass, Request, Response
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from compiler.transform.entry_return_pairing import pair
from compiler.userspace.program_files import Files
from compiler.version import VERSION
from runtime.abi.manifest import Histogram, HistogramKind
from runtime.support.record import field, record, replace


@record(frozen=False)
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


@record
class _Setting:
    """What the text of a library file means depends on."""

    kernel: Kernel
    guru: bool
    compatible: str | None
    macros: tuple[tuple[str, bytes], ...] = ()  # files of macros


@functools.lru_cache(maxsize=16)
def _macros(setting: _Setting) -> dict[str, Macro]:
    return tapset_index.macros(dict(setting.macros), _conditions(setting))


@functools.lru_cache(maxsize=512)
def _library_script(setting: _Setting, name: str, text: bytes, args: tuple[str, ...]) -> Script:
    return tapset_index.parse_script(name, text, _conditions(setting), _macros(setting), args)


@record
class _Parsed:
    script: Script
    extras: list[Script]
    scripts: list[Script]  # of the library

    @property
    def own(self) -> list[Script]:
        return [self.script, *self.extras]


def _parse(job: Question, kernel: Kernel, files: Mapping[str, bytes]) -> _Parsed:
    """The request's scripts and these files of the library. Raises CompileError."""
    request = job.request
    plain = _Setting(kernel, request.guru, request.compatible)
    setting = replace(plain, macros=tuple(f for f in files.items() if f[0].endswith(".stpm")))
    given: dict[str, Any] = {
        "conditions": _conditions(plain),
        "args": request.args,
        "library_macros": _macros(setting),
    }
    script = parse(job.text, job.file, **given)
    extras = [parse(text, f"<-E {i}>", **given) for i, text in enumerate(request.extra, 1)]
    scripts = [
        _library_script(
            setting,
            name,
            text,
            tuple(request.args) if tapset_index.asks_for_arguments(text) else (),
        )
        for name, text in files.items()
        if name.endswith(".stp")
    ]
    return _Parsed(script, extras, scripts)


def _needed(job: Question) -> Mapping[str, bytes]:
    """The library's files that the request may need."""
    request = job.request
    if request.listing is not None:
        return job.tapset
    texts = [job.text, *request.extra, *request.args]
    return tapset_index.needed(
        job.tapset,
        [t if isinstance(t, bytes) else t.encode("utf-8", "surrogateescape") for t in texts],
    )


def run_passes(
    job: Question, passes: list[Pass], progress: Callable[[str], None]
) -> tuple[Response, BuildResult | None]:
    """All passes up to the request's last; each done one is added to `passes`.

    Raises CompileError, BuildError, KernelFactError and OSError.
    """
    kernel = job.kernel or _running(job.cache.root / "kernels")
    files = _needed(job)
    try:
        return _run(job, kernel, files, passes, progress)
    except CompileError:
        if len(files) == len(job.tapset):
            raise
    passes.clear()  # once more with all there is: what is meant may be there, under another name
    return _run(job, kernel, job.tapset, passes, progress)


def _run(
    job: Question,
    kernel: Kernel,
    files: Mapping[str, bytes],
    passes: list[Pass],
    progress: Callable[[str], None],
) -> tuple[Response, BuildResult | None]:
    request, module = job.request, job.module
    clock = Clock(passes)
    clock.start()
    parsed = _parse(job, kernel, files)
    clock.stop("parsed user script", f"and {len(parsed.scripts)} library scripts")
    if request.listing is not None:
        return _listed(request, parsed, kernel, job.programs), None
    if request.last_pass < 2:
        from compiler.ir import program_printer

        trees = "".join(map(program_printer.tree, parsed.own))
        return Response(True, passes=tuple(clock.passes), output=trees), None
    clock.start()
    defined = with_defines(Limits(), request.defines)
    if defined.errors:
        raise CompileError(defined.errors)
    program = _resolve(request, parsed, kernel, job.programs)
    wasted: tuple[Fault, ...] = ()
    if request.optimise:
        whole, program = program, eliminate_dead_code(program)
        found = warnings(whole, program, parsed.own)
        wasted = tuple(Fault.of(d) for d in found)
        if request.run_mode:
            require_probes(program, parsed.script, found)
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
            *_watched(program),
            *(() if request.guru else unread(defined.macros)),
        )
    )
    if request.last_pass < 3:
        from compiler.ir import program_printer

        output = program_printer.program(program)
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
        displayed=_displayed(program, job) if request.display else frozenset(),
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
        Fault.without_place("slow-build", w, job.file, severity="warning") for w in built.warnings
    )
    done = Response(
        True, module, str(built.path), job.identity, False, tuple(passes), warnings=said + slow
    )
    return done, built


def _toolchain(job: Question) -> Toolchain:
    if job.request.kernel is None:
        return Here()
    return There(Path(job.request.kernel["root"]), job.cache.root)


def _conditions(setting: _Setting) -> Conditions:
    kernel, compatible = setting.kernel, setting.compatible
    return Conditions(
        kernel_vr=kernel.release,
        arch=kernel.arch,
        guru_mode=setting.guru,
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


def _resolve(request: Request, parsed: _Parsed, kernel: Kernel, programs: Files) -> Program:
    return resolve(
        request.name,
        parsed.own,
        parsed.scripts,
        Environment(kernel, request.guru, programs),
        dict(request.globals),
    )


def _watched(program: Program) -> list[Diagnostic]:
    if not any(probe.hook.kind is HookKind.WATCHPOINT for probe in program.probes):
        return []
    from compiler.probes import watchpoint

    return watchpoint.warnings(program)


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


def _listed(request: Request, parsed: _Parsed, kernel: Kernel, programs: Files) -> Response:
    """The answer to `-l`, `-L` and the `--dump` options."""
    from compiler.driver import list_probes

    environment = Environment(kernel, programs=programs)
    known = [*parsed.scripts, *parsed.extras]
    match request.listing:
        case "functions":
            lines = list_probes.functions(known, environment)
        case "types":
            lines = list_probes.probe_types()
        case "aliases":
            lines = list_probes.probe_aliases(known)
        case _:
            wanted = request.listing == "variables"
            lines = list_probes.points(
                parsed.script, parsed.extras, parsed.scripts, environment, variables=wanted
            )
    return Response(True, output="".join(f"{line}\n" for line in lines))


def _displayed(program: Program, job: Question) -> frozenset[str]:
    from compiler.analysis.write_only_globals import displayed

    return displayed(program, job.tapset)


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
