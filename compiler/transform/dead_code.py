# SPDX-License-Identifier: GPL-2.0-or-later
"""Removes what nobody sees: dead branches, locals that are never read, functions that are then never called,
globals that nothing touches any more, and hooks whose handler does nothing.

    probe syscall.openat { n++ }     the alias sets name, argstr and flags; here they cost nothing

Globals that are written stay, though no handler reads them: readers outside do.
"""

from __future__ import annotations

from compiler.analysis.storage_class import accesses
from compiler.ir import program as p
from compiler.ir.hooks import PairedEntry
from compiler.ir.traits import Node, body_of, children, has_effect, reachable, roots_of, walk
from compiler.transform.constant_fold import fold
from runtime.support.record import replace


def optimise(program: p.Program) -> p.Program:
    """The program without what has no effect."""
    program = fold(program)
    pure = frozenset(f.symbol for f in program.functions if f.pure)
    probes = tuple(replace(probe, body=_trim(probe.body, pure)) for probe in program.probes)
    functions = [
        replace(f, body=_trim(f.body, pure)) if f.body is not None else f for f in program.functions
    ]
    by_symbol = {f.symbol: f for f in functions}
    roots = [root for probe in probes for root in roots_of(probe)]
    used = reachable(roots, by_symbol)
    kept = [f for f in functions if f.symbol in used]
    touched = set()
    for node in (*roots, *(s for f in kept for s in body_of(f))):
        touched |= {name for name, _ in accesses(node)}
        touched |= {n.stat.name for n in walk(node) if isinstance(n, p.Buckets)}
    return replace(
        program,
        globals=tuple(g for g in program.globals if g.name in touched),
        probes=_busy(probes),
        functions=tuple(kept),
    )


def _busy(probes: tuple[p.Probe, ...]) -> tuple[p.Probe, ...]:
    """Probes that do something; a condition that can fail or has an effect counts. Never none."""
    kept = tuple(
        probe
        for probe in probes
        if probe.body.stmts
        or isinstance(probe.hook, PairedEntry)  # nothing is attached, but its hits count
        or _condition_acts(probe.condition)
    )
    return kept or probes


def _condition_acts(condition: p.Expr | None) -> bool:
    return condition is not None and has_effect(condition, frozenset())


def _trim(body: p.Body, pure: frozenset[str]) -> p.Body:
    """Takes dead assignments away until there are none; each may have kept another alive."""
    stmts = body.stmts
    while True:
        read = {name for s in stmts for name in _reads(s)}
        trimmed = _stmts(stmts, read, pure)
        if trimmed == stmts:
            break
        stmts = trimmed
    names = {n.local.name for n in walk(*stmts) if isinstance(n, p.LocalRef)}
    for n in walk(*stmts):
        match n:
            case p.Foreach(keys=keys, value=value):
                names |= {local.name for local in (*keys, *([value] if value else []))}
            case p.ForeachBucket(index=index, value=value):
                names |= {local.name for local in (index, *([value] if value else []))}
            case p.Try(variable=variable) if variable is not None:
                names.add(variable.name)
            case _:
                pass
    return p.Body(tuple(local for local in body.locals if local.name in names), stmts)


def _reads(node: Node) -> list[str]:
    """Locals whose values matter in a node. `x = ...` as a statement does not read x, nor does `x++`."""
    found: list[str] = []
    stack: list[Node] = [node]
    while stack:
        n = stack.pop()
        match n:
            case p.ExprStmt(value=p.Assign(target=p.LocalRef(), value=value)):
                stack.append(value)
            case p.ExprStmt(value=p.Increment(target=p.LocalRef())):
                pass
            case p.LocalRef(local=local):
                found.append(local.name)
            case _:
                stack.extend(children(n))
    return found


def _stmts(stmts: p.Stmts, read: set[str], pure: frozenset[str]) -> p.Stmts:
    return tuple(kept for s in stmts for kept in _stmt(s, read, pure))


def _stmt(s: p.Stmt, read: set[str], pure: frozenset[str]) -> p.Stmts:
    match s:
        case p.ExprStmt(value=p.Assign(target=p.LocalRef(local=local), value=value)):
            if local.name in read:
                return (s,)
            return (p.ExprStmt(value, s.span),) if has_effect(value, pure) else ()
        case p.ExprStmt(value=p.Increment(target=p.LocalRef(local=local))):
            return (s,) if local.name in read else ()
        case p.ExprStmt(value=value):
            return (s,) if has_effect(value, pure) or _may_fail_alone(value) else ()
        case p.If():
            then, otherwise = _stmts(s.then, read, pure), _stmts(s.otherwise, read, pure)
            if not then and not otherwise and not has_effect(s.test, pure):
                return ()
            return (replace(s, then=then, otherwise=otherwise),)
        case p.Loop() | p.Foreach() | p.ForeachBucket():
            return (replace(s, body=_stmts(s.body, read, pure)),)
        case p.Try():
            handler = _stmts(s.handler, read, pure)
            return (replace(s, body=_stmts(s.body, read, pure), handler=handler),)
        case _:
            return (s,)


def _may_fail_alone(value: p.Expr) -> bool:
    """A bare `1 / x;` is there for its error, if for anything."""
    return any(isinstance(n, p.Arithmetic) and n.op in ("/", "%") for n in walk(value))
