# SPDX-License-Identifier: GPL-2.0-or-later
"""Warnings about unused code: what dead code elimination has removed from the user's own scripts.

global spare; probe begin { x = 1 }
  -> warning[unused-global]: the global 'spare' is never used
     warning[unused-local]: 'x' is set but never read
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.diagnostics import CompileError, Diagnostic
from compiler.ir.source import Span
from compiler.ir.walk import Node, children


def warnings(
    before: p.Program, after: p.Program, scripts: Sequence[syntax.Script]
) -> list[Diagnostic]:
    """A warning for each item, probe and local of `scripts` that was removed, in the order of the text."""
    files = {script.name for script in scripts}
    items = [item for script in scripts for item in script.items]
    found = [*_items(items, before, after), *_locals(before, after, files)]
    found += _probes(before, after, files)
    return sorted(dict.fromkeys(found), key=lambda d: (d.span.source.name, d.span.start))


def require_probes(after: p.Program, script: syntax.Script, found: Sequence[Diagnostic]) -> None:
    """Raises CompileError if no probe is left that does anything; its diagnostics include the warnings
    `found`, which say why."""
    points = [point for i in script.items if isinstance(i, syntax.Probe) for point in i.points]
    waits = any(point.components[0].name == "never" for point in points)
    if not (waits or any(probe.body.stmts for probe in after.probes)):
        message = "nothing is left to run: no probe does anything"
        hint = "give a probe a handler with an effect: probe begin { println(...) }"
        raise CompileError([*found, Diagnostic("no-probe", message, script.span, hint=hint)])


def _warning(slug: str, message: str, span: Span, hint: str | None = None) -> Diagnostic:
    return Diagnostic(slug, message, span, hint=hint, severity="warning")


def _items(
    items: Sequence[syntax.Item], before: p.Program, after: p.Program
) -> Iterator[Diagnostic]:
    globals_ = {g.span for g in after.globals}
    functions = {f.span for f in after.functions}
    for item in items:
        match item:
            case syntax.Global(name=name, span=span) if span not in globals_:
                yield _warning("unused-global", f"the global '{name}' is never used", span)
            case syntax.Function(name=name, span=span, name_span=where) if span not in functions:
                yield _warning("unused-function", f"the function '{name}' is never called", where)
            case _:
                pass


def _locals(before: p.Program, after: p.Program, files: set[str]) -> Iterator[Diagnostic]:
    kept = {probe.span: probe.body for probe in after.probes}
    bodies: list[tuple[p.Body, p.Body | None, tuple[p.Local, ...]]] = [
        (probe.body, kept.get(probe.span), ()) for probe in before.probes
    ]
    functions = {f.symbol: f.body for f in after.functions}
    bodies += [
        (f.body, functions.get(f.symbol), f.parameters)
        for f in before.functions
        if f.body is not None and f.symbol in functions
    ]
    for body, trimmed, parameters in bodies:
        set_at, read_at = _uses(body.stmts)
        left = {local.name for local in trimmed.locals} if trimmed is not None else set()
        for name, span in set_at.items():
            if name not in left and name not in read_at and span.source.name in files:
                yield _warning("unused-local", f"'{name}' is set but never read", span)
        given = {local.name for local in parameters}
        for name, span in read_at.items():
            if name not in set_at and name not in given and span.source.name in files:
                hint = 'it is always 0 or ""; was a global meant, or another name?'
                yield _warning("never-assigned", f"'{name}' is read but never set", span, hint)


def _uses(stmts: Sequence[Node]) -> tuple[dict[str, Span], dict[str, Span]]:
    """The spans where locals are first set, and first read. Loops and `catch` set their variables."""
    set_at: dict[str, Span] = {}
    read_at: dict[str, Span] = {}
    stack = list(reversed(stmts))
    while stack:
        n = stack.pop()
        inside = children(n)
        match n:
            case p.Assign(target=p.LocalRef(local=local, span=span), value=value):
                set_at.setdefault(local.name, span)
                inside = [value]
            case p.ExprStmt(value=p.Increment(target=p.LocalRef(local=local, span=span))):
                set_at.setdefault(local.name, span)
                inside = []
            case p.Increment(target=p.LocalRef(local=local, span=span)):
                set_at.setdefault(local.name, span)
            case p.LocalRef(local=local, span=span):
                read_at.setdefault(local.name, span)
            case p.Foreach() | p.ForeachBucket() | p.Try():
                for local in _own_variables(n):
                    set_at.setdefault(local.name, n.span)
                    read_at.setdefault(local.name, n.span)
            case _:
                pass
        stack.extend(reversed(inside))
    return set_at, read_at


def _own_variables(s: p.Foreach | p.ForeachBucket | p.Try) -> list[p.Local]:
    found: list[p.Local | None]
    match s:
        case p.Foreach(keys=keys, value=value):
            found = [*keys, value]
        case p.ForeachBucket(index=index, value=value):
            found = [index, value]
        case p.Try(variable=variable):
            found = [variable]
    return [local for local in found if local is not None]


def _probes(before: p.Program, after: p.Program, files: set[str]) -> Iterator[Diagnostic]:
    kept = {probe.span for probe in after.probes if probe.body.stmts}
    for probe in before.probes:
        if probe.span not in kept and probe.span.source.name in files:
            message = f"probe {probe.written} does nothing"
            yield _warning("empty-probe", message, probe.span)
