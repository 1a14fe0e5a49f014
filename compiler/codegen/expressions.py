# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions as C: pure ones nest, others become statements that come before.

a / b + f(x)   ->   if (unlikely(!b)) { sw_error(...); goto fail; }
                    t1 = fn_f(a, x);
                    and the expression `sw_divide(l_a, b) + t1`
"""

from __future__ import annotations

from compiler.analysis.effects import is_truth, reads_memory
from compiler.codegen import c_writer as cw
from compiler.codegen import embedded_c, global_access
from compiler.codegen.body_emitter import BodyEmitter, Unit
from compiler.codegen.c_writer import C
from compiler.codegen.charges import check_paid
from compiler.codegen.costs import STEPS
from compiler.codegen.event_records import write_record
from compiler.codegen.operands import call, in_order, into, is_plain, stable
from compiler.ir import program as p
from compiler.ir.hooks import Hook
from compiler.ir.program import LONG, STRING, BodyId
from runtime.support.exhaustive import assert_never


def body_emitter(
    unit: Unit, body: BodyId, function: p.Function | None = None, *, spills: bool = False
) -> BodyEmitter:
    """An emitter for one body; `function`: the script function whose body it is; `spills`: its numbers
    are in the frame."""
    return BodyEmitter(unit, body, value, function, spills=spills)


def value(b: BodyEmitter, e: p.Expr) -> C:
    """An expression of C: an s64, or a `const char *`."""
    match e:
        case p.Number():
            return C(cw.number(e.value), cw.ATOM if e.value >= 0 else cw.UNARY)
        case p.String():
            return C(cw.string(e.value))
        case p.LocalRef():
            return C(b.local(e.local))
        case p.GlobalRef():
            return global_access.read(b, e)
        case p.In():
            return global_access.contains(b, e)
        case p.Assign():
            return global_access.assign(b, e, used=True)
        case p.Increment():
            return global_access.increment(b, e, used=True)
        case p.Extract():
            return global_access.extract(b, e)
        case p.Bucket():
            return global_access.bucket(b, e)
        case p.Drawing():
            return global_access.drawing(b, e)
        case p.Call():
            return call(b, e)
        case p.After():
            return _after(b, e)
        case p.EmbeddedExpr():
            return _embedded(b, e)
        case p.Guard():
            return _guard(b, e)
        case p.Store():
            return _store(b, e)
        case (
            p.Arithmetic() | p.Unary() | p.Compare() | p.Match() | p.Logical() | p.Conditional()
            | p.Concat() | p.Format()
        ):  # fmt: skip
            return _operation(b, e)
        case _:
            return _context_value(b, e)


# ---------------------------------------------------------------- operators


def _operation(
    b: BodyEmitter,
    e: p.Arithmetic
    | p.Unary
    | p.Compare
    | p.Match
    | p.Logical
    | p.Conditional
    | p.Concat
    | p.Format,
) -> C:
    match e:
        case p.Arithmetic():
            return _arithmetic(b, e)
        case p.Unary():
            operand = value(b, e.operand)
            inner = operand.inside(cw.UNARY + (operand.text.startswith("-")))
            return C(f"{e.op}{inner}", cw.UNARY)
        case p.Compare():
            return _compare(b, e)
        case p.Match():
            return _match(b, e)
        case p.Logical():
            return _logical(b, e)
        case p.Conditional():
            return _conditional(b, e)
        case p.Concat():
            buffer = b.text_buffer(e)
            left, right = in_order(b, e.left, e.right)
            b.w.line(f"sw_concat({b.c}, {buffer}, sizeof({buffer}), {left}, {right});")
            check_paid(b, max(b.size_of(e.left), b.size_of(e.right)), e.span)
            return C(buffer)
        case p.Format():
            return _format(b, e)
        case _:
            assert_never(e)


def _arithmetic(b: BodyEmitter, e: p.Arithmetic) -> C:
    left, right = in_order(b, e.left, e.right)
    if e.op in cw.CALLED:
        if e.op in ("/", "%") and not isinstance(e.right, p.Number):
            b.raise_if(f"!{right.inside(cw.UNARY)}", "division by 0", e.span)
        elif e.op in ("/", "%") and e.right == p.Number(0, e.right.span):
            b.raise_if("true", "division by 0", e.span)
            return C("0")
        return C(f"{cw.CALLED[e.op]}({left}, {right})")
    tightness = cw.ARITHMETIC[e.op]
    return C(f"{left.inside(tightness)} {e.op} {right.inside(tightness + 1)}", tightness)


def _compare(b: BodyEmitter, e: p.Compare) -> C:
    left, right = in_order(b, e.left, e.right)
    if e.left.type is STRING:
        found = b.temporary("s64")  # buffers may be used again before the value is
        b.w.line(f"{found} = sw_compare({b.c}, {left}, {right}) {e.op} 0;")
        check_paid(b, min(b.size_of(e.left), b.size_of(e.right)), e.span)
        return C(found)
    tightness = cw.EQUALITY if e.op in ("==", "!=") else cw.RELATION
    # C needs no brackets around an operand that is a comparison, but a reader does
    return C(f"{left.inside(cw.SHIFT)} {e.op} {right.inside(cw.SHIFT)}", tightness)


def _match(b: BodyEmitter, e: p.Match) -> C:
    regexes = b.unit.regexes
    number = regexes.setdefault((e.pattern, e.captures), len(regexes))
    text = value(b, e.value)
    sign = "!" if e.negated else ""
    size = b.size_of(e.value)
    if not e.captures and size <= STEPS:
        return C(f"{sign}match_{number}({b.c}, {text})", cw.UNARY if sign else cw.ATOM)
    found = b.temporary("s64")
    b.w.line(f"{found} = {sign}match_{number}({'a' if e.captures else b.c}, {text});")
    check_paid(b, size, e.span, shortest=STEPS)
    return C(found)


def _logical(b: BodyEmitter, e: p.Logical) -> C:
    tightness = cw.AND if e.op == "&&" else cw.OR
    if is_plain(b, e.right):
        left, right = value(b, e.left), value(b, e.right)
        # the brackets between && and || are for the reader; C does not need them
        return C(
            f"{left.inside(cw.BIT_OR if left.tightness != tightness else tightness)} {e.op} "
            f"{right.inside(cw.BIT_OR)}",
            tightness,
        )
    found = b.temporary("s64")
    b.w.line(f"{found} = {_truth(b, e.left)};")
    with b.w.block(f"if ({'' if e.op == '&&' else '!'}{found})"):
        b.w.line(f"{found} = {_truth(b, e.right)};")
    return C(found)


def _truth(b: BodyEmitter, e: p.Expr) -> str:
    """1 if a number is not 0, else 0."""
    found = value(b, e)
    return found.text if is_truth(e) else f"{found.inside(cw.EQUALITY + 1)} != 0"


def _conditional(b: BodyEmitter, e: p.Conditional) -> C:
    if is_plain(b, e.then) and is_plain(b, e.otherwise):
        test = value(b, e.test)
        then, otherwise = value(b, e.then), value(b, e.otherwise)
        text = f"{test.inside(cw.OR)} ? {then.inside(cw.OR)} : {otherwise.inside(cw.CHOICE)}"
        return C(text, cw.CHOICE)
    found = b.text_buffer(e) if e.type is STRING else b.temporary("s64")
    with b.w.block(f"if ({value(b, e.test)})", "} else {"):
        _set(b, e.then, found)
    with b.w.else_block():
        _set(b, e.otherwise, found)
    return C(found)


def _set(b: BodyEmitter, e: p.Expr, target: str) -> None:
    if e.type is STRING:
        into(b, e, target)
    else:
        b.w.line(f"{target} = {value(b, e)};")


def _format(b: BodyEmitter, e: p.Format) -> C:
    buffer = b.text_buffer(e)
    values = in_order(b, *e.args)
    longs = [str(v) for v, a in zip(values, e.args, strict=True) if a.type is not STRING]
    strings = [str(v) for v, a in zip(values, e.args, strict=True) if a.type is STRING]
    with b.w.block(""):
        if longs:
            b.w.line(f"const s64 longs[] = {{ {', '.join(longs)} }};")
        if strings:
            b.w.line(f"const char *const strings[] = {{ {', '.join(strings)} }};")
        if longs or strings:
            b.w.line()
        b.w.line(
            f"sw_format({b.c}, {buffer}, sizeof({buffer}), {cw.string(e.format)}, "
            f"{'longs' if longs else 'NULL'}, {'strings' if strings else 'NULL'});"
        )
    if reads_memory(e.format):
        b.check("read fault", e.span)
    else:
        check_paid(
            b, max([b.size_of(e), *(b.size_of(a) for a in e.args if a.type is STRING)]), e.span
        )
    return C(buffer)


# ---------------------------------------------------------------- the probe's context


def _context_value(
    b: BodyEmitter,
    e: p.Argument | p.ReturnValue | p.EntryValue | p.Register | p.CallerRegister | p.Verdict
    | p.ThreadPointer | p.PercpuAddress | p.SymbolAddress | p.MappedAddress | p.Deref | p.CharsAt,
) -> C:  # fmt: skip
    match e:
        case p.Argument():
            return _argument(b, e)
        case p.ReturnValue():
            return _narrow("SW_RETURN_VALUE(regs)", e.size, e.signed)
        case p.EntryValue():
            return C(f"{b.use('entry')}->v{e.index}")
        case p.Register(compat=""):
            return C(f"(s64)regs->{e.name}", cw.UNARY)
        case p.Register():
            return C(f"(s64)SW_EITHER_REGISTER(regs, {e.name}, {e.compat})", cw.UNARY)
        case p.CallerRegister():
            return _narrow(f"SW_CALLER(regs)->{e.name}", e.size, e.signed)
        case p.ThreadPointer():
            return C("sw_thread_pointer()")
        case p.Verdict():
            return C(b.use("verdict"))
        case p.PercpuAddress():
            return C(f"sw_percpu_address({cw.number(e.distance)})")
        case p.SymbolAddress():
            symbols = b.unit.symbols
            return C(f"symbols[{symbols.setdefault(e.name, len(symbols))}]")
        case p.MappedAddress():
            return _mapped(b, e)
        case p.Deref():
            return _deref(b, e)
        case p.CharsAt():
            return _chars(b, e)
        case _:
            assert_never(e)


def _argument(b: BodyEmitter, e: p.Argument) -> C:
    hook = _hook(b)
    if hook is not None and hook.handler.has_arguments:
        return _narrow(f"arg{e.index}", e.size, e.signed)
    if e.index <= 5:
        return _narrow(f"SW_ARG{e.index}(regs)", e.size, e.signed)
    found = b.temporary("s64")
    b.w.line(f"{found} = sw_kernel_read({b.c}, SW_STACK_ARG(regs, {e.index}), 8);")
    b.check("kernel read fault", e.span)
    return _narrow(found, e.size, e.signed)


def _hook(b: BodyEmitter) -> Hook | None:
    _, key = b.body
    return b.unit.program.probes[key].hook if isinstance(key, int) else None


def _narrow(text: str, size: int, signed: bool) -> C:
    """A register's or memory's value as the s64 that the C type means."""
    sign = "s" if signed else "u"
    if size == 8:
        return C(f"(s64){text}", cw.UNARY)
    return C(f"(s64)({sign}{8 * size}){text}", cw.UNARY)


def _mapped(b: BodyEmitter, e: p.MappedAddress) -> C:
    found = b.temporary("s64")
    file = f"{cw.string(e.file)}, {e.size}"
    b.w.line(f"{found} = sw_mapped_address({b.c}, {file}, {e.from_start}, {e.from_end});")
    b.check("file not mapped", e.span)
    return C(found)


def _deref(b: BodyEmitter, e: p.Deref) -> C:
    address = value(b, e.address)
    found = b.temporary("u64")
    reader = "sw_user_read" if e.user else "sw_kernel_read"
    b.w.line(f"{found} = {reader}({b.c}, {address}, {e.size});")
    b.check("kernel read fault", e.span)
    return _narrow(found, e.size, e.signed)


def _chars(b: BodyEmitter, e: p.CharsAt) -> C:
    buffer = b.text_buffer(e)
    target = f"{b.c}, {buffer}, sizeof({buffer}), {value(b, e.address)}"
    where = "user" if e.user else "kernel"
    if e.length:
        b.w.line(f"sw_{where}_string_n({target}, {e.length});")
    else:
        b.w.line(f"sw_{where}_string({target});")
    b.check("kernel string copy fault", e.span)
    return C(buffer)


# ---------------------------------------------------------------- statements in expressions


def _store(b: BodyEmitter, e: p.Store) -> C:
    new = stable(b, e.value, value(b, e.value))
    match e.place:
        case p.Register(name=name, compat=""):
            b.w.line(f"regs->{name} = {new};")
        case p.Register(name=name, compat=compat):
            b.w.line(f"*SW_EITHER_PLACE(regs, {name}, {compat}) = {new};")
        case p.CallerRegister(name=name):
            b.w.line(f"SW_CALLER(regs)->{name} = {new};")
        case p.Verdict():
            b.w.line(f"{b.use('verdict')} = {new};")
        case p.Deref(address=address, size=size):
            b.w.line(f"sw_kernel_write({b.c}, {value(b, address)}, {new}, {size});")
            b.check("kernel write fault", e.span)
    return new


def _guard(b: BodyEmitter, e: p.Guard) -> C:
    buffer = b.text_buffer(e)
    caught, done = b.label("caught"), b.label("guarded")
    outer, b.fail = b.fail, caught
    into(b, e.value, buffer)
    b.fail = outer
    if b.w.jumps_to(caught):
        b.w.jump(done)
        b.w.label(caught)
        b.w.line(f"{b.c}->error = NULL;")
        into(b, e.fallback, buffer)
        b.w.label(done)
        b.w.line(";")
    return C(buffer)


def _after(b: BodyEmitter, e: p.After) -> C:
    match e.statement:
        case p.Print() as statement:
            write_record(b, statement)
        case p.Accumulate() as statement:
            global_access.accumulate(b, statement)
    return value(b, e.value)


def _embedded(b: BodyEmitter, e: p.EmbeddedExpr) -> C:
    found = b.temporary("s64" if e.type is LONG else "const char *")
    b.w.line(f"{found} = {embedded_c.operand(b, e)};")
    if e.fallible:
        b.check("error in embedded C", e.span)
    return C(found)
