# SPDX-License-Identifier: GPL-2.0-or-later
"""From a request to a module: out of the cache, else by all the passes.

    compile_script(Request(name="x", text="probe begin { exit() }"), progress) -> Response

A script compiled before with the same everything comes from the cache and passes nothing: then the
passes, which take longer to import than the look-up does, are not even imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from compiler.driver import module_cache
from compiler.ir.diagnostics import CompileError
from compiler.kernel.errors import KernelFactError
from compiler.modbuild.errors import BuildError
from compiler.protocol import Fault, Pass, Request, Response
from compiler.support.content_store import UnsafeCache
from runtime.support.record import replace

_FRAMES = 20_000  # of Python: passes go as deep as scripts are nested, some frames for each level


def allow_depth() -> None:
    """Lets the passes follow whatever the parser takes, and long chains of functions."""
    sys.setrecursionlimit(max(_FRAMES, sys.getrecursionlimit()))


def compile_script(request: Request, progress: Callable[[str], None]) -> Response:
    """All passes up to `request.last_pass`. User's mistakes come back as the response's errors."""
    passes: list[Pass] = []
    file = request.source or f"<{request.name}>"
    allow_depth()
    try:
        return _compile(request, passes, progress)
    except CompileError as error:
        faults = tuple(Fault.of(d) for d in error.diagnostics)
        return Response(False, errors=faults, passes=tuple(passes))
    except (BuildError, UnsafeCache, KernelFactError) as error:
        slug = "kernel-facts" if isinstance(error, KernelFactError) else error.slug
        fault = Fault.without_place(slug, error.message, file, error.hint)
        return Response(False, errors=(fault,), passes=tuple(passes))
    except RecursionError:
        fault = Fault.without_place(
            "nesting-too-deep",
            "the script's functions call each other in a chain that is too long for the compiler",
            file,
            "let fewer functions do more each",
        )
        return Response(False, errors=(fault,), passes=tuple(passes))
    except OSError as error:
        fault = Fault.without_place(
            "unreadable", f"cannot read {error.filename}: {error.strerror}", file
        )
        return Response(False, errors=(fault,), passes=tuple(passes))


def _compile(request: Request, passes: list[Pass], progress: Callable[[str], None]) -> Response:
    question = module_cache.ask(request)
    if request.last_pass >= 4 and request.listing is None:
        found = module_cache.answer(question)
        if found is not None:
            return found
    # not above: see the top of this file
    from compiler.driver.pipeline import run_passes

    done, built = run_passes(question, passes, progress)
    if built is None:
        return done
    module_cache.remember(question, done, built.key, (*built.inputs, *question.programs.inputs))
    return replace(done, path=module_cache.deliver(built.path, request))
