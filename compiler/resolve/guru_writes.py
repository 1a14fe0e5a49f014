# SPDX-License-Identifier: GPL-2.0-or-later
"""Guru mode: writes to kernel memory and registers, and reads of registers by number.

$file->f_pos = 0   -> Store(Deref(Argument(0) + 64, 8), 0)      $count = 5   -> Store(Register(...), 5)
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.kernel.type_layout import Bits
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import TargetError, TypedValue, btf_of, extract_bits, load
from compiler.resolve.path_expressions import Target, typed_value
from runtime.support.int64 import wrapped

Destination = Target | syntax.AtCall


def lower_write(ctx: FunctionContext, e: Destination, value: p.Expr, span: Span) -> p.Expr:
    """Write memory (`$p->member = value`), or the register that holds an argument or the result.

    Raises TargetError and KernelFactError.
    """
    if not (ctx.program.environment.guru or ctx.in_library):
        raise TargetError(
            "write-context",
            "kernel memory is written in guru mode only",
            e.span,
            "run with -g, if you trust the script with the whole kernel; or copy the value",
        )
    if isinstance(e, syntax.AtCall):
        reader = ctx.expr(e)
        return p.Store(reader, value, span) if isinstance(reader, p.Deref | p.Register) else reader
    at = typed_value(ctx, e)
    if at.in_memory and btf_of(ctx).is_program(at.type_id):
        raise TargetError("not-assignable", "a program's memory is not written", e.span)
    if isinstance(e, syntax.Access) and (e.address or e.pretty):
        raise TargetError("not-assignable", "this cannot be assigned to", e.span)
    if at.bits is not None:
        return _write_bits(ctx, at, at.bits, value, span)
    if at.in_memory:
        reader = load(ctx, at, e.span)
        if not isinstance(reader, p.Deref):
            raise TargetError("not-assignable", "an array cannot be assigned to", e.span)
        return p.Store(reader, value, span)
    arch = ctx.program.environment.kernel.arch
    match at.expr:
        case p.Verdict() | p.Register() | p.CallerRegister():
            return p.Store(at.expr, value, span)
        case p.ReturnValue():
            return p.Store(p.Register(arch.result, e.span), value, span)
        case p.Argument(index=index) if index < len(arch.arguments) and _has_registers(
            ctx, "kregister"
        ):
            return p.Store(p.Register(arch.arguments[index], e.span), value, span)
        case _:
            raise TargetError("not-assignable", "no register holds this value here", e.span)


def _write_bits(
    ctx: FunctionContext, at: TypedValue, bits: Bits, value: p.Expr, span: Span
) -> p.Expr:
    """Write a bitfield: read the unit that holds it, change the bits, write the unit."""
    unit = p.Deref(at.expr, bits.unit, False, False, span)
    mask = (1 << bits.width) - 1
    others = p.Arithmetic("&", unit, p.Number(wrapped(~(mask << bits.shift)), span), span)
    masked = p.Arithmetic("&", value, p.Number(mask, span), span)
    moved = p.Arithmetic("<<", masked, p.Number(bits.shift, span), span)
    stored = p.Store(unit, p.Arithmetic("|", others, moved, span), span)
    return extract_bits(ctx, at, bits, stored, span)


def lower_register(ctx: FunctionContext, e: syntax.AtCall) -> p.Expr:
    """`@kregister(n)`, or for a program `@uregister(n)`; n is the register's DWARF number."""
    number = e.args[0]
    assert isinstance(number, syntax.Number)
    arch = ctx.program.environment.kernel.arch
    if not 0 <= number.value < len(arch.dwarf_registers):
        raise TargetError(
            "no-register",
            f"there is no register {number.value}",
            number.span,
            arch.dwarf_range,
        )
    own = e.name == "kregister"
    if ctx.in_function or not _has_registers(ctx, e.name):
        raise TargetError(
            "no-register",
            "registers are known in probes of functions only"
            if own
            else "registers of programs are known in probes of programs only",
            e.span,
            'use kernel.function("name") or kprobe.function("name")'
            if own
            else 'use process("path").function("name")',
        )
    return p.Register(arch.dwarf_registers[number.value], e.span)


def _has_registers(ctx: FunctionContext, operator: str) -> bool:
    """Whether this operator (`kregister`, `uregister`) reads registers in this probe."""
    return ctx.site is not None and ctx.site.hook.register_operator == operator
