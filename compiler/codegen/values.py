# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions as C: pure ones nest, others become statements that come before.

a / b + f(x)   ->   if (unlikely(!b)) { sw_error(...); goto fail; }
                    t1 = fn_f(a, x);
                    and the expression `sw_divide(l_a, b) + t1`
"""

from __future__ import annotations

from typing import assert_never

from compiler import program as p
from compiler.bounds import Sizes
from compiler.codegen import embedded
from compiler.codegen import text as t
from compiler.codegen.layout import Layout, Placed
from compiler.codegen.printing import write_record
from compiler.codegen.text import C, Writer
from compiler.options import Options
from compiler.program import LONG, STRING
from compiler.source import Span
from compiler.traits import has_effect, reads_memory, walk
from runtime.manifest import ErrorSite, HistogramKind, Print
from runtime.record import dataclass, field

_ARITHMETIC = {
    "|": t.BIT_OR, "^": t.BIT_XOR, "&": t.BIT_AND, "+": t.ADD, "-": t.ADD, "*": t.MULTIPLY,
}  # fmt: skip
_CALLED = {
    "/": "sw_divide",
    "%": "sw_modulo",
    "<<": "sw_shift_left",
    ">>": "sw_shift_right",
    ">>>": "sw_shift_right_logical",
}


@dataclass(slots=True)
class Unit:
    """What all bodies of one file share."""

    program: p.Program
    layout: Layout
    sizes: Sizes
    options: Options
    functions: dict[str, p.Function]
    pure: frozenset[str]
    fallible: frozenset[str]
    recursive: frozenset[str]
    paying: frozenset[str]
    errors: dict[ErrorSite, int] = field(default_factory=dict)
    prints: list[Print] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)  # of the kernel, looked up at loading
    regexes: dict[tuple[str, bool], int] = field(default_factory=dict)  # pattern, captures

    def error(self, message: str, span: Span) -> int:
        """The number of an error's site in the manifest."""
        file, line, column = span.location
        site = ErrorSite(message, f"{file}:{line}:{column}")
        return self.errors.setdefault(site, len(self.errors))


