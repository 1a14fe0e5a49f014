# SPDX-License-Identifier: GPL-2.0-or-later
"""kernel.data("symbol") or kernel.data(ADDRESS)[.length(N)], .write or .rw: the processor watches memory.

kernel.data("jiffies").write              -> Hook(WATCHPOINT, "jiffies", number=1, type=2)
kernel.data(0xffffffff82a0).length(3).rw  -> Hook(WATCHPOINT, offset=0xffffffff82a0, number=4, type=3)
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.program import Hook, HookKind
from compiler.kernel import btf_types
from compiler.kernel.errors import KernelFactError
from compiler.probes.base import Environment, Refusal, Site, number_of, spell, unexpected
from compiler.support.did_you_mean import did_you_mean
from runtime.support.int64 import wrapped

_ACCESSES = {"write": 2, "rw": 3}  # SW_WATCH_*
_LENGTHS = (1, 2, 4, 8)


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """What follows `kernel` is `data`."""
    data, *rest = components[1:]
    length = 1
    if rest and rest[0].name == "length" and isinstance(data.arg, int):
        length = _length(rest.pop(0))
    if not rest or rest[0].name not in _ACCESSES or len(rest) > 1:
        allowed = (*_ACCESSES, *(("length",) if isinstance(data.arg, int) else ()))
        wrong = rest[1] if rest and rest[0].name in _ACCESSES else (rest or [data])[0]
        raise unexpected(wrong, () if wrong in rest[1:] else allowed)
    symbol, address = _place(data, environment)
    kind = _ACCESSES[rest[0].name]
    hook = Hook(HookKind.WATCHPOINT, symbol, offset=address, number=length, type=kind)
    return [Site(hook, spell(components))]


def warnings(program: p.Program, registers: int) -> list[Diagnostic]:
    """A warning at the first watchpoint for which the processor has no register left."""
    found = [probe for probe in program.probes if probe.hook.kind is HookKind.WATCHPOINT]
    if len(found) <= registers:
        return []
    message = f"{len(found)} places are watched, but the processor can watch {registers} only"
    hint = (
        "the kernel refuses the others, and the script with them, unless they are marked with '?'"
    )
    span = found[registers].span
    return [Diagnostic("many-watchpoints", message, span, hint=hint, severity="warning")]


def _length(component: syntax.Component) -> int:
    """The next length that the processor knows."""
    wanted = number_of(component)
    for length in _LENGTHS:
        if wanted <= length:
            return length
    raise Refusal(
        "bad-probe-argument",
        f"{wanted} bytes are more than the processor watches",
        component.span,
        f"{_LENGTHS[-1]} at most; watch several places",
    )


def _place(data: syntax.Component, environment: Environment) -> tuple[str, int]:
    """For messages and the kernel's table of symbols a name; 0 or the address."""
    match data.arg:
        case int(address):
            return f"{wrapped(address) & (1 << 64) - 1:#x}", wrapped(address)
        case str(name):
            return _known(name, data, environment), 0
        case _:
            raise Refusal(
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
        raise Refusal(
            "bad-probe-argument",
            f"each CPU has its own '{name}': it has no one place to watch",
            data.span,
        )
    try:
        known = bool(kernel.symbols.find(name))
    except KernelFactError:
        return name  # no table to look into: the module will tell when it starts
    if not known:
        raise Refusal(
            "unknown-variable",
            f"kernel {kernel.release} has no symbol '{name}'",
            data.span,
            did_you_mean(name, kernel.btf.names(btf_types.Variable)),
        )
    return name
