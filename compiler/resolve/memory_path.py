# SPDX-License-Identifier: GPL-2.0-or-later
"""Paths through memory: a typed value, the steps from it to a member or element, and the load at its end.

$file->f_inode->i_ino  -> start: TypedValue(Argument(0), struct file *)
                          follow: TypedValue(Deref(Argument(0) + 32, 8) + 64, long, in_memory)
                          load:  Deref(Deref(Argument(0) + 32, 8) + 64, 8)

Types and offsets come from BTF. This file knows the steps; path_expressions.py knows where a path begins.
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.kernel import btf_types, type_layout
from compiler.kernel.btf import Btf
from compiler.kernel.btf_types import TypeId
from compiler.kernel.c_types import type_name
from compiler.resolve.contexts import FunctionContext
from runtime.support.record import record, replace


class TargetError(Exception):
    """An error in a context variable, a path from one, or a register; becomes one diagnostic."""

    def __init__(self, slug: str, message: str, span: Span, hint: str = "") -> None:
        self.slug, self.message, self.span, self.hint = slug, message, span, hint


@record
class TypedValue:
    """A value in a register, or with `in_memory` the address of one; its BTF type.

    `pointed`: the address is a pointer's value (@cast, a typed variable), so it may be indexed. `words`: of a
    struct in registers, its words of 8 bytes, None for one that cannot be read; the value begins at its byte
    `start`.
    """

    expr: p.Expr
    type_id: TypeId
    in_memory: bool
    bits: type_layout.Bits | None = None
    pointed: bool = False
    words: tuple[p.Expr | None, ...] = ()
    start: int = 0


def btf_of(ctx: FunctionContext) -> Btf:
    """The kernel's type information."""
    return ctx.program.environment.kernel.btf


def follow(
    ctx: FunctionContext, start: TypedValue, path: tuple[syntax.Field | syntax.Element, ...]
) -> TypedValue:
    """The value at the end of a path. Raises TargetError and KernelFactError."""
    btf = btf_of(ctx)
    at = start
    for step in path:
        if at.bits is not None:
            raise TargetError("bad-context-variable", "a bitfield has no members", step.span)
        match step:
            case syntax.Field():
                at = _field(ctx, btf, at, step)
            case syntax.Element():
                at = _element(ctx, btf, at, step)
    return at


def address_of(btf: Btf, at: TypedValue, span: Span) -> tuple[p.Expr, TypeId]:
    """The address of a value, or the one that a pointer holds; and the type of what is there."""
    match found := btf.resolve(at.type_id):
        case btf_types.Pointer():
            if not at.in_memory:
                return at.expr, found.target
            return p.Deref(at.expr, 8, False, btf.is_program(at.type_id), span), found.target
        case _ if at.in_memory:
            return at.expr, at.type_id
        case _:
            raise TargetError(
                "not-a-pointer",
                f"'{type_name(btf, at.type_id)}' is no pointer and has no members",
                span,
            )


def _field(ctx: FunctionContext, btf: Btf, at: TypedValue, step: syntax.Field) -> TypedValue:
    if at.words and (found := type_layout.composite(btf, at.type_id)) is not None:
        return member_of(ctx, at, found.id, step.name, step.span)
    address, target = address_of(btf, at, step.span)
    owner = type_layout.composite(btf, target)
    if owner is None:
        raise TargetError(
            "not-a-struct",
            f"'{type_name(btf, target)}' has no member '{step.name}'",
            step.span,
        )
    return member(btf, address, owner.id, step.name, step.span)


def member(btf: Btf, address: p.Expr, owner: TypeId, name: str, span: Span) -> TypedValue:
    """A member of the struct or union at an address."""
    found = type_layout.place(btf, owner, [name])
    return TypedValue(plus(address, found.steps[0].offset, span), found.type_id, True, found.bits)


def member_of(
    ctx: FunctionContext, at: TypedValue, owner: TypeId, name: str, span: Span
) -> TypedValue:
    """A member of a struct or union, in memory or in registers."""
    btf = btf_of(ctx)
    if not at.words:
        return member(btf, at.expr, owner, name, span)
    found = type_layout.place(btf, owner, [name])
    return _in_registers(ctx, at, found.steps[0].offset, found.type_id, found.bits, span)


def element_of(
    ctx: FunctionContext, at: TypedValue, element: TypeId, index: int, span: Span
) -> TypedValue:
    """An element of an array, in memory or in registers."""
    offset = index * type_layout.sizeof(btf_of(ctx), element)
    if not at.words:
        return TypedValue(plus(at.expr, offset, span), element, True)
    return _in_registers(ctx, at, offset, element, None, span)