@dataclass(slots=True)
class Values:
    """Emits one body's expressions. `body` names it; `fail` is where errors go."""

    unit: Unit
    w: Writer
    body: str
    fail: str = "fail"
    temporaries: list[str] = field(default_factory=list)  # declarations
    buffers: list[str] = field(default_factory=list)  # members of the frame
    labels: int = 0
    names: set[str] = field(default_factory=set)  # of locals, not to be hidden
    uses_fail: bool = False

    # ------------------------------------------------------------ names and places

    def temporary(self, c_type: str, stem: str = "t") -> str:
        number = len(self.temporaries) + 1
        while (found := f"{stem}{number}") in self.names:
            number += 1
        self.names.add(found)
        star = "" if c_type.endswith("*") else " "
        self.temporaries.append(f"{c_type}{star}{found};")
        return found

    def buffer(self, size: int) -> str:
        """A string buffer in the frame."""
        found = f"text_{len(self.buffers)}"
        self.buffers.append(f"char {found}[{size}];")
        return f"f->{found}"

    def label(self, stem: str) -> str:
        self.labels += 1
        return f"{stem}_{self.labels}"

    def placed(self, name: str) -> Placed:
        return self.unit.layout.globals[name]

    def local(self, local: p.Local) -> str:
        c = t.name(local.name)
        return f"f->{c}" if local.type is STRING else c

    def local_size(self, local: p.Local) -> int:
        return self.unit.sizes.get("local", self.body, local.name)

    # ------------------------------------------------------------ errors

    def raise_if(self, test: str, message: str, span: Span) -> None:
        """An error of the script, found by generated code."""
        site = self.unit.error(message, span)
        self.uses_fail = True
        with self.w.block(f"if (unlikely({test}))"):
            self.w.line(f"sw_error(c, {site}, {t.string(message)});")
            self.w.line(f"goto {self.fail};")

    def raise_error(self, message: str, span: Span) -> None:
        """An error of the script, whatever happens."""
        site = self.unit.error(message, span)
        self.uses_fail = True
        self.w.line(f"sw_error(c, {site}, {t.string(message)});")
        self.w.line(f"goto {self.fail};")

    def check(self, message: str, span: Span) -> None:
        """After a runtime function that may have set an error: give it its place."""
        site = self.unit.error(message, span)
        self.uses_fail = True
        with self.w.block("if (unlikely(c->error))"):
            self.w.line(f"c->error_site = {site};")
            self.w.line(f"goto {self.fail};")

    def propagate(self) -> None:
        """After a script function that may have failed; it has told where."""
        self.uses_fail = True
        self.w.line("if (unlikely(c->error))")
        self.w.line(f"\tgoto {self.fail};")

    # ------------------------------------------------------------ numbers and strings

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
                    | p.Register() | p.After()
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
                from compiler.codegen.printing import drawing

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
                for line in embedded.globals_used(self.unit, e.reads, e.writes):
                    self.w.lines.append(line)
                self.w.line(f"{found} = {embedded.plain(e.code)};")
                if e.fallible:
                    self.check("error in embedded C", e.span)
                return C(found)
            case _:
                assert_never(e)

    def _arithmetic(self, e: p.Arithmetic) -> C:
        left, right = self.in_order(e.left, e.right)
        if e.op in _CALLED:
            if e.op in ("/", "%") and not isinstance(e.right, p.Number):
                self.raise_if(f"!{right.inside(t.UNARY)}", "division by 0", e.span)
            elif e.op in ("/", "%") and e.right == p.Number(0, e.right.span):
                self.raise_if("true", "division by 0", e.span)
                return C("0")
            return C(f"{_CALLED[e.op]}({left}, {right})")
        tightness = _ARITHMETIC[e.op]
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
        if self.body_hook is p.HookKind.TRACEPOINT:
            return _narrow(f"arg{e.index}", e.size, e.signed)
        if e.index <= 5:
            return _narrow(f"SW_ARG{e.index}(regs)", e.size, e.signed)
        found = self.temporary("s64")
        self.w.line(f"{found} = sw_kernel_read(c, SW_STACK_ARG(regs, {e.index}), 8);")
        self.check("kernel read fault", e.span)
        return _narrow(found, e.size, e.signed)

    @property
    def body_hook(self) -> p.HookKind | None:
        if not self.body.startswith("probe_"):
            return None
        return self.unit.program.probes[int(self.body.removeprefix("probe_"))].hook.kind

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
            fills = f.code is not None and embedded.PADDED in f.code
            if fills and f.bound == self.unit.sizes.result(e.function):
                self.call(e, target)
                return
        self.w.line(f"{copy}(c, {target}, {size}, {self.value(e)});")

    # ------------------------------------------------------------ calls

    def call(self, e: p.Call, target: str | None = None, *, used: bool = True) -> C:
        """A function's result; a string's goes to `target`, or to a buffer."""
        f = self.unit.functions[e.function]
        name = f"fn_{t.name(e.function)}"
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

    # ------------------------------------------------------------ globals

    def key(self, g: Placed, keys: tuple[p.Expr, ...]) -> str:
        """A key struct, filled; gives its address. In the frame: keys may be larger than a stack likes."""
        found = f"f->key_{len(self.buffers)}"
        self.buffers.append(f"struct key_{g.c} {found.removeprefix('f->')};")
        for key, e in zip(g.table.keys, keys, strict=True):
            member = f"{found}.{t.name(key.name)}"
            if key.type is STRING:
                self.into(e, member, padded=True)
            else:
                self.w.line(f"{member} = {self.value(e)};")
        return f"&{found}"

    def scalar(self, g: Placed) -> str:
        """The row of a scalar: in this CPU's lane, or shared."""
        return f"a->lane.{g.c}" if g.percpu else f"s->{g.c}"

    def lane_offset(self, g: Placed, n: str = "") -> str:
        """The offset of a row in every lane."""
        if n:
            return f"offsetof(struct lane, {g.c}) + ({n} - 1) * sizeof({g.row.c_type})"
        return f"offsetof(struct lane, {g.c})"

    def find(self, e: p.GlobalRef) -> str:
        """1 + the slot of an element, or 0, in a temporary."""
        g = self.placed(e.name)
        key = self.key(g, e.keys)
        n = self.temporary("u32", "n")
        self.w.line(f"{n} = {g.finder}(&SW_ARRAY(s->{g.c}), {key});")
        return n

    def read(self, e: p.GlobalRef) -> C:
        """A number or string; 0 or "" for an element that is not there."""
        g = self.placed(e.name)
        if not e.keys:
            if g.percpu:
                return C(f"sw_lanes_sum({self.lane_offset(g)})")
            return C(f"{self.scalar(g)}.value" if e.type is STRING else self.scalar(g))
        n = self.find(e)
        row = f"s->{g.c}_values[{n} - 1]"
        if e.type is STRING:
            buffer = self.buffer(g.row.size)
            self.w.line(f'sw_copy(c, {buffer}, sizeof({buffer}), {n} ? {row}.value : "");')
            return C(buffer)
        found = self.temporary("s64")
        value = f"sw_lanes_sum({self.lane_offset(g, n)})" if g.percpu else row
        self.w.line(f"{found} = {n} ? {value} : 0;")
        return C(found)

    def _in(self, e: p.In) -> C:
        g = self.placed(e.name)
        found = self.temporary("s64")
        if all(k is not None for k in e.keys):
            key = self.key(g, tuple(k for k in e.keys if k is not None))
            self.w.line(f"{found} = {g.finder}(&SW_ARRAY(s->{g.c}), {key}) != 0;")
            return C(found)
        wanted = self.slice_values(e.keys)
        self.w.line(f"{found} = 0;")
        n = self.temporary("u32", "n")
        with self.w.block(each_slot(g, n)):
            self.w.line(f"if ({self.slice_test(g, n, wanted)})")
            self.w.line(f"\t{found} = 1;")
        return C(found)

    def slice_values(self, keys: tuple[p.Expr | None, ...]) -> list[str | None]:
        """The keys of a slice that are no `*`, evaluated once."""
        found: list[str | None] = []
        for key in keys:
            found.append(None if key is None else str(self.stable(key, self.value(key))))
        return found

    def slice_test(self, g: Placed, n: str, wanted: list[str | None]) -> str:
        """Whether slot n belongs to a slice."""
        tests = []
        for key, value in zip(g.table.keys, wanted, strict=True):
            member = f"s->{g.c}.slots[{n} - 1].key.{t.name(key.name)}"
            if value is not None:
                tests.append(
                    f"!sw_compare({member}, {value})"
                    if key.type is STRING
                    else f"{member} == {value}"
                )
        return " && ".join(tests) or "true"

    def early_key(self, e: p.GlobalRef, value: p.Expr) -> str:
        """The key of an element that gets a value, if it matters that keys are evaluated first."""
        if any(has_effect(x, self.unit.pure) for x in (*e.keys, value)) and e.keys:
            return self.key(self.placed(e.name), e.keys)
        return ""

    def row(self, e: p.GlobalRef, span: Span, key: str = "") -> tuple[str, str]:
        """A place to write to, and the test that it is there ("": it is): an array may be full."""
        g = self.placed(e.name)
        if not e.keys:
            return self.scalar(g), ""
        key = key or self.key(g, e.keys)
        n = self.temporary("u32", "n")
        self.w.line(f"{n} = {'add' if g.percpu else 'put'}_{g.c}(a, s, {key});")
        place = f"a->lane.{g.c}[{n} - 1]" if g.percpu else f"s->{g.c}_values[{n} - 1]"
        if self.unit.options.strict:
            self.raise_if(f"!{n}", "array overflow, check MAXMAPENTRIES", span)
            return place, ""
        return place, n

    def assign(self, e: p.Assign, *, used: bool) -> C:
        """`target op= value`; with `used` the new value is given."""
        match e.target:
            case p.LocalRef(local=local):
                return self._assign_local(e, local)
            case p.GlobalRef() as target:
                return self._assign_global(e, target, used)

    def _combined(self, e: p.Assign, old: p.Expr | C) -> C:
        if e.op is None:
            return self.value(e.value)
        right = self.value(e.value)
        left = old if isinstance(old, C) else self.value(old)
        if e.op in _CALLED:
            if e.op in ("/", "%") and not (isinstance(e.value, p.Number) and e.value.value):
                right = self.stable(e.value, right)
                self.raise_if(f"!{right}", "division by 0", e.span)
            return C(f"{_CALLED[e.op]}({left}, {right})")
        tightness = _ARITHMETIC[e.op]
        return C(f"{left.inside(tightness)} {e.op} {right.inside(tightness + 1)}", tightness)

    def _assign_local(self, e: p.Assign, local: p.Local) -> C:
        c = self.local(local)
        if local.type is STRING:
            size = f"sizeof({c})"
            value = self.value(e.value)
            if e.op == ".":
                self.w.line(f"sw_concat(c, {c}, {size}, {c}, {value});")
            else:
                self.w.line(f"sw_copy(c, {c}, {size}, {value});")
            return C(c)
        if e.op in ("+", "-", "*", "|", "&", "^"):
            self.w.line(f"{c} {e.op}= {self.value(e.value)};")
        else:
            self.w.line(f"{c} = {self._combined(e, C(c))};")
        return C(c)

    def _assign_global(self, e: p.Assign, target: p.GlobalRef, used: bool) -> C:
        g = self.placed(target.name)
        key = self.early_key(target, e.value)
        # the value before the element: a fault in it must not leave a new one behind
        value = self.value(e.value)
        if target.keys or g.percpu or used:
            value = self.stable(e.value, value)
        if e.op in ("/", "%") and not (isinstance(e.value, p.Number) and e.value.value):
            value = self.stable(e.value, value)
            self.raise_if(f"!{value}", "division by 0", e.span)
        place, there = self.row(target, e.span, key)
        if there:
            self.w.line(f"if (likely({there})) {{")
            self.w.depth += 1
        if target.type is STRING:
            member = f"{place}.value"
            if e.op == ".":
                self.w.line(f"sw_concat(c, {member}, sizeof({member}), {member}, {value});")
            else:
                self.w.line(f"sw_copy(c, {member}, sizeof({member}), {value});")
            found = C(member)
        else:
            if e.op in ("+", "-", "*", "|", "&", "^"):
                self.w.line(f"{place} {e.op}= {value};")
            else:
                new = value if e.op is None else f"{_CALLED[e.op]}({place}, {value})"
                self.w.line(f"{place} = {new};")
            found = C(place, t.UNARY)
        if there:
            self.w.depth -= 1
            self.w.line("}")
        if used:
            if there:
                return self._after(there, found, target)
            return self.stable(target, found)
        return found

    def _after(self, there: str, found: C, target: p.GlobalRef) -> C:
        if target.type is STRING:
            return C(f'({there} ? {found} : "")')
        kept = self.temporary("s64")
        self.w.line(f"{kept} = {there} ? {found} : 0;")
        return C(kept)

    def increment(self, e: p.Increment, *, used: bool) -> C:
        """`x++` and its kin."""
        op = "++" if e.step > 0 else "--"
        match e.target:
            case p.LocalRef(local=local):
                c = self.local(local)
                if used and not e.prefix:
                    old = self.temporary("s64")
                    self.w.line(f"{old} = {c};")
                    self.w.line(f"{c}{op};")
                    return C(old)
                self.w.line(f"{c}{op};")
                return C(c)
            case p.GlobalRef() as target:
                place, there = self.row(target, e.span)
                if not used:
                    if there:
                        self.w.line(f"if (likely({there}))")
                    self.w.line(f"{chr(9) if there else ''}{place}{op};")
                    return C("0")
                found = self.temporary("s64")
                value = f"{op}{place}" if e.prefix else f"{place}{op}"
                self.w.line(f"{found} = {there} ? {value} : 0;" if there else f"{found} = {value};")
                return C(found)

    # ------------------------------------------------------------ statistics

    def accumulate(self, s: p.Accumulate) -> None:
        """`target <<< value`."""
        g = self.placed(s.target.name)
        key = self.early_key(s.target, s.value)
        value = self.value(s.value)
        if s.target.keys:
            value = self.stable(s.value, value)
        place, there = self.row(s.target, s.span, key)
        if there:
            self.w.line(f"if (likely({there}))")
        self.w.line(f"{chr(9) if there else ''}fill_{g.c}(&{place}, {value});")

    def stat_place(self, e: p.GlobalRef) -> tuple[str, str, str]:
        """For merging: a test that the statistic exists, its lane offset, its shared row."""
        g = self.placed(e.name)
        if not e.keys:
            shared = "NULL" if g.percpu else f"&s->{g.c}"
            return "true", self.lane_offset(g) if g.percpu else "0", shared
        return self.stat_at(g, self.find(e))

    def stat_at(self, g: Placed, n: str) -> tuple[str, str, str]:
        if g.percpu:
            return n, self.lane_offset(g, n), "NULL"
        return n, "0", f"&s->{g.c}_values[{n} - 1]"

    def merged(self, g: Placed, exists: str, offset: str, shared: str) -> str:
        """A struct sw_stat_value with the statistic's values, zeros where there is none."""
        found = self.temporary("struct sw_stat_value", "stat")
        merge = f"sw_stat_merge(&layout_{g.c}, {offset}, {shared}, &{found});"
        if exists == "true":
            self.w.line(merge)
            return found
        with self.w.block(f"if ({exists})", "} else {"):
            self.w.line(merge)
        self.w.line(f"\t{found} = (struct sw_stat_value){{ 0 }};")
        self.w.line("}")
        return found

    def _extract(self, e: p.Extract) -> C:
        g = self.placed(e.stat.name)
        stat = self.merged(g, *self.stat_place(e.stat))
        if e.extractor in ("count", "sum"):
            return C(f"{stat}.{e.extractor}")
        self.raise_if(f"!{stat}.count", "empty aggregate", e.span)
        if e.extractor == "avg":
            return C(f"sw_divide({stat}.sum, {stat}.count)")
        return C(f"{stat}.{e.extractor}")

    def _bucket(self, e: p.Bucket) -> C:
        g = self.placed(e.buckets.stat.name)
        index = self.stable(e.index, self.value(e.index))
        place = self.stat_place(e.buckets.stat)
        _, offset, shared = place
        self.raise_if(f"!{self.merged(g, *place)}.count", "empty aggregate", e.span)
        count = e.buckets.histogram.buckets
        self.raise_if(f"{index} < 0 || {index} >= {count}", "histogram index out of range", e.span)
        found = self.temporary("s64")
        self.w.line(f"{found} = sw_stat_bucket(&layout_{g.c}, {offset}, {shared}, {index});")
        return C(found)


