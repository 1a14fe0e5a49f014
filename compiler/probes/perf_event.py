# SPDX-License-Identifier: GPL-2.0-or-later
"""perf.type(T).config(C)[.sample(N) | .hz(N)]: events of the perf subsystem on each CPU.

perf.type(1).config(0).sample(5000000)  -> PerfEvent(type=1, config=0, period=5000000)
perf.type(0).config(1).hz(100)          -> PerfEvent(type=0, config=1, frequency=100)
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.hooks import PerfEvent
from compiler.probes.base import (
    Environment,
    ProbePointError,
    ProbeSite,
    number_of,
    spell,
    unexpected,
)
from runtime.support.int64 import wrapped

_PERIOD = 1_000_000  # if the probe gives none
_RATES = ("sample", "hz")

FORMS = tuple(
    f"perf.type(number).config(number){rate}" for rate in ("", ".sample(number)", ".hz(number)")
)


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """Types and configurations are those of perf_event_open(2). Only the kernel knows which it has."""
    del environment
    for index, name in enumerate(("type", "config"), 1):
        if len(components) <= index or components[index].name != name:
            raise unexpected(components[min(index, len(components) - 1)], (name,))
    kind, config, *rest = components[1:]
    period, frequency = _PERIOD, 0
    for suffix in rest:
        if suffix.name in ("process", "counter"):
            raise ProbePointError(
                "no-such-family",
                "events are counted on each CPU, not in one program",
                suffix.span,
                "leave this out, and compare pid() with target()",
            )
        if suffix is not rest[0] or suffix.name not in _RATES:
            raise unexpected(suffix, _RATES if suffix is rest[0] else ())
        number = _positive(suffix)
        period, frequency = (0, number) if suffix.name == "hz" else (number, 0)
    hook = PerfEvent(
        spell(components[:3]),
        type=_within(kind, 1 << 32),
        config=wrapped(number_of(config)),
        period=period,
        frequency=frequency,
    )
    return [ProbeSite(hook, spell(components))]


def _positive(component: syntax.Component) -> int:
    number = number_of(component)
    if number < 1:
        raise ProbePointError(
            "bad-probe-argument",
            f"{component.name}({number}) never comes",
            component.span,
            "write 1 or more",
        )
    return number


def _within(component: syntax.Component, end: int) -> int:
    number = number_of(component)
    if not 0 <= number < end:
        raise ProbePointError(
            "bad-probe-argument", f"perf has no {component.name} {number}", component.span
        )
    return number
