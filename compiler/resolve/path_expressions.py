# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions that are paths through memory: `$file->f_inode`, `@cast(p, "file")->f_mode`, `v->f_mode`.

lower_target(<$file->f_mode>)  -> Deref(Argument(0) + 68, 4)
pointee_type(<$file>)          -> the BTF id of struct file: what `f` points to after f = $file

A path that begins with a variable of the script starts with the pointer type that inference knows for
the variable. A variable that is assigned a path gets the pointer type of the path's end. So typing a
pointer and following a path need each other, and both are in this file.
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.kernel import btf_types
from compiler.kernel.btf_types import TypeId
from compiler.kernel.errors import KernelFactError
from compiler.probes.base import Answer
from compiler.resolve import pointer_types
from compiler.resolve.context_variables import context_variable, variable_by_name
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import (
    TargetError,
    TypedValue,
    btf_of,
    follow,
    load,
    require_type,
)
from compiler.resolve.type_environment import Symbol

Target = syntax.TargetVar | syntax.Access | syntax.Cast | syntax.AtVar


def lower_target(ctx: FunctionContext, e: Target) -> p.Expr:
    """The value of a context variable or of a path: a number, or for `$v$` and `$$vars` a string."""
    try:
        return _lower(ctx, e)
    except (TargetError, KernelFactError) as error:
        if ctx.program.environment.skip_badvars and not ctx.speculative:
            return p.Number(0, e.span)
        report(ctx, error, e.span)
    return ctx.error_expr(e.span)


def answer_of(ctx: FunctionContext, e: syntax.Expr) -> Answer | None:
    """The library functions that a context variable stands for, if it is text."""
    if isinstance(e, syntax.TargetVar) and ctx.site is not None and not ctx.in_function:
        return ctx.site.answers.get(e.name)
    return None


def report(ctx: FunctionContext, error: TargetError | KernelFactError, span: Span) -> None:
    """Report an error in a path; while speculating, only note it."""
    if ctx.speculative:
        ctx.lacks_context = True
    elif isinstance(error, KernelFactError):
        ctx.report("bad-context-variable", error.message, span, error.hint)
    elif error.slug == "unknown-context-variable":
        subject = (error.slug, error.message)
        ctx.report_once(subject, error.slug, error.message, error.span, error.hint)
    else:
        ctx.report(error.slug, error.message, error.span, error.hint)


def is_defined(ctx: FunctionContext, e: syntax.Expr) -> bool:
    """Whether `@defined(e)` holds: what a path names exists, or it is a literal; never for an operation."""
    try:
        match e:
            case syntax.Number() | syntax.String():
                pass
            case syntax.TargetVar() if answer_of(ctx, e) is not None:
                pass
            case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
                _lower(ctx, e)
            case syntax.AtCall(name="const" | "enum", args=(syntax.String(value=name),)):
                return bool(btf_of(ctx).constants(name))  # without a search for a similar name
            case _:
                return False
    except (TargetError, KernelFactError):
        return False
    return True


def _lower(ctx: FunctionContext, e: Target) -> p.Expr:
    match e:
        case syntax.TargetVar(name=name) if name.startswith("$"):
            from compiler.resolve import pretty_print  # few scripts need it

            return pretty_print.summary(ctx, name[1:], 0, e.span)
        case syntax.Access(base=syntax.TargetVar(name=name), path=(), pretty=pretty) if (
            pretty and name.startswith("$")
        ):
            from compiler.resolve import pretty_print

            return pretty_print.summary(ctx, name[1:], pretty, e.span)
        case syntax.Access():
            return _lower_access(ctx, e)
        case syntax.Cast():
            _cast_type(ctx, e)
            return ctx.typed(e.operand, p.LONG)
        case _:
            return load(ctx, typed_value(ctx, e), e.span)


def _lower_access(ctx: FunctionContext, e: syntax.Access) -> p.Expr:
    found = typed_value(ctx, e)
    if e.address:
        if not found.in_memory or found.bits is not None:
            raise TargetError("no-address", "this value has no address", e.span)
        return found.expr
    if e.pretty:
        from compiler.resolve import pretty_print  # few scripts need it

        return pretty_print.describe(ctx, found, e.pretty, e.span)
    return load(ctx, found, e.span)


