# SPDX-License-Identifier: GPL-2.0-or-later
"""One script's C file and manifest, put together.

generate(program, identity, options) -> Generated(c_text, manifest, needs_kernel_headers)
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.analysis import probe_conditions
from compiler.analysis.effects import recursive_functions
from compiler.analysis.string_sizes import infer_sizes
from compiler.codegen import embedded_c
from compiler.codegen.body_emitter import Unit
from compiler.codegen.c_writer import Names, Writer, string
from compiler.codegen.costs import Costs
from compiler.codegen.data_layout import lay_out
from compiler.codegen.expressions import body_emitter
from compiler.codegen.functions import callees_first, function_text, head_of
from compiler.codegen.handlers import handler_text
from compiler.codegen.probe_table import Target, initial_values, manifest_of, write_tables
from compiler.codegen.stack_use import checked_functions
from compiler.codegen.struct_decls import accessors, declare, regions
from compiler.ir import program as p
from compiler.ir.options import Options
from compiler.ir.program import BodyId
from compiler.ir.walk import body_of, walk
from runtime.abi.manifest import Manifest
from runtime.support.record import record


@record
class Generated:
    c_text: str
    manifest: Manifest
    needs_kernel_headers: bool


def generate(program: p.Program, target: Target, options: Options) -> Generated:
    """The C of a program, and the manifest that goes into its module."""
    bodies = _bodies(program)
    headers = _needs_kernel_headers(program, bodies)
    unit = _unit(program, options, bodies, headers)
    # what these use decides what comes before them in the file
    functions = [function_text(unit, f) for f in callees_first(program.functions)]
    handlers = [handler_text(unit, i, probe) for i, probe in enumerate(program.probes)]
    matchers = _matchers(unit)
    w = Writer()
    _head(w, unit, target, headers)
    _declarations(w, unit)
    w.raw(*matchers)
    _forward_declarations(w, unit)
    _conditions(w, unit)
    for text in (*functions, *handlers):
        if text is not None:
            w.extend(text)
        w.line()
    initial_values(w, unit)
    write_tables(w, unit, target)
    return Generated(w.text("script.c"), manifest_of(unit, target), headers)


def _bodies(program: p.Program) -> list[tuple[BodyId, p.Stmts]]:
    found: list[tuple[BodyId, p.Stmts]] = []
    found += [(("probe", i), probe.body.stmts) for i, probe in enumerate(program.probes)]
    found += [(("function", f.symbol), body_of(f)) for f in program.functions]
    return found


def _needs_kernel_headers(program: p.Program, bodies: Sequence[tuple[BodyId, p.Stmts]]) -> bool:
    """Whether the user has written C, which may use anything that the kernel's headers declare."""
    if program.embedded or any(f.code is not None and not f.library for f in program.functions):
        return True
    nodes = (n for _, stmts in bodies for n in walk(*stmts))
    return any(isinstance(n, p.EmbeddedExpr) and n.code for n in nodes)


def _unit(
    program: p.Program,
    options: Options,
    bodies: Sequence[tuple[BodyId, p.Stmts]],
    headers: bool,
) -> Unit:
    sizes = infer_sizes(program, options.limits.MAXSTRINGLEN)
    recursive = recursive_functions(program.functions)
    loops = [
        (body, n, body[0] == "function" and body[1] in recursive)
        for body, stmts in bodies
        for n in walk(*stmts)
        if isinstance(n, p.Foreach) and n.sort is not None
    ]
    names = Names(crowded=headers or bool(options.defines))
    layout = lay_out(program, options, sizes, loops, names)
    ordered = callees_first(program.functions)
    costs = Costs.of(ordered, layout.globals)
    return Unit(
        program,
        layout,
        sizes,
        options,
        functions={f.symbol: f for f in program.functions},
        pure=frozenset(f.symbol for f in program.functions if f.pure),
        fallible=frozenset(f.symbol for f in program.functions if f.fallible),
        recursive=recursive,
        costs=costs,
        checked=checked_functions(ordered, recursive, costs.paying),
    )


