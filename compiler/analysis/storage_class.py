# SPDX-License-Identifier: GPL-2.0-or-later
"""Storage classes: where each global lives, by what probes do with it.

n++ in handlers, read only in begin, end and timers      -> PERCPU: no lock, no shared cache line
written in begin only                                    -> CONSTANT: no lock
everything else (read, assigned or deleted in handlers)  -> SHARED: one value under a lock
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from enum import Enum, auto

from compiler.ir import program as p
from compiler.ir.hooks import Begin, Ftrace, Hook
from compiler.ir.walk import Node, body_of, children, roots_of, walk, with_callees
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
    """One access to a global by a probe of some kind, or by a function that the probe calls."""

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
            # a handler that may change a condition evaluates it, at each of its hits
            refs = (n for n in walk(probe.condition) if isinstance(n, p.GlobalRef))
            found += [Use(ref.name, Access.READ, Ftrace) for ref in refs]
        nodes = with_callees(roots, functions)
        found += [Use(name, access, hook) for node in nodes for name, access in accesses(node)]
    return found


def accesses(node: Node, unused: bool = False) -> Iterator[tuple[str, Access]]:
    """The globals that a node uses, and how. `unused`: the node's value is dropped."""
    match node:
        case p.ExprStmt(value=value):
            yield from accesses(value, unused=True)
        case p.Accumulate(target=target, value=value):
            yield target.name, Access.ADD
            yield from _all((*target.keys, value))
        case p.Increment(target=p.GlobalRef() as target, step=step):
            yield from _incremented(target, step, unused)
        case p.Assign(target=p.GlobalRef() as target):
            yield from _assigned(node, target, unused)
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
        case p.EmbeddedExpr(reads=reads, writes=writes):  # C reads and writes whole values
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


def _incremented(target: p.GlobalRef, step: int, unused: bool) -> Iterator[tuple[str, Access]]:
    if not unused:
        yield target.name, Access.READ
        yield target.name, Access.WRITE
    yield target.name, Access.ADD if step > 0 else Access.SUBTRACT
    yield from _all(target.keys)


def _assigned(e: p.Assign, target: p.GlobalRef, unused: bool) -> Iterator[tuple[str, Access]]:
    if e.op in ("+", "-") and unused:
        grows = e.op == "+" and _never_negative(e.value)
        yield target.name, Access.ADD if grows else Access.SUBTRACT
    else:
        yield target.name, Access.WRITE
        if e.op is not None or not unused:
            yield target.name, Access.READ
    yield from _all((*target.keys, e.value))


def _all(nodes: Sequence[Node] | Iterator[Node]) -> Iterator[tuple[str, Access]]:
    for node in nodes:
        yield from accesses(node)


def _never_negative(value: p.Expr) -> bool:
    """Whether `x += value` leaves x a counter, which only grows. A value that is not known here is taken
    to be positive."""
    return not (isinstance(value, p.Number) and value.value < 0) and not isinstance(value, p.Unary)


@record
class StorageClass:
    storage: Storage
    monotonic: bool  # it only grows: a counter
    scratch: bool = False  # working memory, which is not a metric
    unread: bool = False  # no handler reads it or deletes from it


def classify(program: p.Program, evicting: Container[str] = frozenset()) -> dict[str, StorageClass]:
    """The storage class of every global, by its name. `evicting`: arrays whose elements give way to new
    ones, beside those that are declared with `%`."""
    by_name: dict[str, list[Use]] = {g.name: [] for g in program.globals}
    for use in uses(program):
        by_name[use.name].append(use)
    return {g.name: _classify(g, by_name[g.name], g.name in evicting) for g in program.globals}


def _classify(g: p.Global, found: Sequence[Use], evicting: bool) -> StorageClass:
    accesses_ = {use.access for use in found}
    own = g.name.startswith("__")  # private to a script or the library, by convention
    changes = [use for use in found if use.access is not Access.READ]
    monotonic = accesses_ <= {Access.ADD, Access.READ} and bool(changes)
    early = all(use.hook is Begin for use in changes)
    unread = not accesses_ & {Access.READ, Access.DELETE}
    if early and g.type is not p.STAT:
        return StorageClass(Storage.CONSTANT, monotonic, own, unread)
    read_hot = any(use.access is Access.READ and not use.hook.is_cold for use in found)
    if (
        g.type is p.STRING
        or g.wrap
        or evicting
        or read_hot
        or accesses_ & {Access.WRITE, Access.DELETE}
    ):
        deleted = bool(g.keys) and any(
            use.access is Access.DELETE and not use.hook.is_cold for use in found
        )
        return StorageClass(Storage.SHARED, monotonic, own or deleted, unread)
    return StorageClass(Storage.PERCPU, monotonic, own, unread)


@record
class StatisticUse:
    """The parts of a statistic that handlers read: the extractors, including those that loops sort by; the
    bit shift of its variance; the histogram."""

    extractors: frozenset[str] = frozenset()
    shift: int = 0
    histogram: p.Buckets | None = None


def statistic_uses(program: p.Program) -> dict[str, StatisticUse]:
    """By the statistic's name; statistics that no handler reads are left out."""
    bodies = [s for probe in program.probes for s in probe.body.stmts]
    bodies += [s for f in program.functions for s in body_of(f)]
    found: dict[str, StatisticUse] = {}
    for node in walk(*bodies):
        match node:
            case p.Extract(extractor=extractor, stat=stat, shift=shift):
                old = found.get(stat.name, StatisticUse())
                shift = max(old.shift, shift if extractor == "variance" else 0)
                found[stat.name] = StatisticUse(old.extractors | {extractor}, shift, old.histogram)
            case p.Foreach(sort=p.Sort(extractor=str(extractor)), name=name):
                old = found.get(name, StatisticUse())
                found[name] = StatisticUse(old.extractors | {extractor}, old.shift, old.histogram)
            case p.Buckets(stat=stat):
                old = found.get(stat.name, StatisticUse())
                found[stat.name] = StatisticUse(old.extractors, old.shift, old.histogram or node)
            case _:
                pass
    return found
