# SPDX-License-Identifier: GPL-2.0-or-later
"""Embedded C: the user's functions and expressions in C, with the names that their text expects.

function twice:long (n:long) %{ STAP_RETVALUE = 2 * STAP_ARG_n; %}
  -> static s64 fn_twice(struct sw_context *c, s64 STAP_ARG_n) { s64 STAP_RETVALUE = 0; ... }
"""

from __future__ import annotations

import re

from compiler.codegen import c_writer as cw
from compiler.codegen.body_emitter import BodyEmitter, Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.data_layout import StoredGlobal
from compiler.ir import program as p
from compiler.ir.program import LONG, STRING
from compiler.ir.source import Span
from compiler.ir.walk import body_of, walk
from runtime.abi.manifest import Argument
from runtime.support.lazy_regex import pattern

_PRAGMAS = pattern(
    r"/\*\s*(?:pure|stable|unprivileged|myproc-unprivileged|guru|unmangled|unmodified-fnargs|string"
    r"|padded|bound:\s*\d+|pragma:[\w:]*)\s*\*/"
)
PADDED = (
    "/* padded */"  # the function writes NULs up to its result's bound: a key can be its target
)
_LEAVES = pattern(r"\bSTAP_(?:RETURN|ERROR|NEXT)\b|\bgoto\s+out\b")
_OWN_LABEL = pattern(r"^\s*out\s*:", re.MULTILINE)


def plain(code: str) -> str:
    """C without the comments that are annotations for this compiler."""
    return _PRAGMAS.sub("", code).strip()


def _dedented(code: str) -> list[str]:
    """The lines of C, without the indentation that all of them have."""
    lines = [line.rstrip() for line in code.strip("\n").splitlines()]
    least = min((len(line) - len(line.lstrip()) for line in lines if line), default=0)
    return "\n".join(line[least:] for line in lines).strip().splitlines()


def user_line(w: Writer, file: str, line: int) -> None:
    """The next line is at this line of the user's script, for the C compiler's messages."""
    w.raw(f"#line {line} {cw.string(file)}")


def _lines_before(code: str) -> int:
    """The number of lines before the first line of C, which are left out."""
    text = _PRAGMAS.sub("", code)
    return text[: len(text) - len(text.lstrip())].count("\n")


def function(unit: Unit, w: Writer, f: p.Function) -> None:
    """A function whose body is C: its parameters and result have the names that the code uses."""
    code = f.code or ""
    defined = _definitions(unit, f, code)
    w.raw(*(f"#define {name} {text}" for name, text in defined))
    w.line(_head(unit, f))
    with w.block(""):
        if f.reads or f.writes:
            w.line("struct area *a __maybe_unused = (struct area *)c;")
            w.line("struct shared *s = sw_shared;")
        if f.result is LONG:
            w.line("s64 STAP_RETVALUE = 0;")
        if f.result is LONG or f.reads or f.writes:
            w.line()
        if f.result is STRING:
            w.line("STAP_RETVALUE[0] = 0;")
        if "STAP_NEXT" in code:
            w.line("c->next = false;")
        _user_code(w, f, code)
        leaves = bool(_LEAVES.search(code)) and not _OWN_LABEL.search(code)
        if leaves:
            w.raw("out:")
        if f.result is LONG:
            w.line("return STAP_RETVALUE;")
        elif leaves:
            w.line("return;")
    w.raw(*(f"#undef {name.partition('(')[0]}" for name, _ in defined))


def _head(unit: Unit, f: p.Function) -> str:
    parameters = ["struct sw_context *c __maybe_unused"]
    if f.result is STRING:
        parameters.append("char *STAP_RETVALUE")
    for local in f.parameters:
        kind = "const char *" if local.type is STRING else "s64 "
        parameters.append(f"{kind}STAP_ARG_{local.name}")
    result = "s64" if f.result is LONG else "void"
    return f"static {result} fn_{unit.name(f.symbol)}({', '.join(parameters)})"


def _user_code(w: Writer, f: p.Function, code: str) -> None:
    """The user's own lines keep their numbers, empty ones included."""
    if not f.library:
        file, line, _ = f.span.location
        user_line(w, file, line + _lines_before(code))
    w.raw(*(f"\t{text.rstrip()}" if text else "" for text in _dedented(_PRAGMAS.sub("", code))))
    if not f.library:
        w.resume()


def _definitions(unit: Unit, f: p.Function, code: str) -> list[tuple[str, str]]:
    """The macros of one function: STAP_RETURN by its result's type, the site of STAP_PRINTF, its globals."""
    found = []
    if "STAP_RETURN" in code:
        kind = {LONG: "LONG", STRING: "STRING"}.get(f.result, "NOTHING") if f.result else "NOTHING"
        found.append(("STAP_RETURN(...)", f"SW_RETURN_{kind}(__VA_ARGS__)"))
    if "STAP_PRINTF" in code:
        found.append(_print_site(unit, f.span))
    for name, symbol in f.reads:
        found.append(_getter(unit.layout.globals[symbol], name))
    for name, symbol in f.writes:
        found.append(_setter(unit.layout.globals[symbol], name))
    return found


