# SPDX-License-Identifier: GPL-2.0-or-later
"""Dead code elimination: branches never taken, locals never read, functions that are then never called,
globals that no code uses any more, and probes whose handler does nothing.

    probe syscall.openat { n++ }     the alias sets name, argstr and flags; their assignments are removed

A global that is only written stays, since it is read from outside: it is a metric.
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.analysis.effects import has_effect
from compiler.analysis.storage_class import accesses
from compiler.ir import program as p
from compiler.ir.hooks import PairedEntry
from compiler.ir.walk import Node, body_of, children, reachable, roots_of, walk
from compiler.transform.constant_fold import fold
from runtime.support.record import replace


def eliminate_dead_code(program: p.Program) -> p.Program:
    """The program with its constants folded, and without code that has no effect."""
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
    touched = _globals_of([*roots, *(s for f in kept for s in body_of(f))])
    return replace(
        program,
        globals=tuple(g for g in program.globals if g.name in touched),
        probes=_useful(probes),
        functions=tuple(kept),
    )


def _globals_of(nodes: Sequence[Node]) -> set[str]:
    touched = {name for node in nodes for name, _ in accesses(node)}
    return touched | {n.stat.name for n in walk(*nodes) if isinstance(n, p.Buckets)}


def _useful(probes: tuple[p.Probe, ...]) -> tuple[p.Probe, ...]:
    """Probes with a body, or a condition that has an effect. If no probe has one, all probes are kept."""
    kept = tuple(
        probe
        for probe in probes
        if probe.body.stmts
        or isinstance(probe.hook, PairedEntry)  # it has no handler, only a count of hits
        or _condition_has_effect(probe.condition)
    )
    return kept or probes


def _condition_has_effect(condition: p.Expr | None) -> bool:
    return condition is not None and has_effect(condition, frozenset())


def _trim(body: p.Body, pure: frozenset[str]) -> p.Body:
    """Removes dead assignments until there are none; each may have kept another one alive."""
    stmts = body.stmts
    while True:
        read = {name for s in stmts for name in _reads(s)}
        trimmed = _stmts(stmts, read, pure)
        if trimmed == stmts:
            break
        stmts = trimmed
    names = _locals_of(stmts)
    return p.Body(tuple(local for local in body.locals if local.name in names), stmts)


def _locals_of(stmts: p.Stmts) -> set[str]:
    """The names of the locals that statements read or set."""
    names: set[str] = set()
    for n in walk(*stmts):
        match n:
            case p.LocalRef(local=local):
                names.add(local.name)
            case p.Foreach(keys=keys, value=value):
                names |= {local.name for local in (*keys, *([value] if value else []))}
            case p.ForeachBucket(index=index, value=value):
                names |= {local.name for local in (index, *([value] if value else []))}
            case p.Try(variable=variable) if variable is not None:
                names.add(variable.name)
            case _:
                pass
    return names


def _reads(node: Node) -> list[str]:
    """Locals whose values a node uses. The statements `x = ...` and `x++` do not use the value of x."""
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
            return (s,) if _is_needed(value, pure) else ()
        case p.If():
            then, otherwise = _stmts(s.then, read, pure), _stmts(s.otherwise, read, pure)
            if not then and not otherwise:
                return _stmt(p.ExprStmt(s.test, s.span), read, pure)
            return (replace(s, then=then, otherwise=otherwise),)
        case p.Loop() | p.Foreach() | p.ForeachBucket():
            return (replace(s, body=_stmts(s.body, read, pure)),)
        case p.Try():
            handler = _stmts(s.handler, read, pure)
            return (replace(s, body=_stmts(s.body, read, pure), handler=handler),)
        case _:
            return (s,)


def _is_needed(value: p.Expr, pure: frozenset[str]) -> bool:
    """Whether a value that nobody uses is computed all the same. A bare `1 / x;` can only be meant to raise
    the error; reads of memory may fail too, and are left out.
    """
    return has_effect(value, pure) or any(map(_may_raise, walk(value)))


def _may_raise(node: Node) -> bool:
    match node:
        case p.Arithmetic(op="/" | "%") | p.Bucket():
            return True
        case p.Extract(extractor="min" | "max" | "avg" | "variance"):
            return True
        case _:
            return False
