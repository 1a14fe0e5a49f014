# SPDX-License-Identifier: GPL-2.0-or-later
"""The old idiom for latency, by the return instance instead of an array.

    probe kernel.function("f")        { start[tid()] = gettimeofday_ns() }
    probe kernel.function("f").return { if (tid() in start) { t <<< gettimeofday_ns() - start[tid()]
                                                             delete start[tid()] } }
      -> the return probe keeps @entry(gettimeofday_ns()); `start` is gone

An array under a lock costs a hash, an insertion and a deletion for each call; the instance that the
kernel keeps for the return costs a store. What the script counts is the same: a value that one call's
entry leaves for the same call's return. A call that is under way twice in one thread keeps both values,
where the array had room for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compiler.ir import program as p
from compiler.ir.hooks import Ftrace, Kretprobe, PairedEntry
from compiler.ir.traits import (
    Node,
    body_of,
    can_fail,
    children,
    has_effect,
    rewritten,
    roots_of,
    walk,
)
from compiler.transform.dead_code import optimise
from runtime.support.record import record, replace


def pair(program: p.Program) -> p.Program:
    """The program without the arrays that only carry a value from an entry to its return, optimised again."""
    paired = program
    for g in program.globals:
        paired = _pair(paired, g) or paired
    return program if paired is program else optimise(paired)


@record
class _Entry:
    """The assignment in the entry probe: its place among the statements, and what is kept."""

    index: int
    value: p.Expr


def _pair(program: p.Program, g: p.Global) -> p.Program | None:
    if len(g.keys) != 1 or g.type is not p.LONG or g.wrap:
        return None
    if any(_touches(s, g.name) for f in program.functions for s in body_of(f)):
        return None
    users = [i for i, probe in enumerate(program.probes) if _uses(probe, g.name)]
    if len(users) != 2:
        return None
    entry, back = sorted(users, key=lambda i: isinstance(program.probes[i].hook, Kretprobe))
    first, second = program.probes[entry], program.probes[back]
    if not (isinstance(first.hook, Ftrace) and isinstance(second.hook, Kretprobe)):
        return None
    if first.hook.symbol != second.hook.symbol or first.optional or second.optional:
        return None
    tid = frozenset(f.symbol for f in program.functions if f.library and f.name == "tid")
    saved = _saved(program, first, g.name, tid)
    if saved is None or not _consumes(second, g.name, tid):
        return None
    stmts = first.body.stmts
    rest = p.Body(first.body.locals, stmts[: saved.index] + stmts[saved.index + 1 :])
    probes = list(program.probes)
    probes[entry] = replace(first, body=rest)
    probes[back] = _returning(second, g.name, saved.value)
    if not rest.stmts:  # nothing is left to do but to count: no hook is needed for that
        probes[entry] = replace(first, body=rest, hook=PairedEntry(first.hook.symbol))
        probes[back] = replace(probes[back], counts_entry=True)
    kept = tuple(other for other in program.globals if other.name != g.name)
    return replace(program, probes=tuple(probes), globals=kept)


def _uses(probe: p.Probe, name: str) -> bool:
    return any(_touches(root, name) for root in roots_of(probe))


def _touches(node: Node, name: str) -> bool:
    return any(_is_about(n, name) for n in walk(node))


def _is_about(n: Node, name: str) -> bool:
    return isinstance(n, p.GlobalRef | p.In | p.Delete | p.Foreach) and n.name == name


def _own_thread(keys: tuple[p.Expr | None, ...], tid: frozenset[str]) -> bool:
    return len(keys) == 1 and isinstance(keys[0], p.Call) and keys[0].function in tid


def _saved(program: p.Program, probe: p.Probe, name: str, tid: frozenset[str]) -> _Entry | None:
    """`name[tid()] = value`, reached at every hit, with a value that can as well be had a little later."""
    if probe.condition is not None:
        return None
    pure = frozenset(f.symbol for f in program.functions if f.pure)
    fallible = frozenset(f.symbol for f in program.functions if f.fallible)
    found: _Entry | None = None
    for i, s in enumerate(probe.body.stmts):
        match s:
            case p.ExprStmt(
                value=p.Assign(op=None, target=p.GlobalRef() as target, value=value)
            ) if target.name == name:
                if found is not None or not _own_thread(target.keys, tid):
                    return None
                if has_effect(value, pure) or can_fail(value, fallible) or not _independent(value):
                    return None
                found = _Entry(i, value)
            case _:
                if _touches(s, name):
                    return None
                if found is None and (can_fail(s, fallible) or _leaves(s)):
                    return None
    return found


def _leaves(s: p.Stmt) -> bool:
    return any(isinstance(n, p.Next | p.Return) for n in walk(s))


def _independent(value: p.Expr) -> bool:
    """It depends on the call alone, not on variables of the script."""
    return not any(
        isinstance(n, p.LocalRef | p.GlobalRef | p.In | p.EmbeddedExpr) for n in walk(value)
    )


def _consumes(probe: p.Probe, name: str, tid: frozenset[str]) -> bool:
    """Reads of `name[tid()]`, then at the end its deletion, and nothing of it in a loop."""
    if probe.condition is not None and _touches(probe.condition, name):
        return False
    deleted = False
    for n, looped in _in_order(probe.body.stmts, False):
        match n:
            case (
                p.Assign(target=p.GlobalRef(name=other))
                | p.Increment(target=p.GlobalRef(name=other))
            ) if other == name:
                return False
            case p.GlobalRef(name=other, keys=keys) | p.In(name=other, keys=keys) if other == name:
                if deleted or looped or not _own_thread(keys, tid):
                    return False
            case p.Delete(name=other, keys=keys) if other == name:
                if deleted or looped or not _own_thread(keys, tid):
                    return False
                deleted = True
            case p.Foreach(name=other) if other == name:
                return False
            case _:
                pass
    return deleted


def _in_order(nodes: Iterable[Node], looped: bool) -> Iterator[tuple[Node, bool]]:
    for node in nodes:
        yield node, looped
        inner = looped or isinstance(node, p.Loop | p.Foreach | p.ForeachBucket)
        yield from _in_order(children(node), inner)


def _returning(probe: p.Probe, name: str, value: p.Expr) -> p.Probe:
    index = len(probe.entry)

    def with_instance(n: Node) -> Node | None:
        match n:
            case p.GlobalRef(name=other, span=span) if other == name:
                return p.EntryValue(index, p.LONG, span)
            case p.In(name=other, span=span) if other == name:
                return p.Number(1, span)
            case p.Delete(name=other) if other == name:
                return None
            case _:
                return n

    stmts = rewritten(probe.body.stmts, with_instance)
    return replace(probe, entry=(*probe.entry, value), body=p.Body(probe.body.locals, stmts))
