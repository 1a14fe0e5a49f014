# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions about a body that its syntax answers, before it is lowered.

written_names(<{ a = 1; $b++ }>)                                    -> {"a", "$b"}
changed_names(<{ a = 1; foreach (k in s) {} }>)                     -> {"a", "k"}
contextual_functions({"f": [<return $count>], "g": [<f() + 1>]})    -> {"f", "g"}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from compiler.ir import syntax
from runtime.support.record import fields, is_record

# Functions whose value is a property of the probe.
PROBE_FUNCTIONS = frozenset({"pn", "pp", "ppfunc", "probefunc"})


def walk(node: object) -> Iterator[object]:
    """A syntax node and all nodes in it."""
    stack = [node]
    while stack:
        found = stack.pop()
        if isinstance(found, tuple):
            stack.extend(found)
        elif is_record(found) and type(found).__module__ == syntax.__name__:
            yield found
            stack.extend(getattr(found, field.name) for field in fields(found))


def written_names(body: syntax.Block) -> frozenset[str]:
    """Variables and arrays that a body assigns to; context variables with their `$`."""
    found = set()
    for node in walk(body):
        if not isinstance(node, syntax.Assign | syntax.Increment):
            continue
        match node.target:
            case syntax.Name(name=name):
                found.add(name)
            case syntax.TargetVar(name=name):
                found.add(f"${name}")
            case syntax.Index(array=syntax.Name(name=name)):
                found.add(name)
            case _:
                pass
    return frozenset(found)


def changed_names(body: syntax.Block | syntax.EmbeddedC) -> frozenset[str]:
    """Scalars that a body may give another value, by any statement."""
    found: set[str] = set()
    for node in walk(body):
        match node:
            case (
                syntax.Assign(target=syntax.Name(name=name))
                | syntax.Increment(target=syntax.Name(name=name))
                | syntax.Delete(target=syntax.Name(name=name))
                | syntax.TryCatch(variable=syntax.Name(name=name))
            ):
                found.add(name)
            case syntax.Foreach(keys=keys, value=value):
                found |= {key.name for key in (*keys, *([value] if value else []))}
            case _:
                pass
    return frozenset(found)


def contextual_functions(functions: Mapping[str, Sequence[syntax.Function]]) -> frozenset[str]:
    """Names of functions that use context variables, themselves or through what they call.

    Each runs as a clone of its own for every probe point, where `$name` means something.
    """
    found: set[str] = set()
    callers: dict[str, set[str]] = {}
    for name, overloads in functions.items():
        for f in overloads:
            if isinstance(f.body, syntax.EmbeddedC):
                continue
            for node in walk(f.body):
                match node:
                    case syntax.TargetVar():
                        found.add(name)
                    case syntax.Call(name=called):
                        callers.setdefault(called, set()).add(name)
                        if called in PROBE_FUNCTIONS and called not in functions:
                            found.add(name)
                    case _:
                        pass
    waiting = list(found)
    while waiting:
        more = callers.get(waiting.pop(), set()) - found
        found |= more
        waiting += more
    return frozenset(found)
