# SPDX-License-Identifier: GPL-2.0-or-later
"""The `kernel.*` points: each second component is a file's.

resolve(components of kernel.trace("sched_switch"), environment)   -> [ProbeSite(Tracepoint(...))]
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.probes import kernel_function
from compiler.probes.base import Environment, ProbeSite, unexpected

_KNOWN = ("data", "function", "statement", "trace", "tracepoint")


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """Raises ProbePointError. What few scripts need is imported for them only."""
    if len(components) < 2:
        raise unexpected(components[0], _KNOWN)
    match components[1].name:
        case "syscall" if components[1].arg is not None:
            from compiler.probes import syscall

            return syscall.resolve(components, environment)
        case "trace" | "tracepoint":
            from compiler.probes import tracepoint

            return tracepoint.resolve(components, environment)
        case "data":
            from compiler.probes import watchpoint

            return watchpoint.resolve(components, environment)
        case name if name in ("function", "statement", *kernel_function.NOT_PROBED):
            return kernel_function.resolve_kernel_function(components, environment)
        case _:
            raise unexpected(components[1], _KNOWN)
