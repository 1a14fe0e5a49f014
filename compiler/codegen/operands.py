# SPDX-License-Identifier: GPL-2.0-or-later
"""Operands: values in the order in which the script has them, calls, and strings in buffers.

x + f(y)   ->   x may change while f() runs, so it is copied first:   t1 = x;   t1 + fn_f(a, y)
"""

from __future__ import annotations

from compiler.codegen import embedded_c
from compiler.codegen.body_emitter import BodyEmitter
from compiler.codegen.c_writer import C
from compiler.codegen.charges import check_paid
from compiler.codegen.costs import STEPS
from compiler.ir import program as p
from compiler.ir.program import LONG, STRING
from compiler.ir.source import Span
from compiler.ir.walk import walk


def _is_constant(e: p.Expr) -> bool:
    """Whether an expression is the same at every moment of a hit."""
    return isinstance(e, p.Number | p.String | p.Argument | p.ReturnValue | p.EntryValue)


def is_plain(b: BodyEmitter, e: p.Expr) -> bool:
    """Whether emitting an expression emits no statement."""
    for n in walk(e):
        match n:
            case p.GlobalRef(keys=keys) if keys or b.stored(n.name).percpu:
                return False
            case p.Call(function=symbol):
                f = b.unit.functions[symbol]
                if f.result is not LONG or not f.pure or symbol in b.unit.fallible:
                    return False
            case p.Arithmetic(op="/" | "%") if can_divide_by_zero(n):
                return False
            case (
                p.In() | p.Assign() | p.Increment() | p.Extract() | p.Bucket() | p.Drawing() | p.Format()
                | p.Concat() | p.CharsAt() | p.Deref() | p.EmbeddedExpr() | p.Store() | p.Guard()
                | p.Register() | p.CallerRegister() | p.ThreadPointer() | p.Verdict() | p.After()
                | p.MappedAddress()
            ):  # fmt: skip
                return False
            case p.Argument(index=index) if index > 5:
                return False
            case p.Match(captures=captures, value=text) if captures or b.size_of(text) > STEPS:
                return False
            case p.Compare(left=left) if left.type is STRING:
                return False
            case _:
                pass
    return True


def can_divide_by_zero(e: p.Arithmetic) -> bool:
    return not (isinstance(e.right, p.Number) and e.right.value != 0)


def stable(b: BodyEmitter, e: p.Expr, value: C) -> C:
    """A value that later statements cannot change."""
    if _is_constant(e):
        return value
    if isinstance(e, p.LocalRef) and e.type is STRING:
        buffer = b.text_buffer(e)
        copy(b, buffer, f"sizeof({buffer})", value, b.size_of(e), e.span)
        return C(buffer)
    if e.type is STRING:
        return value
    found = b.temporary("s64")
    b.w.line(f"{found} = {value};")
    return C(found)


def in_order(b: BodyEmitter, *exprs: p.Expr) -> list[C]:
    """Several values, evaluated from left to right."""
    found = []
    for i, e in enumerate(exprs):
        value = b.value(e)
        if any(not is_plain(b, later) for later in exprs[i + 1 :]):
            value = stable(b, e, value)
        found.append(value)
    return found


def copy(
    b: BodyEmitter,
    target: str,
    size: str,
    value: C | str,
    most: int,
    span: Span,
    padded: bool = False,
) -> None:
    """Copies a string of at most `most` bytes."""
    function = "sw_copy_key" if padded else "sw_copy"
    b.w.line(f"{function}({b.c}, {target}, {size}, {value});")
    check_paid(b, most, span)


def into(b: BodyEmitter, e: p.Expr, target: str, size: str = "", padded: bool = False) -> None:
    """Writes a string to a buffer; `padded`: with NULs to its end."""
    size = size or f"sizeof({target})"
    if isinstance(e, p.Call) and padded:
        f = b.unit.functions[e.function]
        fills = f.code is not None and embedded_c.PADDED in f.code
        if fills and f.bound == b.unit.sizes.result(e.function):
            call(b, e, target)
            return
    value = b.value(e)
    copy(b, target, size, value, b.size_of(e), e.span, padded=padded)


def call(b: BodyEmitter, e: p.Call, target: str | None = None, *, used: bool = True) -> C:
    """A function's result; a string's goes to `target`, or to a buffer."""
    f = b.unit.functions[e.function]
    if f.code is None or not f.library or f.fallible or not f.pure:
        b.prepares = True
    values = [str(v) for v in in_order(b, *e.args)]
    if f.result is STRING:
        target = target or b.buffer(b.unit.sizes.result(e.function))
        b.w.line(_call_text(b, f, [target, *values]) + ";")
        found = C(target)
    else:
        text = _call_text(b, f, values)
        if f.result is None or not used:
            b.w.line(f"{text};")
            found = C("0")
        elif f.pure and e.function not in b.unit.fallible:
            return C(text)
        else:
            temporary = b.temporary("s64")
            b.w.line(f"{temporary} = {text};")
            found = C(temporary)
    _after_call(b, e, f)
    return found


def _call_text(b: BodyEmitter, f: p.Function, arguments: list[str]) -> str:
    first = "a" if f.code is None else b.c
    return f"fn_{b.unit.name(f.symbol)}({', '.join([first, *arguments])})"


def _after_call(b: BodyEmitter, e: p.Call, f: p.Function) -> None:
    if e.function not in b.unit.fallible:
        return
    if f.code is not None:
        b.check(f"error in {f.name}()", e.span)
    else:
        b.propagate(f, e.span)
