# SPDX-License-Identifier: GPL-2.0-or-later
"""From a request to a response: from the cache if possible, else by running the passes.

    compile_script(Request(name="x", text="probe begin { exit() }"), progress) -> Response

The cache serves a script that was compiled before with the same options, library and kernel. Importing the
passes takes longer than that lookup, so they are imported only when needed.
This is the one place where the compiler's errors become the protocol's diagnostics.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from compiler import protocol
from compiler.driver import module_cache
from compiler.driver.module_cache import CompileJob, Lookup
from compiler.ir.diagnostics import CompileError, Diagnostic, render
from compiler.kernel.errors import KernelFactError
from compiler.modbuild.errors import BuildError
from compiler.protocol import LAST_PASS, Pass, Request, Response
from compiler.support.content_store import UnsafeCache
from runtime.support.record import replace

if TYPE_CHECKING:
    from compiler.driver.pipeline import PipelineResult

Progress = Callable[[str], None]
Make = Callable[[CompileJob, Progress], Response]

_ERRORS = (CompileError, BuildError, UnsafeCache, KernelFactError, RecursionError, OSError)
_FRAMES = 20_000  # of Python: passes recurse as deep as scripts nest, several frames a level


def allow_depth() -> None:
    """Raise Python's recursion limit, so that passes can follow any nesting that the parser accepts."""
    sys.setrecursionlimit(max(_FRAMES, sys.getrecursionlimit()))


def compile_script(request: Request, progress: Progress, make: Make | None = None) -> Response:
    """Run all passes up to `request.last_pass`. Errors in the script are the response's errors.

    `make` runs the passes instead of this process if the cache has no module.
    """
    allow_depth()
    try:
        job, found = module_cache.load(request), Lookup()
        if request.last_pass >= LAST_PASS and request.listing is None:
            found = module_cache.look_up(job)
    except _ERRORS as error:
        return Response(False, errors=_diagnostics_of(error, request.source or f"<{request.name}>"))
    if found.response is not None:
        return found.response
    try:
        response = (make or _compile)(job, progress)
    except _ERRORS as error:  # `make` cannot store the module, say
        response = Response(False, errors=_diagnostics_of(error, job.file))
    if not response.ok and found.older is not None:
        return _older(job, found.older, response.errors)
    return replace(response, anew=found.why) if response.ok else response


def _older(job: CompileJob, found: Response, errors: tuple[protocol.Diagnostic, ...]) -> Response:
    """An older compiler's module, because this one makes none: a lack of tools or headers, say."""
    message = (
        f"this compiler failed ({errors[0].message}); an older one's module {found.module} is used"
    )
    warning = _without_position("older-module", message, job.file, errors[0].hint, "warning")
    path = module_cache.install(Path(found.path), job.request.output)
    return replace(found, path=path, warnings=(*found.warnings, warning))


def _compile(job: CompileJob, progress: Progress) -> Response:
    from compiler.driver.pipeline import run_passes

    passes: list[Pass] = []
    try:
        result = run_passes(job, passes, progress)
        response = _response(job, result, passes)
        built = result.built
        if built is None:
            return response
        inputs = tuple(map(str, (*built.inputs, *job.programs.inputs)))
        response = replace(response, inputs=inputs)
        module_cache.store(job, response, built.key)
        return replace(response, path=module_cache.install(built.path, job.request.output))
    except _ERRORS as error:
        return Response(False, errors=_diagnostics_of(error, job.file), passes=tuple(passes))


def _response(job: CompileJob, result: PipelineResult, passes: list[Pass]) -> Response:
    request, built = job.request, result.built
    if request.listing is not None:
        return Response(True, output=result.output)
    slow = [] if built is None else built.warnings
    return Response(
        True,
        module=job.module if request.last_pass >= LAST_PASS - 1 else "",
        identity=job.identity if built is not None else "",
        passes=tuple(passes),
        warnings=(
            *_on_the_wire(result.warnings),
            *(_without_position("slow-build", w, job.file, severity="warning") for w in slow),
        ),
        output=result.output,
    )


def _diagnostics_of(error: Exception, file: str) -> tuple[protocol.Diagnostic, ...]:
    """The response's diagnostics for an exception of a pass."""
    match error:
        case CompileError():
            return _on_the_wire(error.diagnostics)
        case BuildError() | UnsafeCache():
            return (_without_position(error.slug, error.message, file, error.hint),)
        case KernelFactError():
            return (_without_position("kernel-facts", error.message, file, error.hint),)
        case RecursionError():
            message = "the script's functions call each other in a chain too long for the compiler"
            hint = "let fewer functions do more each"
            return (_without_position("nesting-too-deep", message, file, hint),)
        case OSError():
            message = f"cannot read {error.filename}: {error.strerror}"
            return (_without_position("unreadable", message, file),)
        case _:
            raise error


def _on_the_wire(diagnostics: Iterable[Diagnostic]) -> tuple[protocol.Diagnostic, ...]:
    return tuple(
        protocol.Diagnostic(d.slug, d.message, *d.span.location, d.hint or "", render(d))
        for d in diagnostics
    )


def _without_position(
    slug: str, message: str, file: str, hint: str = "", severity: str = "error"
) -> protocol.Diagnostic:
    """A diagnostic that has no position in the script."""
    text = f"{severity}[{slug}]: {message}\n  --> {file}" + (f"\nhint: {hint}" if hint else "")
    return protocol.Diagnostic(slug, message, file, hint=hint, text=text)
