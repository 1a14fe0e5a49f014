# SPDX-License-Identifier: GPL-2.0-or-later
"""Entry/return pairing: the usual script for latencies, with the return instance in place of an array.

    probe kernel.function("f")        { start[tid()] = gettimeofday_ns() }
    probe kernel.function("f").return { if (tid() in start) { t <<< gettimeofday_ns() - start[tid()]
                                                             delete start[tid()] } }
      -> the return probe reads @entry(gettimeofday_ns()); `start` is gone

This is store-to-load forwarding through `@entry`. An array under a lock costs a hash, an insertion and a
deletion for each call; the instance that the kernel keeps for the return costs a store. The script counts
the same: the entry of a call leaves a value for the return of that call. If a function is called again in
the same thread before it returns, both calls keep their values; the array had room for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from compiler.analysis.effects import can_fail, has_effect
from compiler.ir import program as p
from compiler.ir.hooks import Ftrace, Kretprobe, PairedEntry
from compiler.ir.walk import Node, body_of, children, rewritten, roots_of, walk
from compiler.transform.dead_code import eliminate_dead_code
from runtime.support.record import record, replace


def pair(program: p.Program) -> p.Program:
    """The program without arrays that only carry a value from an entry to its return. The same object if
    there are none; else dead code is eliminated again."""
    paired = program
    for number, g in enumerate(program.globals):
        paired = _without_array(paired, g, number) or paired
    return program if paired is program else eliminate_dead_code(paired)


@record
class _Saved:
    """The assignment in the entry probe: its index among the statements, and the value it saves."""

    index: int
    value: p.Expr


def _without_array(program: p.Program, g: p.Global, number: int) -> p.Program | None:
    """The program with the array replaced by @entry; None if the array is used in any other way.
    `number` becomes the `pair` of an entry probe that loses its hook and of the return probe that counts
    its hits."""
    if len(g.keys) != 1 or g.type is not p.LONG or g.wrap:
        return None
    if any(_touches(s, g.name) for f in program.functions for s in body_of(f)):
        return None
    found = _entry_and_return(program, g.name)
    if found is None:
        return None
    entry, back = found
    first, second = program.probes[entry], program.probes[back]
    tid = frozenset(f.symbol for f in program.functions if f.library and f.name == "tid")
    saved = _saved(program, first, g.name, tid)
    if saved is None or not _consumes(second, g.name, tid):
        return None
    stmts = first.body.stmts
    rest = p.Body(first.body.locals, stmts[: saved.index] + stmts[saved.index + 1 :])
    probes = list(program.probes)
    probes[entry] = replace(first, body=rest)
    probes[back] = _returning(second, g.name, saved.value)
    if not rest.stmts:  # only the entry's hits remain to be counted, which needs no hook of its own
        if second.pair is not None:  # an entry handler counts one probe
            return None
        hook = PairedEntry(first.hook.symbol)
        probes[entry] = replace(probes[entry], hook=hook, pair=number)
        probes[back] = replace(probes[back], pair=number)
    kept = tuple(other for other in program.globals if other.name != g.name)
    return replace(program, probes=tuple(probes), globals=kept)


def _entry_and_return(program: p.Program, name: str) -> tuple[int, int] | None:
    """The indices of an entry and a return probe of one function, if they alone use a global."""
    users = [i for i, probe in enumerate(program.probes) if _uses(probe, name)]
    if len(users) != 2:
        return None
    entry, back = sorted(users, key=lambda i: isinstance(program.probes[i].hook, Kretprobe))
    first, second = program.probes[entry], program.probes[back]
    if not (isinstance(first.hook, Ftrace) and isinstance(second.hook, Kretprobe)):
        return None
    if first.hook.symbol != second.hook.symbol or first.optional or second.optional:
        return None
    return entry, back


def _uses(probe: p.Probe, name: str) -> bool:
    return any(_touches(root, name) for root in roots_of(probe))


def _touches(node: Node, name: str) -> bool:
    return any(_is_about(n, name) for n in walk(node))


def _is_about(n: Node, name: str) -> bool:
    return isinstance(n, p.GlobalRef | p.In | p.Delete | p.Foreach) and n.name == name


def _own_thread(keys: tuple[p.Expr | None, ...], tid: frozenset[str]) -> bool:
    return len(keys) == 1 and isinstance(keys[0], p.Call) and keys[0].function in tid


def _saved(program: p.Program, probe: p.Probe, name: str, tid: frozenset[str]) -> _Saved | None:
    """`name[tid()] = value`, if it runs at every hit and its value may be computed a little later."""
    if probe.condition is not None:
        return None
    pure = frozenset(f.symbol for f in program.functions if f.pure)
    fallible = frozenset(f.symbol for f in program.functions if f.fallible)
    found: _Saved | None = None
    for i, s in enumerate(probe.body.stmts):
        match s:
            case p.ExprStmt(
                value=p.Assign(op=None, target=p.GlobalRef() as target, value=value)
            ) if target.name == name:
                if found is not None or not _own_thread(target.keys, tid):
                    return None
                if has_effect(value, pure) or can_fail(value, fallible) or not _independent(value):
                    return None
                found = _Saved(i, value)
            case _:
                if _touches(s, name):
                    return None
                if found is None and (can_fail(s, fallible) or _leaves(s)):
                    return None
    return found


def _leaves(s: p.Stmt) -> bool:
    return any(isinstance(n, p.Next | p.Return) for n in walk(s))


def _independent(value: p.Expr) -> bool:
    """Whether a value depends on the call alone and not on variables of the script."""
    return not any(
        isinstance(n, p.LocalRef | p.GlobalRef | p.In | p.EmbeddedExpr) for n in walk(value)
    )


def _consumes(probe: p.Probe, name: str, tid: frozenset[str]) -> bool:
    """Whether a probe reads `name[tid()]` and then deletes it, uses it in no other way and in no loop."""
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
