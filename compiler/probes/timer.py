# SPDX-License-Identifier: GPL-2.0-or-later
"""timer.s|ms|us|ns|hz|jiffies(N)[.randomize(M)] and timer.profile[.freq.hz(N)]."""

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.hooks import HrTimer, JiffiesTimer, Profile
from compiler.probes.base import (
    Environment,
    ProbePointError,
    ProbeSite,
    number_of,
    spell,
    unexpected,
)

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
# A shorter interval would leave the host no time for anything else. Both bounds are SystemTap's.
_SHORTEST_NS = 100_000
_LONGEST_NS = 24 * 3600 * 1_000_000_000

FORMS = (
    *(
        f"timer.{unit}(number){suffix}"
        for unit in (*_UNITS_NS, "jiffies")
        for suffix in ("", ".randomize(number)")
    ),
    "timer.hz(number)",
    "timer.profile",
    "timer.profile.freq.hz(number)",
)


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """`timer.ms(4000)` -> HrTimer(period=4_000_000_000)."""
    del environment
    point = spell(components)
    if len(components) < 2:
        raise unexpected(components[0], (*_UNITS_NS, "hz", "jiffies", "profile"))
    unit, *rest = components[1:]
    if unit.name == "profile":
        return [ProbeSite(Profile(_rate(rest)), point)]
    if unit.name == "jiffies":
        interval = _positive(unit)
        return [ProbeSite(JiffiesTimer(interval, _randomize(rest, interval)), point)]
    if unit.name == "hz":
        interval, scale = 1_000_000_000 // _positive(unit), 1
    elif unit.name in _UNITS_NS:
        scale = _UNITS_NS[unit.name]
        interval = _positive(unit) * scale
    else:
        raise unexpected(unit, (*_UNITS_NS, "hz", "jiffies", "profile"))
    if interval < _SHORTEST_NS:
        raise ProbePointError(
            "bad-probe-argument",
            f"a timer of {interval} ns is too short",
            unit.span,
            f"the shortest interval is {_SHORTEST_NS} ns",
        )
    if interval > _LONGEST_NS:
        raise ProbePointError(
            "bad-probe-argument",
            "a timer's interval is a day at most",
            unit.span,
            "count turns of a shorter one",
        )
    randomize = _randomize(rest, interval // scale) * scale
    return [ProbeSite(HrTimer(interval, randomize), point)]


def _positive(component: syntax.Component) -> int:
    number = number_of(component)
    if not 0 < number < 1 << 40:
        raise ProbePointError(
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
        raise ProbePointError(
            "bad-probe-argument",
            f"{number} is more than the interval, or below 0",
            rest[0].span,
            f"between 0 and {interval}",
        )
    return number


def _rate(rest: Sequence[syntax.Component]) -> int:
    """Hits a second on each CPU; 0: as often as the kernel's own tick."""
    match [c.name for c in rest]:
        case []:
            return 0
        case ["freq", "hz"]:
            return _positive(rest[1])
        case _:
            raise unexpected(rest[0], ("freq",))
