# SPDX-License-Identifier: GPL-2.0-or-later
"""Guru mode: kernel memory and registers are written, and registers read by number.

$file->f_pos = 0   -> Store(Deref(Argument(0) + 64, 8), 0)      $count = 5   -> Store(Register(...), 5)
"""

from __future__ import annotations

from compiler.ir import program as p
from compiler.ir import syntax
from compiler.ir.source import Span
from compiler.kernel.type_layout import Bits
from compiler.resolve.context_variables import Target, Typed, extract_bits, load, place
from compiler.resolve.scope import Scope
from compiler.resolve.type_names import Fault
from runtime.support.int64 import wrapped

Place = Target | syntax.AtCall


def lower_write(scope: Scope, e: Place, value: p.Expr, span: Span) -> p.Expr:
    """`$p->member = value`: memory, or the register that holds an argument or the result."""
    library = scope.file in scope.world.library_files
    if not (scope.world.environment.guru or library):
        raise Fault(
            "write-context",
            "kernel memory is written in guru mode only",
            e.span,
            "run with -g, if you trust the script with the whole kernel; or copy the value",
        )
    if isinstance(e, syntax.AtCall):
        reader = scope.expr(e)
        return p.Store(reader, value, span) if isinstance(reader, p.Deref | p.Register) else reader
    at = place(scope, e)
    if isinstance(e, syntax.Access) and (e.address or e.pretty):
        raise Fault("not-assignable", "this cannot be assigned to", e.span)
    if at.bits is not None:
        return _write_bits(scope, at, at.bits, value, span)
    if at.in_memory:
        reader = load(scope, at, e.span)
        if not isinstance(reader, p.Deref):
            raise Fault("not-assignable", "an array cannot be assigned to", e.span)
        return p.Store(reader, value, span)
    arch = scope.world.environment.kernel.arch
    match at.expr:
        case p.Verdict():
            return p.Store(at.expr, value, span)
        case p.ReturnValue():
            return p.Store(p.Register(arch.result, e.span), value, span)
        case p.Argument(index=index) if index < len(arch.arguments) and _has_registers(
            scope, "kregister"
        ):
            return p.Store(p.Register(arch.arguments[index], e.span), value, span)
        case _:
            raise Fault("not-assignable", "no register holds this value here", e.span)


def _write_bits(scope: Scope, at: Typed, bits: Bits, value: p.Expr, span: Span) -> p.Expr:
    """The unit that holds them is read, changed and written; what they hold then is the value."""
    unit = p.Deref(at.expr, bits.unit, False, False, span)
    mask = (1 << bits.width) - 1
    others = p.Arithmetic("&", unit, p.Number(wrapped(~(mask << bits.shift)), span), span)
    kept = p.Arithmetic("&", value, p.Number(mask, span), span)
    moved = p.Arithmetic("<<", kept, p.Number(bits.shift, span), span)
    stored = p.Store(unit, p.Arithmetic("|", others, moved, span), span)
    return extract_bits(scope, at, bits, stored, span)


def lower_register(scope: Scope, e: syntax.AtCall) -> p.Expr:
    """`@kregister(n)`, or of a program `@uregister(n)`, n being DWARF's number of the register."""
    number = e.args[0]
    assert isinstance(number, syntax.Number)
    arch = scope.world.environment.kernel.arch
    if not 0 <= number.value < len(arch.dwarf_registers):
        raise Fault(
            "no-register",
            f"there is no register {number.value}",
            number.span,
            arch.dwarf_range,
        )
    own = e.name == "kregister"
    if scope.in_function or not _has_registers(scope, e.name):
        raise Fault(
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


def _has_registers(scope: Scope, operator: str) -> bool:
    """Whether this operator (`kregister`, `uregister`) reads registers in this probe."""
    return scope.site is not None and scope.site.hook.register_operator == operator
