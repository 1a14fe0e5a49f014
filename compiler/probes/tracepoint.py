# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.trace("sched_switch"): the tracepoint calls the handler, BTF has the types of its arguments.

kernel.tracepoint("sched_switch") is the same tracepoint without its system, and with $arg1, $arg2, ...
module("ext4").tracepoint("ext4_sync_file_enter") is one of a module, which must be loaded at the start.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.hooks import Tracepoint
from compiler.kernel import tracepoints
from compiler.kernel.errors import KernelFactError
from compiler.probes.base import (
    Environment,
    ProbePointError,
    ProbeSite,
    Variable,
    spell,
    text_of,
    unexpected,
)
from compiler.support.globs import is_glob
from runtime.support.record import replace

FORMS = (
    "kernel.trace(string)",
    "kernel.tracepoint(string)",
    "module(string).tracepoint(string)",
)
_NO_SYSTEMS = (
    "the systems of tracepoints are not known: tracefs is not mounted, or closed by lockdown, and the "
    "kernel's headers are not installed; name tracepoints without their system"
)


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """`kernel.trace("sched:sched_*")` -> a site for each tracepoint."""
    trace, *rest = components[1:]
    if rest:
        raise unexpected(rest[0], ())
    pattern = text_of(trace)
    points = environment.kernel.tracepoints
    try:
        names = points.names(pattern) if is_glob(pattern) else [pattern]
        found = [points.find(name) for name in names]
    except KernelFactError as fault:
        raise ProbePointError(
            "unknown-tracepoint", fault.message, trace.span, fault.hint
        ) from fault
    if not found:
        hint = _NO_SYSTEMS if ":" in pattern and not environment.kernel.trace_systems else ""
        message = f"no tracepoint fits '{pattern}'"
        raise ProbePointError("unknown-tracepoint", message, trace.span, hint)
    if trace.name == "tracepoint":
        if ":" in pattern:
            message = "kernel.tracepoint takes the tracepoint's name alone"
            hint = f'kernel.trace("{pattern}") has its system'
            raise ProbePointError("unknown-tracepoint", message, trace.span, hint)
        return [_positional(t, "kernel") for t in found]
    return [
        ProbeSite(
            Tracepoint(t.name, len(t.params)),
            f'kernel.trace("{t.system + ":" if t.system else ""}{t.name}")',
            {p.name: Variable(p.name, "argument", i, p.type_id) for i, p in enumerate(t.params)},
            t.name,
            t.system,
        )
        for t in found
    ]


def resolve_of_module(
    components: Sequence[syntax.Component], modules: Sequence[str], environment: Environment
) -> list[ProbeSite]:
    """`module("ext4").tracepoint("ext4_sync_*")` -> a site for each of the modules' own tracepoints."""
    trace, *rest = components[1:]
    if rest:
        raise unexpected(rest[0], ())
    kernel, pattern = environment.kernel, text_of(trace)
    sites: list[ProbeSite] = []
    for module in modules:
        points = tracepoints.Tracepoints(kernel.module_btf(module))
        names = {*points.names(pattern)} - {*kernel.tracepoints.names(pattern)}
        for name in sorted(names):
            site = _positional(points.find(name), f'module("{module}")')
            sites.append(replace(site, module=module))
    if not sites:
        owner = f"module '{text_of(components[0])}'"
        message = f"{owner} has no tracepoint '{pattern}'"
        hint = f"list them: -l '{spell(components[:1])}.tracepoint(\"*\")'"
        raise ProbePointError("unknown-tracepoint", message, trace.span, hint)
    environment.typed_modules.update(site.module for site in sites)
    return sites


def _positional(t: tracepoints.Tracepoint, owner: str) -> ProbeSite:
    """A tracepoint whose arguments are known by their positions."""
    named = [(f"arg{i + 1}", i, p.type_id) for i, p in enumerate(t.params)]
    variables = {name: Variable(name, "argument", i, type_id) for name, i, type_id in named}
    hook = Tracepoint(t.name, len(t.params))
    return ProbeSite(hook, f'{owner}.tracepoint("{t.name}")', variables, t.name, positional=True)
