# SPDX-License-Identifier: GPL-2.0-or-later
"""`@enumname`: the name that a number has in an enumeration of the kernel's types.

@enumname($type)                          ->  a call of a function that is made for the enumeration:
@enumname(type, "enum pid_type")              if (value == 0) return "PIDTYPE_PID" ... return sprint(value)
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.program import STRING
from compiler.ir.source import Span
from compiler.kernel import btf_types
from compiler.kernel.btf_types import TypeId
from compiler.kernel.c_types import type_name
from compiler.kernel.errors import KernelFactError
from compiler.resolve import path_expressions
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import TargetError, btf_of

_HINT = 'name it: @enumname(value, "enum name")'


def lower(ctx: FunctionContext, e: syntax.AtCall) -> p.Expr:
    """The name as text; a number without a name is itself, in decimal."""
    value = e.args[0]
    try:
        type_id = _type(ctx, e)
    except (TargetError, KernelFactError) as error:
        path_expressions.report(ctx, error, e.span)
        return ctx.error_expr(e.span)
    found = btf_of(ctx).resolve(type_id)
    if not isinstance(found, btf_types.Enum):
        message = f"'{type_name(btf_of(ctx), type_id)}' is no enumeration"
        ctx.report("unknown-type", message, e.span, _HINT)
        return ctx.error_expr(e.span)
    name = f"enumname.{found.id}"  # no script can call it so
    ctx.program.functions.setdefault(name, [_function(name, found, e.span)])
    return ctx.expr(syntax.Call(name, (value,), e.span, e.span), STRING)


def _type(ctx: FunctionContext, e: syntax.AtCall) -> TypeId:
    """The type that is named, or else the value's own."""
    match e.args:
        case (value, syntax.String(value=name), *module):
            from compiler.resolve.type_names import named_type

            owner = module[0].value if module and isinstance(module[0], syntax.String) else None
            cast = syntax.Cast(value, name, owner, e.span)
            return named_type(ctx.program.environment, cast, ctx.site)
        case (syntax.TargetVar() | syntax.Access() | syntax.AtVar() as value,):
            return path_expressions.typed_value(ctx, value).type_id
        case _:
            message = "the enumeration that this number belongs to is not known"
            raise TargetError("no-type", message, e.span, _HINT)


def _function(name: str, found: btf_types.Enum, span: Span) -> syntax.Function:
    value = syntax.Name("value", span)
    body: list[syntax.Stmt] = []
    for number, text in {v.value: v.name for v in reversed(found.values)}.items():
        test = syntax.Binary("==", value, syntax.Number(number, span), span)
        answer = syntax.Return(syntax.String(text, span), span)
        body.insert(0, syntax.If(test, answer, None, span))
    number_text = syntax.Print("sprint", None, None, (value,), span, span)
    body.append(syntax.Return(number_text, span))
    parameter = syntax.Parameter("value", "long", span)
    block = syntax.Block(tuple(body), span)
    return syntax.Function(name, False, "string", (parameter,), None, block, span, span)
