# SPDX-License-Identifier: GPL-2.0-or-later
"""Storage classes: where each global lives, decided by what is done with it.

n++ in handlers, read by nobody, or in begin, end and timers  -> PERCPU: no lock, no shared line
written in begin only                                         -> CONSTANT: no lock
everything else (read, assigned or deleted in handlers)       -> SHARED: one value under a lock
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum, auto

from compiler.ir import program as p
from compiler.ir.hooks import Begin, Ftrace, Hook
from compiler.ir.traits import Node, body_of, children, reachable, roots_of, walk
from runtime.abi.manifest import Storage
from runtime.support.record import record


class Access(Enum):
    ADD = auto()  # ++, +=, <<<
    SUBTRACT = auto()  # --, -=
    READ = auto()
    WRITE = auto()
    DELETE = auto()


@record
class Use:
    """What one probe, or a function it calls, does with a global."""

    name: str
    access: Access
    hook: type[Hook]


def uses(program: p.Program) -> list[Use]:
    """Every use of every global by every probe."""
    functions = {f.symbol: f for f in program.functions}
    found = []
    for probe in program.probes:
        hook = type(probe.hook)
        roots = roots_of(probe)
        if probe.condition is not None:
            # whoever changes a condition looks at it, at each hit
            refs = (n for n in walk(probe.condition) if isinstance(n, p.GlobalRef))
            found += [Use(ref.name, Access.READ, Ftrace) for ref in refs]
        stmts = [*roots, *(s for f in reachable(roots, functions) for s in body_of(functions[f]))]
        found += [Use(name, access, hook) for s in stmts for name, access in accesses(s)]
    return found


def accesses(node: Node, unused: bool = False) -> Iterator[tuple[str, Access]]:
    """Globals that a node touches; `unused`: nobody looks at the node's value."""
    match node:
        case p.ExprStmt(value=value):
            yield from accesses(value, unused=True)
        case p.Accumulate(target=target, value=value):
            yield target.name, Access.ADD
            yield from _all((*target.keys, value))
        case p.Increment(target=p.GlobalRef() as target, step=step):
            if not unused:
                yield target.name, Access.READ
                yield target.name, Access.WRITE
            yield target.name, Access.ADD if step > 0 else Access.SUBTRACT
            yield from _all(target.keys)
        case p.Assign(target=p.GlobalRef() as target, op=op, value=value):
            if op in ("+", "-") and unused:
                grows = op == "+" and _never_negative(value)
                yield target.name, Access.ADD if grows else Access.SUBTRACT
            else:
                yield target.name, Access.WRITE
                if op is not None or not unused:
                    yield target.name, Access.READ
            yield from _all((*target.keys, value))
        case p.GlobalRef(name=name, keys=keys):
            yield name, Access.READ
            yield from _all(keys)
        case p.In(name=name, keys=keys):
            yield name, Access.READ
            yield from _all(k for k in keys if k is not None)
        case p.Delete(name=name, keys=keys):
            yield name, Access.DELETE
            yield from _all(k for k in keys if k is not None)
        case p.Foreach(name=name):
            yield name, Access.READ
            yield from _all(children(node))
        case p.EmbeddedExpr(reads=reads, writes=writes):  # C has one value to look at
            for _, name in (*reads, *writes):
                yield name, Access.READ
                yield name, Access.WRITE
        case p.Loop(test=test, step=step_expr, body=body):
            yield from accesses(test)
            if step_expr is not None:
                yield from accesses(step_expr, unused=True)
            yield from _all(body)
        case _:
            yield from _all(children(node))


def _all(nodes: Sequence[Node] | Iterator[Node]) -> Iterator[tuple[str, Access]]:
    for node in nodes:
        yield from accesses(node)


def _never_negative(value: p.Expr) -> bool:
    """`x += value` keeps x a counter if it can only grow; unknown values are trusted to."""
    return not (isinstance(value, p.Number) and value.value < 0) and not isinstance(value, p.Unary)


@record
class Placement:
    storage: Storage
    monotonic: bool
    scratch: bool = False


def place(program: p.Program) -> dict[str, Placement]:
    """The storage class of every global."""
    by_name: dict[str, list[Use]] = {g.name: [] for g in program.globals}
    for use in uses(program):
        by_name[use.name].append(use)
    return {g.name: _place(g, by_name[g.name]) for g in program.globals}


def _place(g: p.Global, found: Sequence[Use]) -> Placement:
    accesses_ = {use.access for use in found}
    own = g.name.startswith("__")  # a script's or the library's private business by its name
    changes = [use for use in found if use.access is not Access.READ]
    monotonic = accesses_ <= {Access.ADD, Access.READ} and bool(changes)
    early = all(use.hook is Begin for use in changes)
    if early and g.type is not p.STAT:
        return Placement(Storage.CONSTANT, monotonic, own)
    read_hot = any(use.access is Access.READ and not use.hook.is_cold for use in found)
    if g.type is p.STRING or g.wrap or read_hot or accesses_ & {Access.WRITE, Access.DELETE}:
        deleted = bool(g.keys) and any(
            use.access is Access.DELETE and not use.hook.is_cold for use in found
        )
        return Placement(Storage.SHARED, monotonic, own or deleted)
    return Placement(Storage.PERCPU, monotonic, own)


@record
class Asked:
    """What handlers ask of a statistic: extractors, sort orders included; the bit shift of its
    variance; the histogram they look at."""

    extractors: frozenset[str] = frozenset()
    shift: int = 0
    histogram: p.Buckets | None = None


def asked(program: p.Program) -> dict[str, Asked]:
    """By statistic; one that handlers ask nothing of is left out."""
    bodies = [s for probe in program.probes for s in probe.body.stmts]
    bodies += [s for f in program.functions for s in body_of(f)]
    found: dict[str, Asked] = {}
    for node in walk(*bodies):
        match node:
            case p.Extract(extractor=extractor, stat=stat, shift=shift):
                old = found.get(stat.name, Asked())
                shift = max(old.shift, shift if extractor == "variance" else 0)
                found[stat.name] = Asked(old.extractors | {extractor}, shift, old.histogram)
            case p.Foreach(sort=p.Sort(extractor=str(extractor)), name=name):
                old = found.get(name, Asked())
                found[name] = Asked(old.extractors | {extractor}, old.shift, old.histogram)
            case p.Buckets(stat=stat):
                old = found.get(stat.name, Asked())
                found[stat.name] = Asked(old.extractors, old.shift, old.histogram or node)
            case _:
                pass
    return found
