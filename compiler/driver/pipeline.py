# SPDX-License-Identifier: GPL-2.0-or-later
"""The passes in order: parse, analyze, translate to C, compile the C. `PASSES` is the list.

    run_passes(job, passes, progress) -> PipelineResult(output="", warnings=(...), built=BuildResult)

Each pass takes the result of the one before it. Modules that few requests need are imported where
they are used, here and in the code called from here: importing all of them would take a third of the
time of a typical compile.
"""

from __future__ import annotations

import functools
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from compiler.analysis import full_arrays
from compiler.analysis.unused import require_probes, warnings
from compiler.codegen.module import Generated, generate
from compiler.codegen.probe_table import ModuleTypes, Target
from compiler.driver import tapset_index
from compiler.driver.module_cache import CompileJob
from compiler.frontend.parser import parse
from compiler.frontend.preprocessor_conditions import compare_versions
from compiler.ir.diagnostics import CompileError, Diagnostic
from compiler.ir.hooks import Watchpoint
from compiler.ir.options import (
    MOST_FUNCTIONS,
    RUN_RING,
    Defines,
    Limits,
    Options,
    histogram_of,
    unused_macros,
    with_defines,
)
from compiler.ir.program import Program
from compiler.ir.syntax import Script
from compiler.kernel import control_flow
from compiler.kernel.kernel import Kernel
from compiler.modbuild.builder import Builder
from compiler.modbuild.request import BuildInput, BuildResult
from compiler.modbuild.toolchain import ChrootToolchain, HostToolchain, Toolchain
from compiler.probes import Environment
from compiler.protocol import Pass
from compiler.resolve.program import resolve
from compiler.transform.dead_code import eliminate_dead_code
from compiler.transform.merge_prints import merge_prints
from runtime.abi.manifest import WhenFull
from runtime.support.record import field, record, replace

if TYPE_CHECKING:
    from compiler.codegen.unwind_tables import UnwindTable


@record(frozen=False)
class PassTimer:
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


# ---------------------------------------------------------------- inputs and results of the passes


@record
class Sources:
    """A job with the library files that this run of the passes parses."""

    job: CompileJob
    kernel: Kernel
    library: Mapping[str, bytes]
    progress: Callable[[str], None]


@record
class Parsed:
    sources: Sources
    script: Script
    extras: list[Script]  # of -E
    library: list[Script]

    @property
    def own(self) -> list[Script]:
        return [self.script, *self.extras]


@record
class Analyzed:
    parsed: Parsed
    program: Program
    defines: Defines
    warnings: tuple[Diagnostic, ...]
    typed_modules: tuple[str, ...] = ()  # the kernel's, whose types the script uses


@record
class Translated:
    """`program`: the C was generated from it."""

    analyzed: Analyzed
    program: Program
    generated: Generated


@record
class Compiled:
    translated: Translated
    built: BuildResult


@record
class PipelineResult:
    """The result of the request's last pass. `output`: the text that an earlier last pass or a listing
    prints; `built`: the module in the cache, after the last pass of all."""

    output: str = ""
    warnings: tuple[Diagnostic, ...] = ()
    built: BuildResult | None = None


# ---------------------------------------------------------------- running them


def run_passes(
    job: CompileJob, passes: list[Pass], progress: Callable[[str], None]
) -> PipelineResult:
    """Run the passes up to the request's last; each completed one is appended to `passes`.

    Raises CompileError, BuildError, KernelFactError and OSError.
    """
    kernel = job.kernel or _running_kernel(job.kernel_cache_dir)
    control_flow.check(kernel)
    needed = _needed_library(job)
    try:
        return _run(Sources(job, kernel, needed, progress), passes)
    except CompileError:
        if len(needed) == len(job.tapset):
            raise
    # Run again with the whole library: hints may suggest names that only its other files declare.
    passes.clear()
    return _run(Sources(job, kernel, job.tapset, progress), passes)


def _run(sources: Sources, passes: list[Pass]) -> PipelineResult:
    request = sources.job.request
    last = 1 if request.listing is not None else request.last_pass
    timer, stage = PassTimer(passes), cast(Any, sources)
    for title, run, summary in PASSES[:last]:
        timer.start()
        stage = run(stage)
        timer.stop(title, summary(stage))
    return _result(stage)


def _result(stage: Parsed | Analyzed | Translated | Compiled) -> PipelineResult:
    match stage:
        case Parsed(sources=sources) if sources.job.request.listing is not None:
            return PipelineResult(_listing(stage))
        case Parsed():
            from compiler.ir import program_printer

            return PipelineResult("".join(map(program_printer.tree, stage.own)))
        case Analyzed():
            from compiler.ir import program_printer

            return PipelineResult(program_printer.program(stage.program), stage.warnings)
        case Translated(generated=generated):
            wanted = stage.analyzed.parsed.sources.job.request.manifest
            output = generated.manifest.to_json() if wanted else generated.c_text
            return PipelineResult(output, stage.analyzed.warnings)
        case Compiled():
            wanted = stage.translated.analyzed.parsed.sources.job.request.explain
            output = _explanation(stage) if wanted else ""
            return PipelineResult(output, stage.translated.analyzed.warnings, stage.built)


