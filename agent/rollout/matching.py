# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a host's facts meet the conditions of a script.

mismatch(When({"kernel": Range(">=5.10 <7")}), facts)   -> None: all conditions hold
mismatch(When({"host": Patterns(("web-*",))}), facts)   -> Mismatch("host", "host is 'db-1', not 'web-*'")
kernel_mismatch(When({"kernel": Range(">=6.12")}), "6.1.0-13", "aarch64")   -> Mismatch("kernel", ...)
position(facts, "vfs")                                  -> Decimal("37.253741"): of 100, from the machine-id
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from decimal import Decimal
from fnmatch import fnmatchcase

from agent.config.rollout_settings import Bound, Patterns, Range, When
from agent.rollout.host_facts import NO_VIRTUALIZATION, HostFacts
from runtime.support.record import record

_CONTAINERS = frozenset(
    ("systemd-nspawn", "lxc", "lxc-libvirt", "docker", "podman", "rkt", "wsl", "openvz")
)
_OF_A_KERNEL = ("kernel", "arch")
_STEPS = 10**6  # the finest percentage is a millionth of a percent


@record
class Mismatch:
    """A condition that does not hold. `key`: of `when`; a label's is `labels.NAME`."""

    key: str
    text: str


def mismatch(when: When, facts: HostFacts) -> Mismatch | None:
    """The first condition that does not hold."""
    for key, wanted in when.facts.items():
        values = _values(key, facts)
        if isinstance(wanted, Range):
            holds = in_range(wanted, values[0])
        else:
            holds = matches(wanted, values)
        if not holds:
            return Mismatch(key, f"{key} is {_shown(values[0])}, and must be {wanted}")
    for label, patterns in when.labels.items():
        value = facts.labels.get(label, "")  # an absent label is only met by what it must not be
        if not matches(patterns, (value,)):
            text = f"label '{label}' is {_shown(value)}, and must be {patterns}"
            return Mismatch(f"labels.{label}", text)
    return None


def kernel_mismatch(when: When, release: str, arch: str) -> Mismatch | None:
    """The first condition that no host with this kernel meets, whatever else is true of it."""
    known = {key: wanted for key, wanted in when.facts.items() if key in _OF_A_KERNEL}
    return mismatch(When(facts=known), HostFacts("", kernel=release, arch=arch))


def position(facts: HostFacts, script: str) -> Decimal:
    """Where the host stands for this script, from 0 to 100 exclusively.

    The same host is at another position for another script, so that not the same hosts are always first.
    """
    digest = hashlib.sha256(f"{script}\0{facts.identity}".encode()).digest()
    number = int.from_bytes(digest[:8], "big") * 100 * _STEPS >> 64
    return Decimal(number) / _STEPS


def matches(patterns: Patterns, values: Iterable[str]) -> bool:
    """Whether one of the values is meant, and none is left out."""
    values = [value.lower() for value in values]
    wanted = [text.lower() for text in patterns.texts if not text.startswith("!")]
    barred = [text[1:].lower() for text in patterns.texts if text.startswith("!")]
    if any(fnmatchcase(value, text) for value in values for text in barred):
        return False
    return not wanted or any(fnmatchcase(value, text) for value in values for text in wanted)


def in_range(wanted: Range, value: str) -> bool:
    """Whether a version or a number is within all bounds: 6.1.0-13-cloud is 6.1.0."""
    match = re.match(r"[0-9]+(?:\.[0-9]+)*", value)
    if match is None:
        return False
    number = tuple(map(int, match[0].split(".")))
    return all(_within(bound, number) for bound in wanted.bounds)


def _within(bound: Bound, number: tuple[int, ...]) -> bool:
    size = len(bound.number)
    have = (*number, *(0,) * size)[:size]
    match bound.operator:
        case "<":
            return have < bound.number
        case "<=":
            return have <= bound.number
        case ">":
            return have > bound.number
        case ">=":
            return have >= bound.number
        case _:
            return have == bound.number


def _values(key: str, facts: HostFacts) -> tuple[str, ...]:
    """The names under which a condition may mean the fact; the first one is shown."""
    match key:
        case "host":
            return (facts.host, facts.host.partition(".")[0])
        case "os":
            return (f"{facts.os} {facts.os_version}".strip(), facts.os)
        case "virtualization":
            return (facts.virtualization, *_kind(facts.virtualization))
        case "cpus":
            return (str(facts.cpus),)
        case _:
            return (str(getattr(facts, key)),)


def _kind(virtualization: str) -> tuple[str, ...]:
    """The word for all of this kind, as in ConditionVirtualization= of systemd."""
    if virtualization == NO_VIRTUALIZATION:
        return ()
    is_container = virtualization in _CONTAINERS
    return ("container",) if is_container else ("vm",)


def _shown(value: str) -> str:
    return f"'{value}'" if value else "not set"
