# SPDX-License-Identifier: GPL-2.0-or-later
"""perf.type(T).config(C)[.sample(N) | .hz(N)]: events that the kernel's perf subsystem counts on each CPU.

perf.type(1).config(0).sample(5000000)  -> Hook(PERF, type=1, config=0, number=5000000)
perf.type(0).config(1).hz(100)          -> Hook(PERF, type=0, config=1, number=100, frequency=True)
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.program import Hook, HookKind
from compiler.probes.base import Environment, Refusal, Site, number_of, spell, unexpected
from runtime.support.int64 import wrapped

_PERIOD = 1_000_000  # where none is given
_WAYS = ("sample", "hz")


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """Types and configurations are those of perf_event_open(2); the kernel says what it has."""
    del environment
    for place, name in enumerate(("type", "config"), 1):
        if len(components) <= place or components[place].name != name:
            raise unexpected(components[min(place, len(components) - 1)], (name,))
    kind, config, *rest = components[1:]
    number, frequency = _PERIOD, False
    for suffix in rest:
        if suffix.name in ("process", "counter"):
            raise Refusal(
                "no-such-family",
                "events are counted on each CPU, not in one program",
                suffix.span,
                "leave this out, and compare pid() with target()",
            )
        if suffix is not rest[0] or suffix.name not in _WAYS:
            raise unexpected(suffix, _WAYS if suffix is rest[0] else ())
        number, frequency = _positive(suffix), suffix.name == "hz"
    hook = Hook(
        HookKind.PERF,
        spell(components[:3]),
        number=number,
        type=_within(kind, 1 << 32),
        config=wrapped(number_of(config)),
        frequency=frequency,
    )
    return [Site(hook, spell(components))]


def _positive(component: syntax.Component) -> int:
    number = number_of(component)
    if number < 1:
        raise Refusal(
            "bad-probe-argument",
            f"{component.name}({number}) never comes",
            component.span,
            "write 1 or more",
        )
    return number


def _within(component: syntax.Component, end: int) -> int:
    number = number_of(component)
    if not 0 <= number < end:
        raise Refusal(
            "bad-probe-argument", f"perf has no {component.name} {number}", component.span
        )
    return number