def each_slot(g: Placed, n: str) -> str:
    """The head of a loop over live slots, in order of insertion."""
    if g.percpu:
        return f"for ({n} = 1; {n} <= sw_load_acquire(&s->{g.c}.head.used); {n}++)"
    return f"for ({n} = s->{g.c}.head.first; {n}; {n} = s->{g.c}.slots[{n} - 1].slot.next)"


def bucket_of(g: Placed, value: str) -> str:
    """The bucket number that counts a value."""
    assert g.row.statistic is not None and g.row.statistic.histogram is not None
    h = g.row.statistic.histogram
    match h.kind:
        case HistogramKind.LOG2:
            return f"sw_log2_{'signed_' if h.negative else ''}bucket({value})"
        case HistogramKind.LINEAR:
            return f"sw_linear_bucket({value}, {h.low}, {h.high}, {h.interval})"
        case HistogramKind.BOUNDS:
            return f"sw_bounds_bucket({value}, bounds_{g.c}, {len(h.bounds)})"
        case _:
            assert_never(h.kind)


def _narrow(text: str, size: int, signed: bool) -> C:
    """A register's or memory's value as the s64 that the C type means."""
    sign = "s" if signed else "u"
    if size == 8:
        return C(f"(s64){text}", t.UNARY)
    return C(f"(s64)({sign}{8 * size}){text}", t.UNARY)


def _truth(value: C) -> str:
    return f"{value.inside(t.EQUALITY + 1)} != 0"