# ---------------------------------------------------------------- pass 1: parse


# A compiler process usually lives for seconds and serves several scripts. The kernel and the library
# do not change in this time, so facts about them are cached.


@functools.lru_cache(maxsize=1)
def _running_kernel(cache_dir: Path) -> Kernel:
    return Kernel.running(cache_dir)


def _needed_library(job: CompileJob) -> Mapping[str, bytes]:
    """The library files that the request may need."""
    request = job.request
    if request.listing is not None:
        return job.tapset
    texts = [job.text, *request.extra, *request.args]
    return tapset_index.needed(
        job.tapset,
        [t if isinstance(t, bytes) else t.encode("utf-8", "surrogateescape") for t in texts],
    )


def _parse(sources: Sources) -> Parsed:
    """The request's scripts and the library's. Raises CompileError."""
    job, request, files = sources.job, sources.job.request, sources.library
    args = tuple(request.args)
    plain = tapset_index.ParseContext(sources.kernel, request.guru, request.compatible)
    macro_files = tuple(f for f in files.items() if f[0].endswith(".stpm"))
    context = replace(plain, macro_files=macro_files)
    given: dict[str, Any] = {
        "conditions": tapset_index.conditions(plain),
        "args": args,
        "library_macros": tapset_index.public_macros(context),
    }
    script = parse(job.text, job.file, **given)
    extras = [parse(text, f"<-E {i}>", **given) for i, text in enumerate(request.extra, 1)]
    library = [
        tapset_index.library_script(
            context, name, text, args if tapset_index.asks_for_arguments(text) else ()
        )
        for name, text in files.items()
        if name.endswith(".stp")
    ]
    return Parsed(sources, script, extras, library)


def _library_summary(parsed: Parsed) -> str:
    return f"and {len(parsed.library)} library scripts"


# ---------------------------------------------------------------- pass 2: analyze


def _analyze(parsed: Parsed) -> Analyzed:
    """Resolve names and types, and remove unused code. Raises CompileError."""
    request, own = parsed.sources.job.request, parsed.own
    limits = Limits(RINGSIZE=RUN_RING) if request.run_mode else Limits()
    defines = with_defines(limits, request.defines)
    if defines.errors:
        raise CompileError(defines.errors)
    environment = Environment(
        parsed.sources.kernel,
        request.guru,
        parsed.sources.job.programs,
        defines.limits.MAXFUNCTIONS,
        request.skip_badvars,
        request.compatible is not None and compare_versions(request.compatible, "1.3") < 0,
        request.optimise,
    )
    program = _resolve(parsed, environment)
    unused: list[Diagnostic] = []
    if request.optimise:
        resolved, program = program, eliminate_dead_code(program)
        unused = warnings(resolved, program, own)
        if request.run_mode:
            require_probes(program, parsed.script, unused)
    found = (
        *environment.warnings,
        *unused,
        *tapset_index.missing_folders(request.library),
        *defines.warnings,
        *_watchpoint_warnings(program, parsed.sources.kernel),
        *(() if request.guru else unused_macros(defines.macros)),
    )
    return Analyzed(parsed, program, defines, found, tuple(sorted(environment.typed_modules)))


def _resolve(parsed: Parsed, environment: Environment) -> Program:
    request = parsed.sources.job.request
    return resolve(request.name, parsed.own, parsed.library, environment, dict(request.globals))


def _program_summary(analyzed: Analyzed) -> str:
    program = analyzed.program
    embeds = len(program.embedded) + sum(1 for f in program.functions if f.code is not None)
    return (
        f"{len(program.probes)} probe(s), {len(program.functions)} function(s), "
        f"{embeds} embed(s), {len(program.globals)} global(s)"
    )


# ---------------------------------------------------------------- pass 3: translate