def _in_registers(
    ctx: FunctionContext,
    at: TypedValue,
    offset: int,
    type_id: TypeId,
    bits: type_layout.Bits | None,
    span: Span,
) -> TypedValue:
    """What is some bytes into a struct that registers hold."""
    start = at.start + offset
    integer = type_layout.integer(btf_of(ctx), type_id)
    if integer is None:
        return TypedValue(at.expr, type_id, False, words=at.words, start=start)
    index, byte = divmod(start, type_layout.POINTER_SIZE)
    word = at.words[index] if 0 <= index < len(at.words) else None
    if word is None:
        message = "no general register holds this part of it"
        raise TargetError("no-value-here", message, span)
    if byte:
        word = p.Arithmetic(">>>", word, p.Number(8 * byte, span), span)
    if bits is None and integer.size < type_layout.POINTER_SIZE:
        bits = type_layout.Bits(0, 8 * integer.size, type_layout.POINTER_SIZE)
    found = TypedValue(word, type_id, False)
    return (
        found if bits is None else replace(found, expr=extract_bits(ctx, found, bits, word, span))
    )


def _element(ctx: FunctionContext, btf: Btf, at: TypedValue, step: syntax.Element) -> TypedValue:
    found = btf.resolve(at.type_id)
    if isinstance(found, btf_types.Array) and at.words:
        number = ctx.typed(step.index, p.LONG)
        if not isinstance(number, p.Number):
            message = "an array in registers is indexed by a constant"
            raise TargetError("bad-context-variable", message, step.span)
        return element_of(ctx, at, found.element, number.value, step.span)
    if isinstance(found, btf_types.Array) and at.in_memory:
        address, element = at.expr, found.element
    elif at.pointed:
        address, element = at.expr, at.type_id
    elif not isinstance(found, btf_types.Pointer):
        raise TargetError(
            "not-a-pointer",
            f"'{type_name(btf, at.type_id)}' is neither an array nor a pointer",
            step.span,
        )
    else:
        address, element = address_of(btf, at, step.span)
    size = type_layout.sizeof(btf, element)
    index = ctx.typed(step.index, p.LONG)
    if isinstance(index, p.Number):
        return TypedValue(plus(address, index.value * size, step.span), element, True)
    scaled = p.Arithmetic("*", index, p.Number(size, step.span), step.span)
    return TypedValue(p.Arithmetic("+", address, scaled, step.span), element, True)


def plus(address: p.Expr, offset: int, span: Span) -> p.Expr:
    """An address some bytes further on."""
    return p.Arithmetic("+", address, p.Number(offset, span), span) if offset else address


def require_type(at: TypedValue, span: Span) -> None:
    """Raise TargetError for a kernel variable of unknown type.

    For a variable that only the symbol table has, nothing but the address is known.
    """
    if at.type_id == btf_types.VOID and isinstance(at.expr, p.SymbolAddress):
        name = at.expr.name
        raise TargetError(
            "needs-debuginfo",
            f"the type of the kernel's variable '{name}' is known to debuginfo only",
            span,
            f'name its type: @cast(&@var("{name}"), "type")->member, or read its address with &',
        )


def load(ctx: FunctionContext, at: TypedValue, span: Span) -> p.Expr:
    """The number that a value holds. Raises TargetError if it is not a number."""
    btf = btf_of(ctx)
    if at.words:
        message = f"'{type_name(btf, at.type_id)}' is read as a whole"
        raise TargetError("whole-struct", message, span, "name one of its members")
    if not at.in_memory:
        return at.expr
    user = btf.is_program(at.type_id)
    if at.bits is not None:
        unit = p.Deref(at.expr, at.bits.unit, False, user, span)
        return extract_bits(ctx, at, at.bits, unit, span)
    integer = type_layout.integer(btf, at.type_id)
    if integer is not None:
        return p.Deref(at.expr, integer.size, integer.signed, user, span)
    found = btf.resolve(at.type_id)
    if isinstance(found, btf_types.Array):
        return at.expr  # an array is its address, as in C
    require_type(at, span)
    if isinstance(found, btf_types.Float):
        raise TargetError(
            "bad-context-variable",
            f"'{type_name(btf, at.type_id)}' is no integer",
            span,
            "its bytes are at its address, &: read them by user_int64(), user_int32()",
        )
    raise TargetError(
        "whole-struct",
        f"'{type_name(btf, at.type_id)}' is read as a whole",
        span,
        "name one of its members, or its address with &",
    )


def extract_bits(
    ctx: FunctionContext, at: TypedValue, bits: type_layout.Bits, unit: p.Expr, span: Span
) -> p.Expr:
    """The value of a bitfield, from the value of the unit that holds it."""
    shifted = p.Arithmetic(">>>", unit, p.Number(bits.shift, span), span)
    value = p.Arithmetic("&", shifted, p.Number((1 << bits.width) - 1, span), span)
    integer = type_layout.integer(btf_of(ctx), at.type_id)
    if integer is None or not integer.signed:
        return value
    up = p.Number(64 - bits.width, span)  # sign-extend
    return p.Arithmetic(">>", p.Arithmetic("<<", value, up, span), up, span)
