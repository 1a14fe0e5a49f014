# SPDX-License-Identifier: GPL-2.0-or-later
"""Names: which local, global, element or array is meant, and what its use tells of its type.

reads["a"]  -> GlobalRef("reads", (String("a"),)); its key is a string
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT
from compiler.ir.source import Span
from compiler.resolve import pointer_types
from compiler.resolve.scope import GlobalSymbol, Scope
from compiler.resolve.type_facts import Symbol
from compiler.support.did_you_mean import did_you_mean
from runtime.abi.manifest import ValueType

_FOREIGN_TYPES = (
    "int",
    "char",
    "unsigned",
    "double",
    "float",
    "bool",
    "auto",
    "var",
    "let",
    "local",
)


def require_known(scope: Scope, name: str, fact: Symbol, span: Span) -> None:
    """A variable that nothing gives a type holds nothing: mostly it is another one's name misspelt."""
    if scope.facts.final and fact not in scope.facts.types and not scope.unplaced:
        known = {n for _, n in scope.world.globals} | set(scope.locals) - {name}
        if name in scope.world.functions:
            hint = f"it is a function, too: to call it, write {name}()"
        elif name in _FOREIGN_TYPES:
            hint = f"variables are not declared: leave '{name}' out"
        elif name in scope.parameters:
            hint = f"give the parameter a type: {name}:long"
        else:
            hint = did_you_mean(name, known) or "assign to it"
        message = f"'{name}' is used, but nothing gives it a value or a type"
        scope.facts.suspect(fact, message, span, hint)


def scalar(scope: Scope, found: GlobalSymbol, span: Span, want: ValueType | None) -> p.GlobalRef:
    scope.facts.learn_arity(found.symbol, 0, span)
    fact = ("global", found.symbol)
    if want is not None:
        scope.facts.learn(fact, want, span)
    require_known(scope, found.declared.name, fact, span)
    return p.GlobalRef(found.symbol, (), scope.facts.type_of(fact), span)


def element(scope: Scope, e: syntax.Index, want: ValueType | None) -> p.GlobalRef | p.Number:
    """`a[k, ...]`, every key a value."""
    found = array(scope, e.array)
    if found is None:
        return scope.unsettled(e.span)
    keys = lower_keys(scope, found, e.keys, e.span)
    if any(k is None for k in keys):
        scope.facts.fault("slice-value", "'*' stands only in foreach, delete and 'in'", e.span)
    fact = ("global", found.symbol)
    if want is not None:
        scope.facts.learn(fact, want, e.span)
    values = tuple(k for k in keys if k is not None)
    return p.GlobalRef(found.symbol, values, scope.facts.type_of(fact), e.span)


def array(scope: Scope, name: syntax.Name) -> GlobalSymbol | None:
    """The global that is indexed here; reported if there is none of that name."""
    found = scope.world.find_global(name.name, scope.file)
    if found is None:
        known = {n for _, n in scope.world.globals}
        scope.facts.missing(
            "no array",
            name.name,
            "unknown-array",
            f"'{name.name}' is not a global array",
            name.span,
            did_you_mean(name.name, known) or f"declare it: global {name.name}",
        )
    return found


def lower_keys(
    scope: Scope, found: GlobalSymbol, keys: tuple[syntax.Key, ...], span: Span
) -> tuple[p.Expr | None, ...]:
    """Keys of an element or slice; None for `*`. Learns their number, types and likely names."""
    scope.facts.learn_arity(found.symbol, len(keys), span)
    lowered: list[p.Expr | None] = []
    for i, key in enumerate(keys):
        if isinstance(key, syntax.Wildcard):
            lowered.append(None)
            continue
        fact = ("key", found.symbol, i)
        known = scope.facts.types.get(fact)
        value = scope.expr(key, known[0] if known else None)
        if value.type is STAT:
            scope.facts.fault("type-mismatch", "a statistic cannot be a key", key.span)
        elif value.type is None:
            scope.require(value, LONG, key.span)
        else:
            scope.facts.learn(fact, value.type, key.span)
            pointer_types.flow(scope, key, fact)
        name = key_name(key)
        if name is not None:
            scope.facts.key_names.setdefault((found.symbol, i), name)
        lowered.append(value)
    return tuple(lowered)


def key_name(e: syntax.Expr) -> str | None:
    """What a reader would call this value: execname() -> execname, $file->f_mode -> f_mode."""
    match e:
        case syntax.Name(name=name) | syntax.TargetVar(name=name):
            return name.strip("$@") or None
        case syntax.Call(name=name, args=()):
            return name
        case syntax.Call(args=(only,)):
            return key_name(only)
        case syntax.Access(path=path) if path and isinstance(path[-1], syntax.Field):
            return path[-1].name
        case syntax.Access(base=base):
            return key_name(base)
        case syntax.Entry(operand=operand):
            return key_name(operand)
        case _:
            return None


def lvalue(scope: Scope, e: syntax.Expr, want: ValueType | None) -> p.Lvalue | p.Number:
    """What can be assigned to; a Number stands in for what was reported."""
    match e:
        case syntax.Name():
            fact, found = scope.variable(e.name)
            if found is not None:
                return scalar(scope, found, e.span, want)
            if want is not None:
                scope.facts.learn(fact, want, e.span)
            scope.assigned.add(e.name)
            return p.LocalRef(scope.local(e.name), e.span)
        case syntax.Index():
            return element(scope, e, want)
        case _:
            scope.facts.fault("not-assignable", "this cannot be assigned to", e.span)
    return scope.unsettled(e.span)