def operand(b: BodyEmitter, e: p.EmbeddedExpr) -> str:
    """An expression of C, after the macros that it uses; a block `{ ... }` becomes a GNU one with a value."""
    b.w.raw(*_macros(b.unit, e))
    if e.reads or e.writes:
        b.use("s")
    b.use("c")  # many macros of the embedded C's header expand to it
    return f"({plain(e.code)})"


def _macros(unit: Unit, e: p.EmbeddedExpr) -> list[str]:
    """Definitions before an expression of C. They are not undone, since later ones replace them."""
    found = [_getter(unit.layout.globals[symbol], name) for name, symbol in e.reads]
    found += [_setter(unit.layout.globals[symbol], name) for name, symbol in e.writes]
    if "STAP_PRINTF" in e.code:
        found.append(_print_site(unit, e.span))
    lines = []
    for name, value in found:
        lines += [f"#undef {name.partition('(')[0]}", f"#define {name} {value}"]
    return lines


def _print_site(unit: Unit, span: Span) -> tuple[str, str]:
    return "SW_PRINT_SITE", str(unit.print_site("%s", (Argument("text", STRING),), span))


def _getter(g: StoredGlobal, name: str) -> tuple[str, str]:
    if g.is_array:
        return f"STAP_GLOBAL_GET_{name}(...)", f"get_{g.c}(a, s, __VA_ARGS__)"
    return f"STAP_GLOBAL_GET_{name}()", f"(s->{g.c}{'.value' if g.g.type is STRING else ''})"


def _setter(g: StoredGlobal, name: str) -> tuple[str, str]:
    if g.is_array:
        return f"STAP_GLOBAL_SET_{name}(...)", f"set_{g.c}(a, s, __VA_ARGS__)"
    if g.g.type is STRING:
        place = f"s->{g.c}.value"
        return f"STAP_GLOBAL_SET_{name}(v)", f"sw_copy(c, {place}, sizeof({place}), v)"
    return f"STAP_GLOBAL_SET_{name}(v)", f"((void)(s->{g.c} = (v)))"


def accessors(w: Writer, unit: Unit) -> None:
    """Functions that embedded C calls to read and write elements of arrays."""
    bodies = [s for probe in unit.program.probes for s in probe.body.stmts]
    bodies += [s for f in unit.program.functions for s in body_of(f)]
    touched = [n for n in walk(*bodies) if isinstance(n, p.EmbeddedExpr)]
    read = {symbol for n in touched for _, symbol in n.reads}
    written = {symbol for n in touched for _, symbol in n.writes}
    for symbol, g in unit.layout.globals.items():
        if g.is_array and symbol in read:
            _array_getter(w, unit, g)
        if g.is_array and symbol in written:
            _array_setter(w, unit, g)


def _key(w: Writer, unit: Unit, g: StoredGlobal) -> None:
    """The key in the frame: with a few strings it is too large for the stack."""
    frame = f"struct key_{g.c} frame_embedded_{g.c};"
    if frame not in unit.frames:
        unit.frames.append(frame)
    w.line(f"struct key_{g.c} *key = &a->frame_embedded_{g.c};")


def _fill_key(w: Writer, unit: Unit, g: StoredGlobal) -> None:
    for i, key in enumerate(g.table.keys):
        member = f"key->{unit.name(key.name)}"
        if key.type is STRING:
            w.line(f"sw_copy_key(&a->c, {member}, sizeof({member}), k{i});")
        else:
            w.line(f"{member} = k{i};")


def _parameters(g: StoredGlobal) -> str:
    keys = [
        f"{'const char *' if key.type is STRING else 's64 '}k{i}"
        for i, key in enumerate(g.table.keys)
    ]
    return ", ".join(["struct area *a", "struct shared *s", *keys])


def _array_getter(w: Writer, unit: Unit, g: StoredGlobal) -> None:
    string = g.g.type is STRING
    w.line(f"static {'const char *' if string else 's64 '}get_{g.c}({_parameters(g)})")
    with w.block(""):
        _key(w, unit, g)
        w.line("u32 n;")
        w.line()
        _fill_key(w, unit, g)
        w.line(f"n = {g.finder}(&SW_ARRAY(s->{g.c}), key);")
        row = f"s->{g.c}_values[n - 1]"
        w.line(f"return n ? {row}{'.value' if string else ''} : {chr(34) * 2 if string else 0};")
    w.line()


def _array_setter(w: Writer, unit: Unit, g: StoredGlobal) -> None:
    string = g.g.type is STRING
    value = "const char *value" if string else "s64 value"
    w.line(f"static void set_{g.c}({_parameters(g)}, {value})")
    with w.block(""):
        _key(w, unit, g)
        w.line("u32 n;")
        w.line()
        _fill_key(w, unit, g)
        w.line(f"n = put_{g.c}(a, s, key);")
        w.line("if (n)")
        row = f"s->{g.c}_values[n - 1]"
        if string:
            w.line(f"\tsw_copy(&a->c, {row}.value, sizeof({row}.value), value);")
        else:
            w.line(f"\t{row} = value;")
    w.line()