def _translate(analyzed: Analyzed) -> Translated:
    sources, program = analyzed.parsed.sources, analyzed.program
    job, request, kernel = sources.job, sources.job.request, sources.kernel
    if request.optimise and any(g.keys for g in program.globals):
        from compiler.transform.entry_return_pairing import pair

        program = pair(program)
    if request.optimise and any(probe.optional for probe in program.probes):
        from compiler.transform.merge_probes import merge_probes

        program = merge_probes(program)
    limits = analyzed.defines.limits
    if request.optimise:
        program = merge_prints(program, limits.MAXSTRINGLEN, limits.RINGSIZE)
    options = Options(
        limits,
        strict=request.run_mode,
        export=request.export,
        histograms={name: histogram_of(tree) for name, tree in request.statistics.items()},
        capacities=dict(request.capacities),
        when_full={name: WhenFull(text) for name, text in request.when_full.items()},
        end_of_run=_end_of_run_globals(program, job) if request.end_of_run_globals else frozenset(),
        defines=analyzed.defines.macros,
    )
    modules = tuple(_module_types(kernel, name) for name in analyzed.typed_modules)
    if mistakes := full_arrays.check(program, options):
        raise CompileError(mistakes)
    tables, missing = _unwind_tables(program, job, kernel)
    target = Target(
        job.module, job.identity, kernel.release, kernel.build_id, job.compiler, modules, tables
    )
    analyzed = replace(analyzed, warnings=(*analyzed.warnings, *missing))
    return Translated(analyzed, program, generate(program, target, options))


def _unwind_tables(
    program: Program, job: CompileJob, kernel: Kernel
) -> tuple[tuple[UnwindTable, ...], list[Diagnostic]]:
    if not (kernel.arch.unwind and any(f.unwinds for f in program.functions)):
        return (), []
    from compiler.driver.unwind_tables import unwind_tables

    return unwind_tables(program, job.request.unwind, job.programs, kernel.arch)


def _module_types(kernel: Kernel, name: str) -> ModuleTypes:
    import zlib

    data = kernel.module_btf(name).data
    return ModuleTypes(name, len(data), zlib.adler32(data))


def _c_file(translated: Translated) -> str:
    return f'"{translated.analyzed.parsed.sources.job.module}.c"'


# ---------------------------------------------------------------- pass 4: compile


def _compile(translated: Translated) -> Compiled:
    """Build the module. Raises BuildError."""
    sources, generated = translated.analyzed.parsed.sources, translated.generated
    job = sources.job
    builder = Builder(job.cache, _toolchain(job), progress=sources.progress)
    built = builder.build(
        BuildInput(
            job.module,
            generated.c_text,
            generated.manifest.to_json(),
            sources.kernel,
            generated.needs_kernel_headers,
        )
    )
    files = filter(None, map(sources.kernel.module_file, translated.analyzed.typed_modules))
    return Compiled(translated, replace(built, inputs=tuple(files)))


def _module_file(compiled: Compiled) -> str:
    module = compiled.translated.analyzed.parsed.sources.job.module
    return f'"{module}.ko"' + (" (cached)" if compiled.built.cached else "")


# ---------------------------------------------------------------- the list


# (title, function, summary): -v prints "Pass 2: TITLE: SUMMARY in TIMES."; the text that -p N prints
# after an earlier pass is in _result().
PASSES: tuple[tuple[str, Callable[[Any], Any], Callable[[Any], str]], ...] = (
    ("parsed user script", _parse, _library_summary),
    ("analyzed script", _analyze, _program_summary),
    ("translated to C", _translate, _c_file),
    ("compiled C", _compile, _module_file),
)


# ---------------------------------------------------------------- helpers


def _toolchain(job: CompileJob) -> Toolchain:
    root = Path(job.request.kernel["root"]) if job.request.kernel is not None else Path("/")
    # another kernel of this system: its own compiler, which needs no privilege
    return HostToolchain() if root == Path("/") else ChrootToolchain(root, job.cache.root)


def _watchpoint_warnings(program: Program, kernel: Kernel) -> list[Diagnostic]:
    if not any(isinstance(probe.hook, Watchpoint) for probe in program.probes):
        return []
    from compiler.probes import watchpoint

    return watchpoint.warnings(program, kernel.arch.watchpoints)


def _listing(parsed: Parsed) -> str:
    """The output of `-l`, `-L` and the `--dump` options."""
    from compiler.driver import list_probes

    job = parsed.sources.job
    environment = Environment(
        parsed.sources.kernel, programs=job.programs, most_functions=MOST_FUNCTIONS
    )
    scripts = [*parsed.library, *parsed.extras]
    match job.request.listing:
        case "functions":
            lines = list_probes.functions(scripts, environment)
        case "types":
            lines = list_probes.probe_types()
        case "aliases":
            lines = list_probes.probe_aliases(scripts, parsed.sources.kernel.arch)
        case listing:
            variables = listing == "variables"
            lines = list_probes.points(
                parsed.script, parsed.extras, parsed.library, environment, variables=variables
            )
    return "".join(f"{line}\n" for line in lines)


def _explanation(compiled: Compiled) -> str:
    import json

    from compiler.driver.explain import explained

    translated = compiled.translated
    kernel = translated.analyzed.parsed.sources.kernel
    return json.dumps(explained(translated.program, kernel, compiled.built.path))


def _end_of_run_globals(program: Program, job: CompileJob) -> frozenset[str]:
    from compiler.analysis.write_only_globals import displayed

    return displayed(program, job.tapset)
