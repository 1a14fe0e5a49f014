# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions as C: pure ones nest, others become statements that come before.

a / b + f(x)   ->   if (unlikely(!b)) { sw_error(...); goto fail; }
                    t1 = fn_f(a, x);
                    and the expression `sw_divide(l_a, b) + t1`
"""

from __future__ import annotations

from typing import assert_never

from compiler.codegen import c_writer as t
from compiler.codegen import embedded_c
from compiler.codegen.c_writer import C
from compiler.codegen.event_records import write_record
from compiler.codegen.global_access import Globals
from compiler.ir import program as p
from compiler.ir.hooks import Hook
from compiler.ir.program import LONG, STRING
from compiler.ir.traits import reads_memory, walk
from runtime.support.record import record


@record(frozen=False)
class Values(Globals):
    """Emits one body's expressions."""

    def settled(self, e: p.Expr) -> bool:
        """Emitting it neither emits statements nor depends on when it is evaluated."""
        return isinstance(e, p.Number | p.String | p.Argument | p.ReturnValue | p.EntryValue)

    def plain(self, e: p.Expr) -> bool:
        """Emitting it emits no statement."""
        for n in walk(e):
            match n:
                case p.GlobalRef(keys=keys) if keys or self.placed(n.name).percpu:
                    return False
                case p.Call(function=symbol):
                    f = self.unit.functions[symbol]
                    if f.result is not LONG or not f.pure or symbol in self.unit.fallible:
                        return False
                case p.Arithmetic(op="/" | "%", right=right) if not isinstance(right, p.Number):
                    return False
                case (
                    p.In() | p.Assign() | p.Increment() | p.Extract() | p.Bucket() | p.Drawing() | p.Format()
                    | p.Concat() | p.CharsAt() | p.Deref() | p.EmbeddedExpr() | p.Store() | p.Guard()
                    | p.Register() | p.Verdict() | p.After()
                ):  # fmt: skip
                    return False
                case p.Argument(index=index) if index > 5:
                    return False
                case p.Match(captures=True):
                    return False
                case p.Compare(left=left) if left.type is STRING:
                    return False
                case _:
                    pass
        return True

    def stable(self, e: p.Expr, value: C) -> C:
        """A value that later statements cannot change."""
        if self.settled(e) or (isinstance(e, p.LocalRef) and e.type is STRING):
            if isinstance(e, p.LocalRef):  # a later assignment would show through
                buffer = self.buffer(self.unit.sizes.expr(e, self.body))
                self.w.line(f"sw_copy(c, {buffer}, sizeof({buffer}), {value});")
                return C(buffer)
            return value
        if e.type is STRING:
            return value
        found = self.temporary("s64")
        self.w.line(f"{found} = {value};")
        return C(found)

    def in_order(self, *exprs: p.Expr) -> list[C]:
        """Several values, evaluated from left to right."""
        found = []
        for i, e in enumerate(exprs):
            value = self.value(e)
            if any(not self.plain(later) for later in exprs[i + 1 :]):
                value = self.stable(e, value)
            found.append(value)
        return found

    def value(self, e: p.Expr) -> C:
        """An expression of C: an s64, or a `const char *`."""
        match e:
            case p.Number():
                return C(t.number(e.value), t.ATOM if e.value >= 0 else t.UNARY)
            case p.String():
                return C(t.string(e.value))
            case p.LocalRef():
                return C(self.local(e.local))
            case p.GlobalRef():
                return self.read(e)
            case p.In():
                return self._in(e)
            case p.Arithmetic():
                return self._arithmetic(e)
            case p.Unary():
                operand = self.value(e.operand)
                inner = operand.inside(t.UNARY + (operand.text.startswith("-")))
                return C(f"{e.op}{inner}", t.UNARY)
            case p.Compare():
                return self._compare(e)
            case p.Match():
                return self._match(e)
            case p.Logical():
                return self._logical(e)
            case p.Conditional():
                return self._conditional(e)
            case p.Concat():
                buffer = self.buffer(self.unit.sizes.expr(e, self.body))
                left, right = self.in_order(e.left, e.right)
                self.w.line(f"sw_concat(c, {buffer}, sizeof({buffer}), {left}, {right});")
                return C(buffer)
            case p.Assign():
                return self.assign(e, used=True)
            case p.Increment():
                return self.increment(e, used=True)
            case p.Call():
                return self.call(e)
            case p.Extract():
                return self._extract(e)
            case p.Bucket():
                return self._bucket(e)
            case p.Drawing():
                from compiler.codegen.event_records import drawing

                return drawing(self, e)
            case p.Format():
                return self._format(e)
            case p.Argument():
                return self._argument(e)
            case p.ReturnValue():
                return _narrow("SW_RETURN_VALUE(regs)", e.size, e.signed)
            case p.Deref():
                return self._deref(e)
            case p.CharsAt():
                return self._chars(e)
            case p.EntryValue():
                return C(f"entry->v{e.index}")
            case p.Register():
                return C(f"(s64)regs->{e.name}", t.UNARY)
            case p.Verdict():
                return C("verdict")
            case p.PercpuAddress():
                return C(f"sw_percpu_address({t.number(e.distance)})")
            case p.SymbolAddress():
                if e.name not in self.unit.symbols:
                    self.unit.symbols.append(e.name)
                return C(f"symbols[{self.unit.symbols.index(e.name)}]")
            case p.Store():
                return self._store(e)
            case p.Guard():
                return self._guard(e)
            case p.After(statement=statement):
                if isinstance(statement, p.Print):
                    write_record(self, statement)
                else:
                    self.accumulate(statement)
                return self.value(e.value)
            case p.EmbeddedExpr():
                found = self.temporary("s64" if e.type is LONG else "const char *")
                for line in embedded_c.globals_used(self.unit, e.reads, e.writes):
                    self.w.lines.append(line)
                self.w.line(f"{found} = {embedded_c.plain(e.code)};")
                if e.fallible:
                    self.check("error in embedded C", e.span)
                return C(found)
            case _:
                assert_never(e)

    def _arithmetic(self, e: p.Arithmetic) -> C:
        left, right = self.in_order(e.left, e.right)
        if e.op in t.CALLED:
            if e.op in ("/", "%") and not isinstance(e.right, p.Number):
                self.raise_if(f"!{right.inside(t.UNARY)}", "division by 0", e.span)
            elif e.op in ("/", "%") and e.right == p.Number(0, e.right.span):
                self.raise_if("true", "division by 0", e.span)
                return C("0")
            return C(f"{t.CALLED[e.op]}({left}, {right})")
        tightness = t.ARITHMETIC[e.op]
        return C(f"{left.inside(tightness)} {e.op} {right.inside(tightness + 1)}", tightness)

    def _compare(self, e: p.Compare) -> C:
        left, right = self.in_order(e.left, e.right)
        tightness = t.EQUALITY if e.op in ("==", "!=") else t.RELATION
        if e.left.type is STRING:
            found = self.temporary("s64")  # buffers may be used again before the value is
            self.w.line(f"{found} = sw_compare({left}, {right}) {e.op} 0;")
            return C(found)
        return C(f"{left.inside(tightness)} {e.op} {right.inside(tightness + 1)}", tightness)

    def _match(self, e: p.Match) -> C:
        regexes = self.unit.regexes
        number = regexes.setdefault((e.pattern, e.captures), len(regexes))
        value = self.value(e.value)
        sign = "!" if e.negated else ""
        if not e.captures:
            return C(f"{sign}match_{number}({value})", t.UNARY if sign else t.ATOM)
        found = self.temporary("s64")
        self.w.line(f"{found} = {sign}match_{number}(a, {value});")
        return C(found)

    def _logical(self, e: p.Logical) -> C:
        tightness = t.AND if e.op == "&&" else t.OR
        if self.plain(e.right):
            left, right = self.value(e.left), self.value(e.right)
            # brackets between && and || are not needed, but a reader is glad of them
            return C(
                f"{left.inside(t.BIT_OR if left.tightness != tightness else tightness)} {e.op} "
                f"{right.inside(t.BIT_OR)}",
                tightness,
            )
        found = self.temporary("s64")
        self.w.line(f"{found} = {_truth(self.value(e.left))};")
        with self.w.block(f"if ({'' if e.op == '&&' else '!'}{found})"):
            self.w.line(f"{found} = {_truth(self.value(e.right))};")
        return C(found)

    def _conditional(self, e: p.Conditional) -> C:
        if self.plain(e.then) and self.plain(e.otherwise):
            test = self.value(e.test)
            then, otherwise = self.value(e.then), self.value(e.otherwise)
            text = f"{test.inside(t.OR)} ? {then.inside(t.OR)} : {otherwise.inside(t.CHOICE)}"
            return C(text, t.CHOICE)
        if e.type is STRING:
            buffer = self.buffer(self.unit.sizes.expr(e, self.body))
            with self.w.block(f"if ({self.value(e.test)})", "} else {"):
                self.into(e.then, buffer)
            self.w.depth += 1
            self.into(e.otherwise, buffer)
            self.w.depth -= 1
            self.w.line("}")
            return C(buffer)
        found = self.temporary("s64")
        with self.w.block(f"if ({self.value(e.test)})", "} else {"):
            self.w.line(f"{found} = {self.value(e.then)};")
        self.w.depth += 1
        self.w.line(f"{found} = {self.value(e.otherwise)};")
        self.w.depth -= 1
        self.w.line("}")
        return C(found)

    def _argument(self, e: p.Argument) -> C:
        if self.body_hook is not None and self.body_hook.handler.has_arguments:
            return _narrow(f"arg{e.index}", e.size, e.signed)
        if e.index <= 5:
            return _narrow(f"SW_ARG{e.index}(regs)", e.size, e.signed)
        found = self.temporary("s64")
        self.w.line(f"{found} = sw_kernel_read(c, SW_STACK_ARG(regs, {e.index}), 8);")
        self.check("kernel read fault", e.span)
        return _narrow(found, e.size, e.signed)

    @property
    def body_hook(self) -> Hook | None:
        if not self.body.startswith("probe_"):
            return None
        return self.unit.program.probes[int(self.body.removeprefix("probe_"))].hook

    def _deref(self, e: p.Deref) -> C:
        address = self.value(e.address)
        found = self.temporary("u64")
        reader = "sw_user_read" if e.user else "sw_kernel_read"
        self.w.line(f"{found} = {reader}(c, {address}, {e.size});")
        self.check("kernel read fault", e.span)
        return _narrow(found, e.size, e.signed)

    def _store(self, e: p.Store) -> C:
        value = self.stable(e.value, self.value(e.value))
        match e.place:
            case p.Register(name=name):
                self.w.line(f"regs->{name} = {value};")
            case p.Verdict():
                self.w.line(f"verdict = {value};")
            case p.Deref(address=address, size=size):
                self.w.line(f"sw_kernel_write(c, {self.value(address)}, {value}, {size});")
                self.check("kernel write fault", e.span)
        return value

    def _guard(self, e: p.Guard) -> C:
        buffer = self.buffer(self.unit.sizes.expr(e, self.body))
        caught, done = self.label("caught"), self.label("guarded")
        outer, self.fail = self.fail, caught
        used, self.uses_fail = self.uses_fail, False
        self.into(e.value, buffer)
        self.fail, failed = outer, self.uses_fail
        self.uses_fail = used
        if failed:
            self.w.line(f"goto {done};")
            self.w.label(caught)
            self.w.line("c->error = NULL;")
            self.into(e.fallback, buffer)
            self.w.label(done)
            self.w.line(";")
        return C(buffer)

    def _chars(self, e: p.CharsAt) -> C:
        buffer = self.buffer(self.unit.sizes.expr(e, self.body))
        address = self.value(e.address)
        if e.length:
            self.w.line(
                f"sw_kernel_string_n(c, {buffer}, sizeof({buffer}), {address}, {e.length});"
            )
        else:
            self.w.line(f"sw_kernel_string(c, {buffer}, sizeof({buffer}), {address});")
        self.check("kernel string copy fault", e.span)
        return C(buffer)

    def _format(self, e: p.Format) -> C:
        buffer = self.buffer(self.unit.sizes.expr(e, self.body))
        values = self.in_order(*e.args)
        longs = [str(v) for v, a in zip(values, e.args, strict=True) if a.type is not STRING]
        strings = [str(v) for v, a in zip(values, e.args, strict=True) if a.type is STRING]
        with self.w.block(""):
            if longs:
                self.w.line(f"const s64 longs[] = {{ {', '.join(longs)} }};")
            if strings:
                self.w.line(f"const char *const strings[] = {{ {', '.join(strings)} }};")
            if longs or strings:
                self.w.line()
            self.w.line(
                f"sw_format(c, {buffer}, sizeof({buffer}), {t.string(e.format)}, "
                f"{'longs' if longs else 'NULL'}, {'strings' if strings else 'NULL'});"
            )
        if reads_memory(e.format):
            self.check("read fault", e.span)
        return C(buffer)

    def into(self, e: p.Expr, target: str, size: str = "", padded: bool = False) -> None:
        """Write a string to a buffer; `padded`: with NULs to its end."""
        size = size or f"sizeof({target})"
        copy = "sw_copy_key" if padded else "sw_copy"
        if isinstance(e, p.Call) and padded:
            f = self.unit.functions[e.function]
            fills = f.code is not None and embedded_c.PADDED in f.code
            if fills and f.bound == self.unit.sizes.result(e.function):
                self.call(e, target)
                return
        self.w.line(f"{copy}(c, {target}, {size}, {self.value(e)});")

    # ------------------------------------------------------------ calls

    def call(self, e: p.Call, target: str | None = None, *, used: bool = True) -> C:
        """A function's result; a string's goes to `target`, or to a buffer."""
        f = self.unit.functions[e.function]
        name = f"fn_{self.unit.name(e.function)}"
        values = [str(v) for v in self.in_order(*e.args)]
        first = "c" if f.code is not None else "a"
        if f.result is STRING:
            target = target or self.buffer(self.unit.sizes.result(e.function))
            self.w.line(f"{name}({', '.join([first, target, *values])});")
            found = C(target)
        else:
            text = f"{name}({', '.join([first, *values])})"
            if f.result is None or not used:
                self.w.line(f"{text};")
                found = C("0")
            elif f.pure and e.function not in self.unit.fallible:
                return C(text)
            else:
                temporary = self.temporary("s64")
                self.w.line(f"{temporary} = {text};")
                found = C(temporary)
        if e.function in self.unit.fallible:
            if f.code is not None:
                self.check(f"error in {f.name}()", e.span)
            else:
                self.propagate()
        return found


def _narrow(text: str, size: int, signed: bool) -> C:
    """A register's or memory's value as the s64 that the C type means."""
    sign = "s" if signed else "u"
    if size == 8:
        return C(f"(s64){text}", t.UNARY)
    return C(f"(s64)({sign}{8 * size}){text}", t.UNARY)


def _truth(value: C) -> str:
    return f"{value.inside(t.EQUALITY + 1)} != 0"
