# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's tracepoints and the arguments that each passes to its callbacks, from BTF.

    points = Tracepoints(btf, systems)
    points.find("sched:sched_switch")
      -> Tracepoint('sched_switch', 'sched', (Param('preempt', <bool>), Param('prev', ...), ...))
    points.names("sched:*")  -> ["sched_kthread_stop", ...]

Types come from the typedef `btf_trace_NAME` (a pointer to the callback's type, whose first
parameter is the registrant's own `void *`); parameter names from the function
`__traceiter_NAME`. BTF does not record the system (`sched`) of a tracepoint: tracefs
lists it if it is mounted, else the kernel headers' include/trace/events do. These lack the tracepoints that
are declared elsewhere (file systems, drivers); their system is '' here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from compiler.kernel import btf_types as k
from compiler.kernel.btf import Btf
from compiler.kernel.errors import BadBtf, NoSuchTracepoint, NoSuchType
from compiler.support.did_you_mean import did_you_mean
from compiler.support.globs import glob_regex
from runtime.support.lazy_regex import pattern
from runtime.support.record import record

_TYPEDEF: Final = "btf_trace_"
_FUNCTION: Final = "__traceiter_"
_SYSTEM: Final = pattern(rb"^#define\s+TRACE_SYSTEM\s+(\w+)", re.M)
_EVENT: Final = pattern(rb"^\s*(?:TRACE_EVENT|DECLARE_TRACE|DECLARE_EVENT)\w*\(\s*(\w+)", re.M)
_INSTANCE: Final = pattern(rb"^\s*DEFINE_EVENT\w*\(\s*\w+\s*,\s*(\w+)", re.M)
_WILD: Final = ("*", "")


@record
class Tracepoint:
    """`params` are the callback's parameters after its data pointer; unnamed ones are called `argN`."""

    name: str
    system: str
    params: tuple[k.Param, ...]


class Tracepoints:
    """The tracepoints in one BTF: the kernel's, or with a module's BTF, both."""

    def __init__(self, btf: Btf, systems: dict[str, str] | None = None) -> None:
        """`systems` maps a tracepoint's name to its system, if that is known."""
        self._btf = btf
        self._systems = systems or {}

    def find(self, spec: str) -> Tracepoint:
        """A tracepoint by `name` or `system:name`. Raises NoSuchTracepoint.

        The system is checked if it is known, and accepted if it is not.
        """
        system, name = _split(spec)
        btf = self._btf
        try:
            typedef = btf.find(k.Typedef, _TYPEDEF + name)
        except NoSuchType as error:
            raise NoSuchTracepoint(
                f"no tracepoint '{name}' in the types of '{btf.name}'",
                did_you_mean(name, self.names("*")) or "it may be in a module that is not loaded",
            ) from error
        known = self._systems.get(name, "")
        if known and not _matches(system, known):
            raise NoSuchTracepoint(
                f"tracepoint '{name}' is not in system '{system}'", f"write '{known}:{name}'"
            )
        return Tracepoint(name, known, self._params(typedef, name))

    def names(self, spec: str = "*") -> list[str]:
        """Sorted names that match a shell pattern `name` or `system:name`.

        With a system other than `*`, only tracepoints whose system is known can match.
        """
        system, pattern = _split(spec)
        typedefs = self._btf.names(k.Typedef, _TYPEDEF + pattern)
        names = {name.removeprefix(_TYPEDEF) for name in typedefs}
        return sorted(
            name
            for name in names
            if system in _WILD or _matches(system, self._systems.get(name, ""))
        )

    def _params(self, typedef: k.Typedef, name: str) -> tuple[k.Param, ...]:
        btf = self._btf
        pointer = btf.resolve(typedef.id)
        shape = btf.resolve(pointer.target) if isinstance(pointer, k.Pointer) else pointer
        if not isinstance(shape, k.FunctionType):
            raise BadBtf(f"the type of tracepoint '{name}' is not a function's")
        params = shape.params[1:]
        names: list[str] = []
        for prototype in btf.functions(_FUNCTION + name):
            if len(prototype.params) == len(shape.params):
                names = [param.name for param in prototype.params[1:]]
                break
        names += [""] * (len(params) - len(names))
        return tuple(
            k.Param(named or param.name or f"arg{index}", param.type_id)
            for index, (named, param) in enumerate(zip(names, params, strict=True), start=1)
        )


def systems_from_tracefs(tracefs: Path) -> dict[str, str]:
    """Tracepoint name -> system, from the `events` of tracefs; empty if it is not mounted.

    The events of system calls (`sys_enter_*`) are listed there, too, but are not tracepoints.
    """
    try:
        return {event.name: event.parent.name for event in (tracefs / "events").glob("*/*/")}
    except OSError:
        return {}


def systems_from_headers(include: Path) -> dict[str, str]:
    """Tracepoint name -> system, from the kernel headers' include/trace/events (30 ms)."""
    systems: dict[str, str] = {}
    for path in sorted((include / "trace" / "events").glob("*.h")):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        system = _SYSTEM.search(text)
        if system is not None:
            for event in (*_EVENT.finditer(text), *_INSTANCE.finditer(text)):
                systems.setdefault(event[1].decode(), system[1].decode())
    return systems


def _split(spec: str) -> tuple[str, str]:
    system, colon, name = spec.rpartition(":")
    if colon and not re.fullmatch(r"[\w*?\[\]!-]+", system):
        raise NoSuchTracepoint(
            f"'{spec}' does not name a tracepoint", "write 'name' or 'system:name'"
        )
    return system, name


def _matches(system: str, known: str) -> bool:
    return system in _WILD or re.fullmatch(glob_regex(system), known) is not None
