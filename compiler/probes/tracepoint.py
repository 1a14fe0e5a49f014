# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.trace("sched_switch"): a callback straight from the tracepoint, its arguments typed by BTF."""

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.program import Hook, HookKind
from compiler.kernel.errors import KernelFactError
from compiler.probes.base import Environment, Refusal, Site, Variable, text_of, unexpected
from compiler.support.globs import is_glob


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
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
        raise Refusal("unknown-tracepoint", fault.message, trace.span, fault.hint) from fault
    if not found:
        raise Refusal("unknown-tracepoint", f"no tracepoint fits '{pattern}'", trace.span)
    return [
        Site(
            Hook(HookKind.TRACEPOINT, t.name, arguments=len(t.params)),
            f'kernel.trace("{t.system + ":" if t.system else ""}{t.name}")',
            {p.name: Variable(p.name, "argument", i, p.type_id) for i, p in enumerate(t.params)},
            t.name,
            t.system,
        )
        for t in found
    ]
