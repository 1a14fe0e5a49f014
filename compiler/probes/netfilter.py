# SPDX-License-Identifier: GPL-2.0-or-later
"""netfilter.hook("NAME").pf("FAMILY")[.priority("NAME")]: packets in the network stack.

netfilter.hook("NF_INET_LOCAL_IN").pf("NFPROTO_IPV4")
  -> Netfilter(family=2, hooknum=1, priority=0), variables {hooknum, skb, in, out, verdict}

The hooks are those of the initial network namespace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from compiler.ir import syntax
from compiler.ir.hooks import Netfilter
from compiler.ir.program import Verdict
from compiler.kernel import btf_types, type_layout
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.errors import KernelFactError
from compiler.probes.base import (
    Environment,
    Lazy,
    ProbePointError,
    ProbeSite,
    Variable,
    spell,
    text_of,
    unexpected,
)
from compiler.support.did_you_mean import did_you_mean
from runtime.support.record import record

_INT_MIN, _INT_MAX = -(1 << 31), (1 << 31) - 1
_HOOKS = ("PRE_ROUTING", "LOCAL_IN", "FORWARD", "LOCAL_OUT", "POST_ROUTING")
_IP_PRIORITIES = {
    "FIRST": _INT_MIN,
    "RAW_BEFORE_DEFRAG": -450,
    "CONNTRACK_DEFRAG": -400,
    "RAW": -300,
    "SELINUX_FIRST": -225,
    "CONNTRACK": -200,
    "MANGLE": -150,
    "NAT_DST": -100,
    "FILTER": 0,
    "SECURITY": 50,
    "NAT_SRC": 100,
    "SELINUX_LAST": 225,
    "CONNTRACK_HELPER": 300,
    "LAST": _INT_MAX,
}
_BRIDGE_PRIORITIES = {
    "FIRST": _INT_MIN,
    "NAT_DST_BRIDGED": -300,
    "FILTER_BRIDGED": -200,
    "BRNF": 0,
    "NAT_DST_OTHER": 100,
    "FILTER_OTHER": 200,
    "NAT_SRC": 300,
    "LAST": _INT_MAX,
}


@record
class _Protocol:
    """A protocol family: its number, and its hooks and priorities by name."""

    number: int
    hooks: Mapping[str, int]
    priorities: Mapping[str, int]


def _named(prefix: str, names: Sequence[str]) -> dict[str, int]:
    return {f"{prefix}{name}": number for number, name in enumerate(names)}


def _prefixed(prefix: str, values: Mapping[str, int]) -> dict[str, int]:
    return {f"{prefix}{name}": value for name, value in values.items()}


_PROTOCOLS = {
    "NFPROTO_IPV4": _Protocol(
        2,
        _named("NF_INET_", _HOOKS) | _named("NF_IP_", _HOOKS),
        _prefixed("NF_IP_PRI_", _IP_PRIORITIES | {"CONNTRACK_CONFIRM": _INT_MAX}),
    ),
    "NFPROTO_IPV6": _Protocol(
        10,
        _named("NF_IP6_", _HOOKS),
        _prefixed("NF_IP6_PRI_", _IP_PRIORITIES),
    ),
    "NFPROTO_ARP": _Protocol(3, _named("NF_ARP_", ("IN", "OUT", "FORWARD")), {}),
    "NFPROTO_BRIDGE": _Protocol(
        7, _named("NF_BR_", _HOOKS), _prefixed("NF_BR_PRI_", _BRIDGE_PRIORITIES)
    ),
}
# IPv4 and IPv6 at once. Like all of the kernel's own names and numbers it needs guru mode.
_INET = _Protocol(1, _named("NF_INET_", _HOOKS), {})
_BY_NUMBER = {protocol.number: protocol for protocol in (*_PROTOCOLS.values(), _INET)}

FORMS = tuple(
    f"netfilter.{names}{priority}"
    for names in ("hook(string).pf(string)", "pf(string).hook(string)")
    for priority in ("", ".priority(string)")
)


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """`hook` and `pf` come in either order; `priority` may follow."""
    parts = {c.name: c for c in components[1:]}
    names = [c.name for c in components[1:]]
    if sorted(names[:2]) != ["hook", "pf"]:
        first = names[:1] in (["hook"], ["pf"])  # so the second one is wrong
        raise unexpected(components[: 2 + first][-1], ("hook", "pf"))
    if names[2:] not in ([], ["priority"]):
        raise unexpected(components[4 if names[2] == "priority" else 3], ("priority",))
    family, hook = parts["pf"], parts["hook"]
    protocol = _protocol(family, environment)
    hooks = range(3 if protocol.number == _PROTOCOLS["NFPROTO_ARP"].number else len(_HOOKS))
    number = _number(hook, protocol.hooks, hooks, environment, numbers=environment.guru)
    priority = 0
    if "priority" in parts:
        whole = range(_INT_MIN, _INT_MAX + 1)
        priority = _number(parts["priority"], protocol.priorities, whole, environment, numbers=True)
    name = f"{text_of(hook)} of {text_of(family)}"
    attached = Netfilter(name, protocol.number, number, priority)
    variables = Lazy(lambda: _variables(environment.kernel.btf))
    return [ProbeSite(attached, spell(components), variables)]


def _protocol(component: syntax.Component, environment: Environment) -> _Protocol:
    text = text_of(component)
    if text in _PROTOCOLS:
        return _PROTOCOLS[text]
    number = _guru_number(text, environment)
    if number in _BY_NUMBER:
        return _BY_NUMBER[number]
    raise ProbePointError(
        "bad-probe-argument",
        f"there is no protocol family '{text}'",
        component.span,
        did_you_mean(text, _PROTOCOLS) or f"one of {', '.join(_PROTOCOLS)}",
    )


def _number(
    component: syntax.Component,
    known: Mapping[str, int],
    bounds: range,
    environment: Environment,
    *,
    numbers: bool,
) -> int:
    """The number of a name; with `numbers` the script may give the number itself."""
    text = text_of(component)
    if text in known:
        return known[text]
    if numbers and re.fullmatch(r"-?[0-9]+", text):
        number: int | None = int(text)
    else:
        number = _guru_number(text, environment)
    if number is not None and number in bounds:
        return number
    raise ProbePointError(
        "bad-probe-argument",
        f"packets of this family have no {component.name} '{text}'",
        component.span,
        did_you_mean(text, known) or (f"one of {', '.join(known)}" if known else "use a number"),
    )


def _guru_number(text: str, environment: Environment) -> int | None:
    """In guru mode: a number, or the constant of the kernel that has this name."""
    if not environment.guru:
        return None
    if re.fullmatch(r"[0-9]+", text):
        return int(text)
    try:
        return environment.kernel.btf.constant(text)
    except KernelFactError:
        return None


def _variables(btf: Btf) -> dict[str, Variable]:
    """In the order of `sw_packet_handler`'s parameters, with the types that the kernel's hooks have."""
    types = _types(btf)
    names = ("hooknum", "skb", "in", "out")
    found = {n: Variable(n, "argument", i, types.get(n)) for i, n in enumerate(names)}
    return found | {"verdict": Variable("verdict", "verdict", 0, None, made=Verdict)}


def _types(btf: Btf) -> dict[str, TypeId]:
    try:
        state = btf.find(btf_types.Struct, "nf_hook_state")
        found = {n: type_layout.member(btf, state, n).type_id for n in ("in", "out", "okfn")}
    except KernelFactError:
        return {}
    function = btf.resolve(found.pop("okfn"))
    if isinstance(function, btf_types.Pointer):
        function = btf.resolve(function.target)
    if isinstance(function, btf_types.FunctionType) and len(function.params) == 3:
        found["skb"] = function.params[2].type_id
    return found