def _declarations(w: Writer, unit: Unit) -> None:
    """The user's C at file level, the structs, and the functions that access them."""
    for code, span in unit.program.embedded:
        file, line, _ = span.location
        embedded_c.user_line(w, file, line + len(code) - len(code.lstrip("\n")))
        w.raw(*code.strip("\n").splitlines())
        w.resume()
        w.line()
    for stored in unit.layout.globals.values():
        declare(w, stored)
    of_embedded = Writer()
    embedded_c.accessors(of_embedded, unit)  # they have frames
    regions(w, unit)
    for stored in unit.layout.globals.values():
        accessors(w, stored)
    w.extend(of_embedded)


def _forward_declarations(w: Writer, unit: Unit) -> None:
    for symbol in sorted(unit.recursive):
        w.line(f"{head_of(unit, unit.functions[symbol])};")
    w.line()
    if unit.symbols:
        w.line("/* Addresses of the kernel's variables, found when the module is loaded. */")
        w.line(f"static u64 symbols[{len(unit.symbols)}];")
        w.line()


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


_LIMITS_IN_C = (
    "MAXACTION",
    "MAXACTION_INTERRUPTIBLE",
    "MAXERRORS",
    "MAXMAPENTRIES",
    "MAXSKIPPED",
    "MAXTRYLOCK",
    "TRYLOCKDELAY",
)


def _head(w: Writer, unit: Unit, target: Target, headers: bool) -> None:
    limits = unit.options.limits
    release = target.compiler.partition("+")[0]
    w.line(f"/* {target.module}: made from {unit.program.name} by stapwatch {release} */")
    if headers:
        w.line("#include <stapwatch_embedded.h>")
    else:
        w.line("#include <stapwatch.h>")
    w.line()
    w.line(f"#define MAXSTRINGLEN {limits.MAXSTRINGLEN}")
    w.line(f"#define MAXNESTING {limits.MAXNESTING}")
    if headers:  # what the user's C may ask for, too
        for name in _LIMITS_IN_C:
            w.line(f"#define {name} {getattr(limits, name)}")
    for name, value in unit.options.defines.items():
        w.line(f"#define {name} {value}")
    w.line()
    if headers:
        _probe_points(w, unit.program)


_PROBE_POINT = "sw_probe_point("


def _probe_points(w: Writer, program: p.Program) -> None:
    """The names of the probe points, if the user's C asks for the one that was hit."""
    nodes = (n for _, stmts in _bodies(program) for n in walk(*stmts))
    code = [f.code or "" for f in program.functions]
    code += [n.code for n in nodes if isinstance(n, p.EmbeddedExpr)]
    if not any(_PROBE_POINT in text for text in code):
        return
    with w.block(f"static const char *{_PROBE_POINT}const struct sw_context *c)"):
        with w.block("static const char *const points[] =", "};"):
            for probe in program.probes:
                w.line(f"{string(probe.point)},")
        w.line()
        w.line("return points[c->probe];")
    w.line()


def _conditions(w: Writer, unit: Unit) -> None:
    """A function for each condition that attaches and detaches its probe, and one for them all."""
    found = probe_conditions.conditions(unit.program)
    if not found:
        return
    w.line("/* Which probes are to be attached, as last reported to the runtime. */")
    w.line(f"static u8 wanted[{len(unit.program.probes)}];")
    w.line()
    for i, condition in found.items():
        _condition(w, unit, i, condition)
    w.line("static bool armed(u32 probe)")
    with w.block(""), w.block("switch (probe)"):
        for i in found:
            w.line(f"case {i}:")
            w.line(f"\treturn armed_{i}(sw_shared);")
        w.line("default:")
        w.line("\treturn true;")
    w.line()


def _condition(w: Writer, unit: Unit, index: int, condition: p.Expr) -> None:
    b = body_emitter(unit, ("probe", index))
    b.in_hit = False
    b.w.line(f"return {b.value(condition)};")
    file, line, column = condition.span.location
    w.line(f"/* {file}:{line}:{column}: if (...) */")
    w.line(f"static bool armed_{index}(struct shared *s __maybe_unused)")
    with w.block(""):
        for declaration in b.temporaries.values():
            w.line(declaration)
        if b.temporaries:
            w.line()
        w.extend(b.w)
    w.line()
