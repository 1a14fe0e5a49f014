# SPDX-License-Identifier: GPL-2.0-or-later
"""The body of C under way: its temporaries and buffers, where its errors go, and what it has used.

b.temporary("s64")                       -> "t1"
b.raise_if("!b", "division by 0", span)  -> if (unlikely(!b)) { ... goto fail; }
b.c                                      -> "c", and the handler knows that it has to declare `c`

The functions that emit expressions and statements are in modules by topic and take the emitter as their
first argument. They form layers, from the bottom up:

    body_emitter, operands, global_access, event_records, expressions, statements

A layer that has to emit an expression inside of what it emits calls `b.value`, which is `expressions.value`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from compiler.analysis.string_sizes import StringSizes
from compiler.codegen import c_writer as cw
from compiler.codegen.c_writer import C, Writer
from compiler.codegen.costs import Costs
from compiler.codegen.data_layout import Layout, StoredGlobal
from compiler.codegen.error_sites import ErrorSites, location
from compiler.ir import program as p
from compiler.ir.options import Options
from compiler.ir.program import STRING, BodyId
from compiler.ir.source import Span, exact
from runtime.abi.manifest import Argument, Print
from runtime.support.record import field, record

ENDED = "sw_ended"  # as an error: the handler ends here, whatever catches errors
_STRUCT_WORDS = 5  # of a struct sw_stat_value, the only struct among temporaries


@record(frozen=False)
class Unit:
    """The state that all bodies of one generated file share."""

    program: p.Program
    layout: Layout
    sizes: StringSizes
    options: Options
    functions: dict[str, p.Function]
    pure: frozenset[str]
    fallible: frozenset[str]  # functions that are emitted join when they are found to be
    recursive: frozenset[str]
    costs: Costs
    checked: frozenset[str]  # functions that compare the stack pointer with its bound
    rest_of_actions: dict[int, int] = field(default_factory=dict)  # see charge.h; by probe
    stack_words: dict[str, int] = field(default_factory=dict)  # see stack_use.py; by function
    errors: ErrorSites = field(default_factory=ErrorSites)
    prints: dict[Print, int] = field(default_factory=dict)
    frames: list[str] = field(default_factory=list)
    symbols: dict[str, int] = field(default_factory=dict)  # the kernel's, looked up at loading
    regexes: dict[tuple[str, bool], int] = field(default_factory=dict)  # pattern, captures

    @property
    def name(self) -> cw.Names:
        return self.layout.names

    @property
    def paying(self) -> frozenset[str]:
        """Functions that pay for their statements; callers pay for those of others."""
        return self.costs.paying

    @property
    def ends_itself(self) -> bool:
        """Whether a function that the script calls ends the handler for good, as abort() does."""
        return any(f.code is not None and ENDED in f.code for f in self.program.functions)

    def print_site(
        self, form: str, arguments: tuple[Argument, ...], span: Span, log: bool = False
    ) -> int:
        """The number of a printing statement in the manifest."""
        site = Print(exact(form), arguments, location(span), log)
        return self.prints.setdefault(site, len(self.prints))


@record(frozen=False)
class BodyEmitter:
    """One body under way. Emitted lines go to `w`; the other fields record what these lines rely on."""

    unit: Unit
    body: BodyId
    emit_value: Callable[[BodyEmitter, p.Expr], C]
    function: p.Function | None = None  # the script function whose body this is
    spills: bool = False  # its numbers are in the frame: they are too many for the stack
    in_hit: bool = True  # False: a condition that is tested elsewhere; it pays for nothing
    w: Writer = field(default_factory=lambda: Writer(depth=1))
    fail: str = "fail"  # the label where errors go
    continues: list[str] = field(default_factory=list)  # of loops: a label, "" for C's `continue`
    labels: int = 0
    names: set[str] = field(default_factory=set)  # of locals, which temporaries must not hide
    temporaries: dict[str, str] = field(default_factory=dict)  # declarations by name
    buffers: list[str] = field(default_factory=list)  # members of the frame
    numbers: list[str] = field(default_factory=list)  # likewise, of its struct `data`
    live_words: int = 0  # words of temporaries that are in use at once
    most_live_words: int = 0
    struct_words: int = 0
    used: set[str] = field(default_factory=set)  # C variables that the handler has to declare
    prepares: bool = (
        False  # it prints, catches errors, or calls a function that may use the context
    )

    def value(self, e: p.Expr) -> C:
        """An expression as C; what cannot nest becomes statements before it."""
        return self.emit_value(self, e)

    # ------------------------------------------------------------ names

    def use(self, name: str) -> str:
        """The name of a C variable of the handler, which is then declared."""
        self.used.add(name)
        return name

    @property
    def c(self) -> str:
        """The context of this CPU."""
        if not self.in_hit:
            return "NULL"
        self.used.add("c")
        return "c"

    @property
    def s(self) -> str:
        """The region that all CPUs share."""
        self.used.add("s")
        return "s"

    def temporary(self, c_type: str, stem: str = "t") -> str:
        number = len(self.temporaries) + len(self.numbers) + 1
        while (found := f"{stem}{number}") in self.names:
            number += 1
        self.names.add(found)
        star = "" if c_type.endswith("*") else " "
        declaration = f"{c_type}{star}{found};"
        if self.spills:
            return self.spilled(c_type, found)
        self.temporaries[found] = declaration
        if c_type.startswith("struct"):
            self.struct_words += _STRUCT_WORDS
            self.live_words += _STRUCT_WORDS
        else:
            self.live_words += 1
        self.most_live_words = max(self.most_live_words, self.live_words)
        return found

    def spilled(self, c_type: str, name: str) -> str:
        """A number in the frame. volatile: gcc would keep it on the stack as well, from its first use to
        its last."""
        kept = c_type if c_type.startswith("struct") else f"{c_type} volatile"
        self.numbers.append(f"{kept} {name};")
        return f"f->data.{name}"

    @contextmanager
    def statement(self) -> Iterator[None]:
        """A statement's temporaries are free after it. gcc does not use a struct's place again."""
        before, structs = self.live_words, self.struct_words
        yield
        self.live_words = before + self.struct_words - structs

    def buffer(self, size: int) -> str:
        """A string buffer in the frame."""
        found = f"text_{len(self.buffers)}"
        self.buffers.append(f"char {found}[{size}];")
        return f"f->{found}"

    def size_of(self, e: p.Expr) -> int:
        """The bytes of a string expression at most."""
        return self.unit.sizes.expr(e, self.body)

    def text_buffer(self, e: p.Expr) -> str:
        """A buffer that is large enough for a string expression."""
        return self.buffer(self.size_of(e))

    def label(self, stem: str) -> str:
        self.labels += 1
        return f"{stem}_{self.labels}"

    def stored(self, name: str) -> StoredGlobal:
        return self.unit.layout.globals[name]

    def local(self, local: p.Local) -> str:
        c = self.unit.name(local.name)
        if local.type is STRING:
            return f"f->{c}"
        if self.spills and (self.function is None or local not in self.function.parameters):
            return f"f->data.{c}"
        return c

    # ------------------------------------------------------------ errors

    @property
    def fails(self) -> bool:
        """Whether an error may end the body."""
        return self.w.jumps_to("fail")

    def raise_if(self, test: str, message: str, span: Span) -> None:
        """A script error that generated code detects."""
        with self.w.block(f"if (unlikely({test}))"):
            self.raise_error(message, span)

    def raise_error(self, message: str, span: Span) -> None:
        """A script error in any case."""
        site = self.unit.errors.number(message, span)
        self.w.line(f"sw_error({self.c}, {site}, {cw.string(message)});")
        self.w.jump(self.fail)

    def unless(self, test: str, message: str, span: Span) -> None:
        """A test by a runtime function that has set an error if it is false."""
        self.use("c")
        with self.w.block(f"if (unlikely(!{test}))"):
            self.w.line(f"c->error_site = {self.unit.errors.number(message, span)};")
            self.w.jump(self.fail)

    def check(self, message: str, span: Span) -> None:
        """After a runtime function that may have set an error: gives the error its location."""
        site = self.unit.errors.number(message, span)
        with self.w.block(f"if (unlikely({self.c}->error))"):
            self.w.line(f"c->error_site = {site};")
            self.w.jump(self.fail)

    def propagate(self, f: p.Function, span: Span) -> None:
        """After a call of a script function that may have failed: its error has a location, and gets a
        caller."""
        test = f"unlikely({self.c}->error)"
        calls = self.unit.errors.calls(f.symbol, f.name, span)
        if calls is None:
            self.w.jump_if(test, self.fail)
            return
        with self.w.block(f"if ({test})"):
            self.w.line(f"sw_error_called(c, {calls.first}, {calls.count}, {calls.here});")
            self.w.jump(self.fail)
