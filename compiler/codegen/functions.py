# SPDX-License-Identifier: GPL-2.0-or-later
"""A script's functions in C.

function_text(unit, twice) -> static s64 fn_twice(struct sw_context *c, s64 n) { ... }
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.codegen import embedded_c
from compiler.codegen.body_emitter import BodyEmitter, Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.costs import Cost
from compiler.codegen.expressions import body_emitter
from compiler.codegen.operands import copy
from compiler.codegen.stack_use import MOST_WORDS, MOST_WORDS_OF_A_LEVEL, bounded
from compiler.codegen.statements import OUT, emit, emit_paid
from compiler.ir import program as p
from compiler.ir.program import LONG, STRING
from compiler.ir.walk import body_of, calls

_OVERFLOW = "stack overflow, functions are nested too deep"


def callees_first(functions: Sequence[p.Function]) -> list[p.Function]:
    """The functions, callees before their callers, as C requires; recursive ones get a prototype."""
    by_symbol = {f.symbol: f for f in functions}
    done: dict[str, p.Function] = {}
    under_way: set[str] = set()

    def visit(f: p.Function) -> None:
        if f.symbol in done or f.symbol in under_way:
            return
        under_way.add(f.symbol)
        for symbol in sorted(calls(body_of(f))):
            visit(by_symbol[symbol])
        under_way.discard(f.symbol)
        done[f.symbol] = f

    for f in functions:
        visit(f)
    return list(done.values())


def function_text(unit: Unit, f: p.Function) -> Writer:
    file, line, _ = f.span.location
    w = Writer()
    w.line(f"/* {file}:{line}: function {f.name} */")
    if f.code is not None:
        embedded_c.function(unit, w, f)
    else:
        first = unit.errors.begin()
        _scripted(unit, w, f)
        unit.errors.end(f.symbol, first)
    return w


def _scripted(unit: Unit, w: Writer, f: p.Function) -> None:
    assert f.body is not None
    body = f.body
    nested = f.symbol in unit.recursive
    longs: list[str] = []

    def make(spills: bool) -> BodyEmitter:
        b = body_emitter(unit, ("function", f.symbol), f, spills=spills)
        longs[:] = _emit_body(b, f, body)
        return b

    most = MOST_WORDS_OF_A_LEVEL if nested else MOST_WORDS
    b = bounded(unit, make, body.locals, body.stmts, most)
    if b.fails:
        unit.fallible |= {f.symbol}
    strings = [x for x in f.parameters if x.type is STRING]
    name = f"fn_{unit.name(f.symbol)}"
    has_frame = add_frame(b, name, (*strings, *f.body.locals), nested)
    w.line(head_of(unit, f))
    with w.block(""):
        w.line("struct sw_context *c __maybe_unused = &a->c;")
        w.line("struct shared *s __maybe_unused = sw_shared;")
        if has_frame:
            frame = f"a->frame_{name}" + ("[c->depth]" if nested else "")
            w.line(f"__typeof__({frame}) *f = &{frame};")
        if f.result is LONG:
            w.line("s64 result = 0;")
        for declaration in (*longs, *b.temporaries.values()):
            w.line(declaration)
        w.line()
        if f.result is STRING:
            w.line("result[0] = 0;")
        if f.symbol in unit.checked:
            _limit_nesting(unit, w, f)
        w.extend(b.w)
        labelled = w.label("fail", OUT)
        if nested:
            w.line("c->depth--;")
        if f.result is LONG:
            w.line("return result;")
        elif labelled:
            w.line("return;")


def _emit_body(b: BodyEmitter, f: p.Function, body: p.Body) -> list[str]:
    """Emits a function's own lines; returns the declarations of its numbers."""
    name = b.unit.name
    b.names |= {name(x.name) for x in f.parameters}
    if f.symbol in b.unit.recursive:
        b.w.line("c->depth++;")
    for x in f.parameters:
        if x.type is STRING:
            c = b.local(x)
            size = b.unit.sizes.local(b.body, x.name)
            copy(b, c, f"sizeof({c})", f"{name(x.name)}_given", size, f.span)
    longs = zeroed(b, body.locals)
    if f.symbol in b.unit.paying:
        emit_paid(b, body.stmts, Cost(1, len(body.locals)), f.span)
    else:
        emit(b, body.stmts)
    return longs


def _limit_nesting(unit: Unit, w: Writer, f: p.Function) -> None:
    """A call that is nested too deep has no frame, so this is tested before the frame is used."""
    tests = [("sw_stack_is_short(c)", _OVERFLOW)]
    if f.symbol in unit.recursive:
        tests.insert(0, ("c->depth >= MAXNESTING", "MAXNESTING exceeded"))
    for test, message in tests:
        site = unit.errors.number(message, f.span)
        with w.block(f"if (unlikely({test}))"):
            w.line(f'sw_error(c, {site}, "{message}");')
            w.line("return 0;" if f.result is LONG else "return;")


def head_of(unit: Unit, f: p.Function) -> str:
    parameters = ["struct area *a"]
    if f.result is STRING:
        parameters.append("char *result")
    for local in f.parameters:
        given = f"{unit.name(local.name)}_given" if local.type is STRING else unit.name(local.name)
        parameters.append(f"const char *{given}" if local.type is STRING else f"s64 {given}")
    result = "s64" if f.result is LONG else "void"
    if f.symbol in unit.checked:  # one frame for each call, as the bound of its size supposes
        result = f"noinline {result}"
    return f"static {result} fn_{unit.name(f.symbol)}({', '.join(parameters)})"


def zeroed(b: BodyEmitter, locals_: Sequence[p.Local]) -> list[str]:
    """Declarations of a body's numbers; its strings are emptied in the frame."""
    names = {local: b.unit.name(local.name) for local in locals_}
    b.names.update(names.values())
    for local in locals_:
        if local.type is STRING:
            b.w.line(f"{b.local(local)}[0] = 0;")
    if b.spills:
        for local, c in names.items():
            if local.type is not STRING:
                b.spilled("s64", c)
        b.w.line("__builtin_memset(&f->data, 0, sizeof(f->data));")
        return []
    return [f"s64 {name} = 0;" for local, name in names.items() if local.type is not STRING]


def add_frame(b: BodyEmitter, name: str, locals_: Sequence[p.Local], nested: bool = False) -> bool:
    """Adds the body's strings, and the numbers that it spills, to each CPU's block, as `frame_NAME`; False
    if it has none."""
    members = [
        f"char {b.unit.name(x.name)}[{b.unit.sizes.local(b.body, x.name)}];"
        for x in locals_
        if x.type is STRING
    ]
    members += b.buffers
    if b.numbers:
        members.append(f"struct {{ {' '.join(b.numbers)} }} data;")
    if members:
        count = "[MAXNESTING + 1]" if nested else ""
        b.unit.frames.append(f"struct {{ {' '.join(members)} }} frame_{name}{count};")
    return bool(members)
