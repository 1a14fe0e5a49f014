# SPDX-License-Identifier: GPL-2.0-or-later
"""One script's C file and manifest, put together.

generate(program, identity, options) -> Generated(c_text, manifest, needs_kernel_headers)
"""

from __future__ import annotations

from compiler.analysis import probe_conditions
from compiler.analysis.string_sizes import measure
from compiler.codegen import c_writer as t
from compiler.codegen import embedded_c
from compiler.codegen.body_emitter import Unit
from compiler.codegen.c_writer import Names, Writer
from compiler.codegen.data_layout import lay_out
from compiler.codegen.expressions import Values
from compiler.codegen.functions import callees_first, function_text, head_of
from compiler.codegen.handlers import handler_text
from compiler.codegen.probe_table import Target, initial_values, manifest_of, write_tables
from compiler.codegen.struct_decls import accessors, declare, regions
from compiler.ir import program as p
from compiler.ir import traits
from compiler.ir.options import Options
from runtime.abi.manifest import Manifest
from runtime.support.record import record


@record
class Generated:
    c_text: str
    manifest: Manifest
    needs_kernel_headers: bool


def generate(program: p.Program, target: Target, options: Options) -> Generated:
    """The C of a program, and the manifest that goes into its module."""
    sizes = measure(program, options.limits.MAXSTRINGLEN)
    recursive = traits.recursive_functions(program.functions)
    bodies = [(probe.body.stmts, False) for probe in program.probes]
    bodies += [(traits.body_of(f), f.symbol in recursive) for f in program.functions]
    loops = [
        (n, nested)
        for stmts, nested in bodies
        for n in traits.walk(*stmts)
        if isinstance(n, p.Foreach) and n.sort is not None
    ]
    headers = (
        bool(program.embedded)
        or any(f.code is not None and not f.library for f in program.functions)
        or any(isinstance(n, p.EmbeddedExpr) and n.code for b, _ in bodies for n in traits.walk(*b))
    )
    names = Names(crowded=headers or bool(options.defines))
    layout = lay_out(program, options, sizes, loops, names)
    unit = Unit(
        program,
        layout,
        sizes,
        options,
        {f.symbol: f for f in program.functions},
        frozenset(f.symbol for f in program.functions if f.pure),
        frozenset(f.symbol for f in program.functions if f.fallible),
        recursive,
        traits.paying_functions(program.functions),
    )
    functions = [function_text(unit, f) for f in callees_first(program.functions)]
    handlers = [handler_text(unit, i, probe) for i, probe in enumerate(program.probes)]
    matchers = _matchers(unit)
    w = Writer()
    _head(w, unit, target, headers)
    for code, span in program.embedded:
        file, line, _ = span.location
        embedded_c.user_line(w, file, line + len(code) - len(code.lstrip("\n")))
        w.lines += [*code.strip("\n").splitlines(), embedded_c.HERE]
        w.line()
    for placed in layout.globals.values():
        declare(w, placed)
    regions(w, unit)
    for placed in layout.globals.values():
        accessors(w, placed)
    embedded_c.accessors(w, unit)
    w.lines += matchers
    for symbol in sorted(unit.recursive):
        w.line(f"{head_of(unit, unit.functions[symbol])};")
    w.line()
    if unit.symbols:
        w.line("/* Addresses of the kernel's variables, found when the module is loaded. */")
        w.line(f"static u64 symbols[{len(unit.symbols)}];")
        w.line()
    _conditions(w, unit)
    for text in (*functions, *handlers):
        w.line(text)
    initial_values(w, unit)
    write_tables(w, unit, target)
    return Generated(embedded_c.numbered(t.tidy(w.text())), manifest_of(unit, target), headers)


def _matchers(unit: Unit) -> list[str]:
    """The functions of the regular expressions that the handlers use."""
    if not unit.regexes:
        return []
    from compiler.codegen import regex_tables

    groups = regex_tables.most_groups(unit.regexes)
    if groups:
        unit.frames.append(regex_tables.frame(groups))
    w = Writer()
    for (pattern, captures), number in unit.regexes.items():
        regex_tables.matcher(w, pattern, captures, number)
    return w.lines


def _head(w: Writer, unit: Unit, target: Target, headers: bool) -> None:
    limits = unit.options.limits
    w.line(f"/* {target.module}: made from {unit.program.name} by stapwatch {target.version} */")
    if headers:
        w.line("#include <stapwatch_embedded.h>")
    else:
        w.line("#include <stapwatch.h>")
    w.line()
    w.line(f"#define MAXSTRINGLEN {limits.MAXSTRINGLEN}")
    w.line(f"#define MAXNESTING {limits.MAXNESTING}")
    for name, value in unit.options.defines.items():
        w.line(f"#define {name} {value}")
    w.line()


def _conditions(w: Writer, unit: Unit) -> None:
    """A function for each condition that arms and disarms its probe, and one for them all."""
    found = probe_conditions.conditions(unit.program)
    if not found:
        return
    w.line("/* Which hooks are to be in place, as last told to the runtime. */")
    w.line(f"static u8 wanted[{len(unit.program.probes)}];")
    w.line()
    for i, condition in found.items():
        inner = Writer(depth=1)
        v = Values(unit, inner, f"armed_{i}")
        inner.line(f"return {v.value(condition)};")
        file, line, column = condition.span.location
        w.line(f"/* {file}:{line}:{column}: if (...) */")
        w.line(f"static bool armed_{i}(struct shared *s __maybe_unused)")
        with w.block(""):
            for declaration in v.temporaries:
                w.line(declaration)
            if v.temporaries:
                w.line()
            w.lines += inner.lines
        w.line()
    w.line("static bool armed(u32 probe)")
    with w.block(""), w.block("switch (probe)"):
        for i in found:
            w.line(f"case {i}:")
            w.line(f"\treturn armed_{i}(sw_shared);")
        w.line("default:")
        w.line("\treturn true;")
    w.line()