def typed_value(ctx: FunctionContext, e: syntax.Expr) -> TypedValue:
    """The typed value at the end of a path. Raises TargetError and KernelFactError."""
    match e:
        case syntax.TargetVar():
            return context_variable(ctx, e.name, e.span)
        case syntax.Cast():
            operand = ctx.typed(e.operand, p.LONG)
            return TypedValue(operand, _cast_type(ctx, e), True, pointed=True)
        case syntax.AtVar():
            return variable_by_name(ctx, e)
        case syntax.Access():
            base = typed_value(ctx, e.base)
            if e.path:
                require_type(base, e.base.span)
            return follow(ctx, base, e.path)
        case _:
            return _typed_pointer(ctx, e)


def _typed_pointer(ctx: FunctionContext, e: syntax.Expr) -> TypedValue:
    """The value that an expression of the script points to, by the pointer type that inference knows."""
    value = ctx.typed(e, p.LONG)
    type_id = pointee_type(ctx, e)
    if type_id is None:
        raise TargetError(
            "no-type",
            "this is given pointers to different types"
            if pointer_types.is_contradictory(ctx, e)
            else "the type behind this pointer is not known",
            e.span,
            'name it: @cast(pointer, "task_struct")->member',
        )
    return TypedValue(value, type_id, True, pointed=True)


def _cast_type(ctx: FunctionContext, e: syntax.Cast) -> TypeId:
    from compiler.resolve.type_names import named_type  # few scripts need it

    return named_type(ctx.program.environment, e, ctx.site)


# ---------------------------------------------------------------- pointer types


def propagate(ctx: FunctionContext, value: syntax.Expr, symbol: Symbol | None) -> None:
    """Give a symbol the pointer type of the value that is assigned to it."""
    if symbol is not None:
        pointer_types.learn(ctx, symbol, pointee_type(ctx, value))


def pointee_type(ctx: FunctionContext, e: syntax.Expr) -> TypeId | None:
    """The type that an expression's value points to; None if it is not known to be a pointer."""
    match e:
        case syntax.Name() | syntax.Index():
            symbol = pointer_types.symbol_of(ctx, e)
            return ctx.types.pointer_targets.get(symbol) if symbol is not None else None
        case syntax.Call():
            # each overload has a result of its own; they count if they agree
            known = {
                ctx.types.pointer_targets.get(found.result)
                for found in ctx.program.called_by_name.get(e.name, ())
                if len(found.functions[0].parameters) == len(e.args)
            }
            return known.pop() if len(known) == 1 else None
        case syntax.Conditional():
            then, otherwise = pointee_type(ctx, e.then), pointee_type(ctx, e.otherwise)
            if then is not None and otherwise is not None:
                return then if pointer_types.same(btf_of(ctx), then, otherwise) else None
            return then if then is not None else otherwise
        case syntax.Assign(op="=", value=operand) | syntax.Entry(operand=operand):
            return pointee_type(ctx, operand)
        case syntax.AtCall(name="choose_defined", args=(first, second)):
            return pointee_type(ctx, first if is_defined(ctx, first) else second)
        case syntax.TargetVar() | syntax.Access() | syntax.Cast() | syntax.AtVar():
            return _target_pointee(ctx, e)
        case _:
            return None


def _target_pointee(ctx: FunctionContext, e: Target) -> TypeId | None:
    try:
        match e:
            case syntax.TargetVar(name=name) if name.startswith("$"):
                return None
            case syntax.Access(pretty=pretty) if pretty:
                return None
            case syntax.Access(address=True):
                found = typed_value(ctx, e)
                return found.type_id if found.in_memory else None
            case syntax.Cast():
                return _cast_type(ctx, e)
            case _:
                found = typed_value(ctx, e)
    except (TargetError, KernelFactError):
        return None
    match btf_of(ctx).resolve(found.type_id):
        case btf_types.Pointer(target=target):
            return target
        case btf_types.Array(element=element) if found.in_memory:
            return element
        case _:
            return None
