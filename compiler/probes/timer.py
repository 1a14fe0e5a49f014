# SPDX-License-Identifier: GPL-2.0-or-later
"""timer.s|ms|us|ns|hz|jiffies(N)[.randomize(M)] and timer.profile[.freq.hz(N)]."""

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.program import Hook, HookKind
from compiler.probes.base import Environment, Refusal, Site, number_of, spell, unexpected

_UNITS_NS = {
    "s": 1_000_000_000,
    "sec": 1_000_000_000,
    "ms": 1_000_000,
    "msec": 1_000_000,
    "us": 1_000,
    "usec": 1_000,
    "ns": 1,
    "nsec": 1,
}
# a shorter interval would leave the host no time for anything else; both are stap's bounds
_SHORTEST_NS = 100_000
_LONGEST_NS = 24 * 3600 * 1_000_000_000


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[Site]:
    """`timer.ms(4000)` -> Hook(TIMER_NS, number=4_000_000_000)."""
    del environment
    point = spell(components)
    if len(components) < 2:
        raise unexpected(components[0], (*_UNITS_NS, "hz", "jiffies", "profile"))
    unit, *rest = components[1:]
    if unit.name == "profile":
        return [Site(Hook(HookKind.PROFILE, number=_rate(rest)), point)]
    if unit.name == "jiffies":
        interval = _positive(unit)
        randomize = _randomize(rest, interval)
        return [Site(Hook(HookKind.TIMER_JIFFIES, number=interval, randomize=randomize), point)]
    if unit.name == "hz":
        interval, scale = 1_000_000_000 // _positive(unit), 1
    elif unit.name in _UNITS_NS:
        scale = _UNITS_NS[unit.name]
        interval = _positive(unit) * scale
    else:
        raise unexpected(unit, (*_UNITS_NS, "hz", "jiffies", "profile"))
    if interval < _SHORTEST_NS:
        raise Refusal(
            "bad-probe-argument",
            f"a timer of {interval} ns is too short",
            unit.span,
            f"the shortest interval is {_SHORTEST_NS} ns",
        )
    if interval > _LONGEST_NS:
        raise Refusal(
            "bad-probe-argument",
            "a timer's interval is a day at most",
            unit.span,
            "count turns of a shorter one",
        )
    hook = Hook(
        HookKind.TIMER_NS, number=interval, randomize=_randomize(rest, interval // scale) * scale
    )
    return [Site(hook, point)]


def _positive(component: syntax.Component) -> int:
    number = number_of(component)
    if not 0 < number < 1 << 40:
        raise Refusal(
            "bad-probe-argument", f"an interval of {number} is out of range", component.span
        )
    return number


def _randomize(rest: Sequence[syntax.Component], interval: int) -> int:
    if not rest:
        return 0
    if rest[0].name != "randomize" or len(rest) > 1:
        raise unexpected(rest[0], ("randomize",))
    number = number_of(rest[0])
    if not 0 <= number <= interval:
        raise Refusal(
            "bad-probe-argument",
            f"{number} is more than the interval, or below 0",
            rest[0].span,
            f"between 0 and {interval}",
        )
    return number


def _rate(rest: Sequence[syntax.Component]) -> int:
    """Hits a second on each CPU; 0: the kernel's own tick rate."""
    match [c.name for c in rest]:
        case []:
            return 0
        case ["freq", "hz"]:
            return _positive(rest[1])
        case _:
            raise unexpected(rest[0], ("freq",))
