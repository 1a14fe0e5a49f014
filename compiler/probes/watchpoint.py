# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.data("symbol") or kernel.data(ADDRESS)[.length(N)], .write or .rw: the processor watches memory.

kernel.data("jiffies").write              -> Watchpoint("jiffies", length=1, access=2)
kernel.data(0xffffffff82a0).length(3).rw  -> Watchpoint(address=0xffffffff82a0, length=4, access=3)
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.hooks import Watchpoint
from compiler.kernel import btf_types
from compiler.kernel.errors import KernelFactError
from compiler.probes.base import (
    Environment,
    ProbePointError,
    ProbeSite,
    number_of,
    spell,
    unexpected,
)
from compiler.support.did_you_mean import did_you_mean
from runtime.support.int64 import wrapped

_ACCESSES = {"write": 2, "rw": 3}  # SW_WATCH_*
_LENGTHS = (1, 2, 4, 8)

FORMS = tuple(
    f"kernel.data({memory}.{access}"
    for memory in ("string)", "number)", "number).length(number)")
    for access in _ACCESSES
)


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """The `kernel.data` points."""
    data, *rest = components[1:]
    length = 1
    if rest and rest[0].name == "length" and isinstance(data.arg, int):
        length = _length(rest.pop(0))
    if not rest or rest[0].name not in _ACCESSES or len(rest) > 1:
        allowed = (*_ACCESSES, *(("length",) if isinstance(data.arg, int) else ()))
        wrong = rest[1] if rest and rest[0].name in _ACCESSES else (rest or [data])[0]
        raise unexpected(wrong, () if wrong in rest[1:] else allowed)
    symbol, address = _memory(data, environment)
    hook = Watchpoint(symbol, address, length, _ACCESSES[rest[0].name])
    return [ProbeSite(hook, spell(components))]


def warnings(program: p.Program, registers: int) -> list[Diagnostic]:
    """A warning at the first watchpoint for which the processor has no register left."""
    found = [probe for probe in program.probes if isinstance(probe.hook, Watchpoint)]
    if len(found) <= registers:
        return []
    message = f"{len(found)} places are watched, but the processor can watch {registers} only"
    hint = (
        "the kernel refuses the others, and the script with them, unless they are marked with '?'"
    )
    span = found[registers].span
    return [Diagnostic("many-watchpoints", message, span, hint=hint, severity="warning")]


def _length(component: syntax.Component) -> int:
    """The next length that the processor supports."""
    wanted = number_of(component)
    for length in _LENGTHS:
        if wanted <= length:
            return length
    raise ProbePointError(
        "bad-probe-argument",
        f"{wanted} bytes are more than the processor watches",
        component.span,
        f"{_LENGTHS[-1]} at most; watch several places",
    )


def _memory(data: syntax.Component, environment: Environment) -> tuple[str, int]:
    """The name for messages and for the kernel's symbol table, and the address; 0: that of the name."""
    match data.arg:
        case int(address):
            return f"{wrapped(address) & (1 << 64) - 1:#x}", wrapped(address)
        case str(name):
            return _known(name, data, environment), 0
        case _:
            raise ProbePointError(
                "bad-probe-argument",
                "'data' takes a variable's name or an address: data(\"jiffies\")",
                data.span,
            )


def _known(name: str, data: syntax.Component, environment: Environment) -> str:
    kernel = environment.kernel
    try:
        kernel.btf.percpu(name)
    except KernelFactError:
        pass
    else:
        raise ProbePointError(
            "bad-probe-argument",
            f"each CPU has its own '{name}': it has no one place to watch",
            data.span,
        )
    try:
        known = kernel.symbols.find(name)
    except KernelFactError:
        return name  # there is no symbol table here: the module reports it when it starts
    if not known:
        raise ProbePointError(
            "unknown-variable",
            f"kernel {kernel.release} has no symbol '{name}'",
            data.span,
            did_you_mean(name, kernel.btf.names(btf_types.Variable)),
        )
    owner = known[0].module
    return f"{owner}:{name}" if owner else name
