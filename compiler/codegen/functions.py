# SPDX-License-Identifier: GPL-2.0-or-later
"""A script's functions in C.

function_text(unit, twice) -> static s64 fn_twice(struct sw_context *c, s64 n) { ... }
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.codegen import embedded_c
from compiler.codegen.body_emitter import Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.expressions import Values
from compiler.codegen.statements import Statements
from compiler.ir import program as p
from compiler.ir import traits
from compiler.ir.program import LONG, STRING


def callees_first(functions: Sequence[p.Function]) -> list[p.Function]:
    """C wants functions declared before they are called; recursive ones get a prototype."""
    by_symbol = {f.symbol: f for f in functions}
    done: dict[str, p.Function] = {}
    under_way: set[str] = set()

    def visit(f: p.Function) -> None:
        if f.symbol in done or f.symbol in under_way:
            return
        under_way.add(f.symbol)
        for symbol in sorted(traits.calls(traits.body_of(f))):
            visit(by_symbol[symbol])
        under_way.discard(f.symbol)
        done[f.symbol] = f

    for f in functions:
        visit(f)
    return list(done.values())


def function_text(unit: Unit, f: p.Function) -> str:
    file, line, _ = f.span.location
    w = Writer()
    w.line(f"/* {file}:{line}: function {f.name} */")
    if f.code is not None:
        embedded_c.function(unit, w, f)
        return w.text()
    w.line(head_of(unit, f))
    inner = Writer(depth=1)
    v = Values(unit, inner, f.symbol)
    v.names |= {unit.name(x.name) for x in f.parameters}
    s = Statements(v, result=f)
    body = f.body
    assert body is not None
    nested = f.symbol in unit.recursive
    if nested:
        inner.line("c->depth++;")
    strings = [x for x in f.parameters if x.type is STRING]
    for x in strings:
        inner.line(f"sw_copy(c, {v.local(x)}, sizeof({v.local(x)}), {unit.name(x.name)}_given);")
    longs = zeroed(unit, v, body.locals)
    if f.symbol in unit.paying:
        s.pay(body.stmts, f.span)
    s.emit(body.stmts)
    frame = frame_lines(unit, v, f"fn_{unit.name(f.symbol)}", (*strings, *body.locals), nested)
    with w.block(""):
        w.line("struct sw_context *c __maybe_unused = &a->c;")
        w.line("struct shared *s __maybe_unused = sw_shared;")
        if frame:
            w.line(f"{frame};")
        if f.result is LONG:
            w.line("s64 result = 0;")
        for declaration in (*longs, *v.temporaries):
            w.line(declaration)
        w.line()
        if f.result is STRING:
            w.line("result[0] = 0;")
        if nested:
            site = unit.error("MAXNESTING exceeded", f.span)
            with w.block("if (unlikely(c->depth >= MAXNESTING))"):
                w.line(f'sw_error(c, {site}, "MAXNESTING exceeded");')
                w.line("return 0;" if f.result is LONG else "return;")
        w.lines += inner.lines
        if v.uses_fail:
            w.label("fail")
        if s.uses_out:
            w.label("out")
        if nested:
            w.line("c->depth--;")
        if f.result is LONG:
            w.line("return result;")
        elif v.uses_fail or s.uses_out:
            w.line("return;")
    return w.text()


def head_of(unit: Unit, f: p.Function) -> str:
    parameters = ["struct area *a"]
    if f.result is STRING:
        parameters.append("char *result")
    for local in f.parameters:
        given = f"{unit.name(local.name)}_given" if local.type is STRING else unit.name(local.name)
        parameters.append(f"const char *{given}" if local.type is STRING else f"s64 {given}")
    result = "s64" if f.result is LONG else "void"
    return f"static {result} fn_{unit.name(f.symbol)}({', '.join(parameters)})"


def zeroed(unit: Unit, v: Values, locals_: Sequence[p.Local]) -> list[str]:
    """Declarations of a body's numbers; its strings are emptied in the frame."""
    declarations = []
    for local in locals_:
        v.names.add(unit.name(local.name))
    for local in locals_:
        if local.type is STRING:
            v.w.line(f"{v.local(local)}[0] = 0;")
        else:
            declarations.append(f"s64 {unit.name(local.name)} = 0;")
    return declarations


def frame_lines(
    unit: Unit, v: Values, name: str, locals_: Sequence[p.Local], nested: bool = False
) -> str:
    """Adds the body's strings to each CPU's block; gives the declaration of `f`, or ""."""
    members = [
        f"char {unit.name(x.name)}[{v.local_size(x)}];" for x in locals_ if x.type is STRING
    ] + v.buffers
    if not members:
        return ""
    count = "[MAXNESTING + 1]" if nested else ""
    unit.frames.append(f"struct {{ {' '.join(members)} }} frame_{name}{count};")
    place = f"a->frame_{name}" + ("[c->depth]" if nested else "")
    return f"__typeof__({place}) *f = &{place}"
