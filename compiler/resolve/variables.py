# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables: which local, global, element or array a name means; its use types it.

reads["a"]  -> GlobalRef("reads", (String("a"),)); its key is a string
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import LONG, STAT
from compiler.ir.source import Span
from compiler.resolve.contexts import FunctionContext, GlobalSymbol
from compiler.resolve.path_expressions import propagate
from compiler.resolve.type_environment import Symbol
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


def require_known(ctx: FunctionContext, name: str, symbol: Symbol, span: Span) -> None:
    """Report a variable without a type: nothing assigns to it. Its name is usually misspelled."""
    if symbol not in ctx.types.known and ctx.types.is_reporting and not ctx.unresolved:
        known = {n for _, n in ctx.program.globals} | set(ctx.locals) - {name}
        if name in ctx.program.functions:
            hint = f"it is a function, too: to call it, write {name}()"
        elif name in _FOREIGN_TYPES:
            hint = f"variables are not declared: leave '{name}' out"
        elif name in ctx.parameters:
            hint = f"give the parameter a type: {name}:long"
        else:
            hint = did_you_mean(name, known) or "assign to it"
        message = f"'{name}' is used, but nothing gives it a value or a type"
        ctx.types.report_untyped(symbol, message, span, hint)


def scalar(
    ctx: FunctionContext, found: GlobalSymbol, span: Span, expected: ValueType | None
) -> p.GlobalRef:
    """A global without keys."""
    ctx.types.learn_arity(found.symbol, 0, span)
    symbol = ("global", found.symbol)
    if expected is not None:
        ctx.types.learn(symbol, expected, span)
    require_known(ctx, found.declared.name, symbol, span)
    return p.GlobalRef(found.symbol, (), ctx.types.type_of(symbol), span)


def element(
    ctx: FunctionContext, e: syntax.Index, expected: ValueType | None
) -> p.GlobalRef | p.Number:
    """An array's element `a[k, ...]`; every key is a value."""
    found = array(ctx, e.array)
    if found is None:
        return ctx.error_expr(e.span)
    keys = lower_keys(ctx, found, e.keys, e.span)
    if any(k is None for k in keys):
        ctx.report("slice-value", "'*' stands only in foreach, delete and 'in'", e.span)
    symbol = ("global", found.symbol)
    if expected is not None:
        ctx.types.learn(symbol, expected, e.span)
    values = tuple(k for k in keys if k is not None)
    return p.GlobalRef(found.symbol, values, ctx.types.type_of(symbol), e.span)


def array(ctx: FunctionContext, name: syntax.Name) -> GlobalSymbol | None:
    """The global that is indexed here; reports an error if there is no such global."""
    found = ctx.program.find_global(name.name, ctx.file)
    if found is None:
        known = {n for _, n in ctx.program.globals}
        ctx.report_once(
            ("array", name.name),
            "unknown-array",
            f"'{name.name}' is not a global array",
            name.span,
            did_you_mean(name.name, known) or f"declare it: global {name.name}",
        )
    return found


def lower_keys(
    ctx: FunctionContext, found: GlobalSymbol, keys: tuple[syntax.Key, ...], span: Span
) -> tuple[p.Expr | None, ...]:
    """Keys of an element or slice; None for `*`. They type the array's keys, and name its labels."""
    ctx.types.learn_arity(found.symbol, len(keys), span)
    lowered: list[p.Expr | None] = []
    for i, key in enumerate(keys):
        if isinstance(key, syntax.Wildcard):
            lowered.append(None)
            continue
        symbol = ("key", found.symbol, i)
        known = ctx.types.known.get(symbol)
        value = ctx.expr(key, known[0] if known else None)
        if value.type is STAT:
            ctx.report("type-mismatch", "a statistic cannot be a key", key.span)
        elif value.type is None:
            ctx.require(value, LONG, key.span)
        else:
            ctx.types.learn(symbol, value.type, key.span)
            propagate(ctx, key, symbol)
        name = key_name(key)
        if name is not None:
            ctx.types.key_names.setdefault((found.symbol, i), name)
        lowered.append(value)
    return tuple(lowered)


def key_name(e: syntax.Expr) -> str | None:
    """A likely name of a value, for a label or column: execname() -> execname, $file->f_mode -> f_mode."""
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


def lvalue(ctx: FunctionContext, e: syntax.Expr, expected: ValueType | None) -> p.Lvalue | p.Number:
    """The target of an assignment; a Number stands for a target with an error."""
    match e:
        case syntax.Name():
            symbol, found = ctx.resolve(e.name)
            if found is not None:
                return scalar(ctx, found, e.span, expected)
            if expected is not None:
                ctx.types.learn(symbol, expected, e.span)
            return p.LocalRef(ctx.local(e.name), e.span)
        case syntax.Index():
            return element(ctx, e, expected)
        case _:
            ctx.report("not-assignable", "this cannot be assigned to", e.span)
    return ctx.error_expr(e.span)
