# SPDX-License-Identifier: GPL-2.0-or-later
"""Guru mode: writes to kernel memory and registers, and reads of registers by number.

$file->f_pos = 0   -> Store(Deref(Argument(0) + 64, 8), 0)      $count = 5   -> Store(Register("dx"), 5)
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.kernel.type_layout import Bits
from compiler.resolve.contexts import FunctionContext
from compiler.resolve.memory_path import TargetError, TypedValue, extract_bits, load
from compiler.resolve.path_expressions import Target, typed_value
from runtime.support.int64 import wrapped

Destination = Target | syntax.AtCall

# x86-64's registers by their number in DWARF, as @kregister() has them.
_REGISTERS = (
    "ax", "dx", "cx", "bx", "si", "di", "bp", "sp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "ip",
)  # fmt: skip
# The register of an argument, by the argument's number.
_ARGUMENTS = ("di", "si", "dx", "cx", "r8", "r9")
_WITH_REGISTERS = (p.HookKind.FTRACE, p.HookKind.KPROBE, p.HookKind.KRETPROBE)
_IN_PROGRAMS = (p.HookKind.PROCESS, p.HookKind.UPROBE, p.HookKind.URETPROBE)


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
    if isinstance(e, syntax.Access) and (e.address or e.pretty):
        raise TargetError("not-assignable", "this cannot be assigned to", e.span)
    if at.bits is not None:
        return _write_bits(ctx, at, at.bits, value, span)
    if at.in_memory:
        reader = load(ctx, at, e.span)
        if not isinstance(reader, p.Deref):
            raise TargetError("not-assignable", "an array cannot be assigned to", e.span)
        return p.Store(reader, value, span)
    match at.expr:
        case p.Verdict():
            return p.Store(at.expr, value, span)
        case p.ReturnValue():
            return p.Store(p.Register("ax", e.span), value, span)
        case p.Argument(index=index) if index < len(_ARGUMENTS) and _has_registers(ctx):
            return p.Store(p.Register(_ARGUMENTS[index], e.span), value, span)
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
    if not 0 <= number.value < len(_REGISTERS):
        raise TargetError(
            "no-register",
            f"there is no register {number.value}",
            number.span,
            "0 to 16: rax to rip",
        )
    own = e.name == "kregister"
    if ctx.in_function or not _is_of(ctx, _WITH_REGISTERS if own else _IN_PROGRAMS):
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
    return p.Register(_REGISTERS[number.value], e.span)


def _has_registers(ctx: FunctionContext) -> bool:
    return _is_of(ctx, _WITH_REGISTERS)


def _is_of(ctx: FunctionContext, kinds: tuple[p.HookKind, ...]) -> bool:
    return ctx.site is not None and ctx.site.hook.kind in kinds
