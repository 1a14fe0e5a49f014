# SPDX-License-Identifier: GPL-2.0-or-later
"""The policy of each array for a new key when it is full: as declared, in the script or by an option.

global reads[100]; global last%[100]      when_full={"reads": OTHER}
-> {"reads": OTHER, "last": OLDEST}
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.analysis import storage_class
from compiler.ir import program as p
from compiler.ir.diagnostics import Diagnostic
from compiler.ir.options import Options
from runtime.abi.manifest import Storage, WhenFull

EVICTING = (WhenFull.OLDEST, WhenFull.LRU)


def policies(program: p.Program, options: Options) -> dict[str, WhenFull]:
    """By the array's name."""
    common = WhenFull.ERROR if options.strict else WhenFull.DROP
    return {
        g.name: options.when_full.get(g.name) or (WhenFull.OLDEST if g.wrap else common)
        for g in program.globals
        if g.keys
    }


def evicting(found: Mapping[str, WhenFull]) -> frozenset[str]:
    """The arrays whose elements give way to new ones."""
    return frozenset(name for name, policy in found.items() if policy in EVICTING)


def check(program: p.Program, options: Options) -> list[Diagnostic]:
    """A diagnostic for each array that cannot do what the options ask for."""
    if not options.when_full:
        return []
    classes = storage_class.classify(program, evicting(policies(program, options)))
    found = []
    for g in program.globals:
        policy = options.when_full.get(g.name)
        if policy is None:
            continue
        if not g.keys:
            why, hint = "it is no array", "leave it out: only arrays are ever full"
        elif policy is WhenFull.OTHER and classes[g.name].storage is not Storage.PERCPU:
            why = "a handler reads, assigns or deletes its elements, or its elements are texts"
            hint = "an array that handlers only add to has one; or use lru, error or drop"
        else:
            continue
        message = f"global '{g.name}' cannot have when_full '{policy}': {why}"
        found.append(Diagnostic("bad-limit", message, g.span, hint=hint))
    return found
