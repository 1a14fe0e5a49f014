# SPDX-License-Identifier: GPL-2.0-or-later
"""Handlers of probes in C: entering, the body, what ends it; and what a return probe does at the entry.

handler_text(unit, 0, probe) -> static void probe_0(unsigned long ip, ...) { ... }
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from compiler.analysis import probe_conditions
from compiler.analysis.storage_class import Access, accesses
from compiler.codegen import c_writer as t
from compiler.codegen.body_emitter import Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.expressions import Values
from compiler.codegen.functions import frame_lines, zeroed
from compiler.codegen.statements import Statements
from compiler.ir import program as p
from compiler.ir import traits
from compiler.ir.hooks import PairedEntry
from compiler.ir.program import STRING
from runtime.abi.manifest import Storage


def handler_text(unit: Unit, index: int, probe: p.Probe) -> str:
    w = Writer()
    if isinstance(probe.hook, PairedEntry):
        return ""
    entry = _entry_handler(unit, w, index, probe) if probe.entry else False
    file, line, column = probe.span.location
    w.line(f"/* {file}:{line}:{column}: probe {_comment(probe.written)} */")
    w.line(f"static {probe.hook.declaration(f'probe_{index}')}")
    inner = Writer(depth=1)
    v = Values(unit, inner, f"probe_{index}")
    s = Statements(v)
    longs = zeroed(unit, v, probe.body.locals)
    if probe.condition is not None:
        test = v.value(probe.condition)
        s.uses_out = True
        inner.line(f"if (!{test.inside(t.UNARY)})")
        inner.line("\tgoto out;")
    s.emit(probe.body.stmts)
    frame = frame_lines(unit, v, f"probe_{index}", probe.body.locals)
    roots = traits.roots_of(probe)
    arms = probe_conditions.changed_by(unit.program, roots)
    conditions = [unit.program.probes[i].condition for i in arms]
    locks, sequences = _locks(unit, [*roots, *(c for c in conditions if c is not None)])
    if _may_capture(unit, roots):
        inner.lines.insert(0, "\tc->match.groups = 0;")
    body = "\n".join(inner.lines)
    result = probe.hook.handler.result
    leave = f"return {result};" if result else "return;"
    judges = any(isinstance(n, p.Verdict) for n in traits.walk(*roots))
    with w.block(""):
        w.line(f"struct area *a = sw_enter(offsetof(struct area, lane.probes), {index});")
        if "c->" in body or "(c" in body:
            w.line("struct sw_context *c;")
        if _names(body, "s") or locks or sequences or arms:
            w.line("struct shared *s = sw_shared;")
        if entry and "entry->" in body:
            w.line(f"const struct entry_{index} *entry = SW_RETURN_DATA(instance);")
        if frame:
            w.line(f"__typeof__(a->frame_probe_{index}) *f;")
        if judges:
            w.line(f"u32 verdict = {result};")
        for declaration in (*longs, *v.temporaries):
            w.line(declaration)
        w.line()
        w.line("if (!a)")
        w.line(f"\t{leave}")
        if "c->" in body or "(c" in body:
            w.line("c = &a->c;")
        if frame:
            w.line(f"f = &a->frame_probe_{index};")
        if _needs_preparing(unit, roots, v):
            regs = "regs" if probe.hook.handler.has_regs else "NULL"
            limit = unit.options.limits.MAXACTION
            if probe.hook.is_interruptible:
                limit = unit.options.limits.MAXACTION_INTERRUPTIBLE
            w.line(f"sw_prepare(&a->c, {index}, {limit}, {regs});")
        if probe.hook.functions and _asks_for_function(unit, roots):
            w.line("a->c.address = ip;")
        for i, lock in enumerate(locks):
            with w.block(f"if (unlikely(!sw_lock(&s->{lock})))"):
                w.line(f"a->lane.probes[{index}].skipped_lock++;")
                w.line(f"goto unlock_{i};")
        for sequence in sequences:
            w.line(f"sw_write_begin(&s->{sequence});")
        w.lines += inner.lines
        if v.uses_fail:
            w.line("goto out;")
            w.label("fail")
            w.line(f"sw_failed(&a->c, &a->lane.probes[{index}]);")
        if s.uses_out or v.uses_fail:
            w.label("out")
        for i in arms:
            w.line(f"sw_arm(&wanted[{i}], armed_{i}(s));")
        for sequence in sequences:
            w.line(f"sw_write_end(&s->{sequence});")
        for i in reversed(range(len(locks))):
            w.line(f"sw_unlock(&s->{locks[i]});")
            w.label(f"unlock_{i}")
        w.line("sw_leave(&a->c);")
        if result:
            w.line("return verdict;" if judges else leave)
    return w.text()


def _names(body: str, name: str) -> bool:
    """Whether C mentions a variable."""
    return re.search(rf"(?<!\w){name}->|\(a, {name},", body) is not None


def _comment(text: str) -> str:
    return text.replace("*/", "* /").replace("/*", "/ *")


def _needs_preparing(unit: Unit, roots: Sequence[traits.Node], v: Values) -> bool:
    """Whether the body can end in an error, print, or call what looks at the context."""
    if v.uses_fail:
        return True
    for n in traits.walk(*roots):
        if isinstance(n, p.Print | p.Try):
            return True
        if isinstance(n, p.Call):
            f = unit.functions[n.function]
            if f.code is None or not f.library or f.fallible or not f.pure:
                return True
    return False


def _asks_for_function(unit: Unit, roots: Sequence[traits.Node]) -> bool:
    """Whether a handler wants to know which of its functions was hit."""
    called = traits.reachable(roots, unit.functions)
    return any(unit.functions[symbol].name == p.PROBED_FUNCTION for symbol in called)


def _may_capture(unit: Unit, roots: Sequence[traits.Node]) -> bool:
    """Whether a handler looks at what a regular expression matched: not at an earlier handler's."""
    nodes = list(roots)
    for symbol in traits.reachable(roots, unit.functions):
        f = unit.functions[symbol]
        if f.code is not None and traits.asks_for_match(f.code):
            return True
        nodes += traits.body_of(f)
    return any(isinstance(n, p.Match) and n.captures for n in traits.walk(*nodes))


def _locks(unit: Unit, roots: Sequence[traits.Node]) -> tuple[list[str], list[str]]:
    """Locks of the shared globals that a handler touches, in the one order all handlers keep.

    And the sequences of those whose rows it may write.
    """
    nodes = list(roots)
    for symbol in traits.reachable(roots, unit.functions):
        nodes += traits.body_of(unit.functions[symbol])
    used = [use for n in nodes for use in accesses(n)]
    touched = {name for name, _ in used}
    touched |= {n.stat.name for n in traits.walk(*nodes) if isinstance(n, p.Buckets)}
    written = {name for name, access in used if access is not Access.READ}
    globals_ = unit.layout.globals
    found = [
        g.lock for name, g in globals_.items() if name in touched and g.storage is Storage.SHARED
    ]
    if any(isinstance(n, p.Foreach) and n.sort is not None for n in traits.walk(*nodes)):
        found.append("sorting")
    return found, [g.sequence for name, g in globals_.items() if name in written and g.sequence]


def paired_with(program: p.Program, probe: p.Probe) -> int | None:
    """The index of the entry that a return probe counts, or of the return probe of such an entry."""
    for i, other in enumerate(program.probes):
        if other.hook.symbol == probe.hook.symbol and (
            other.counts_entry
            if isinstance(probe.hook, PairedEntry)
            else isinstance(other.hook, PairedEntry)
        ):
            return i
    return None


def _entry_handler(unit: Unit, w: Writer, index: int, probe: p.Probe) -> bool:
    """What a return probe saves when its function is entered."""
    inner = Writer(depth=1)
    v = Values(unit, inner, f"probe_{index}")
    with w.block(f"struct entry_{index}", "};"):
        for i, e in enumerate(probe.entry):
            if e.type is STRING:
                w.line(f"char v{i}[{unit.sizes.expr(e, v.body)}];")
            else:
                w.line(f"s64 v{i};")
    w.line()
    for i, e in enumerate(probe.entry):
        if e.type is STRING:
            v.into(e, f"entry->v{i}")
        else:
            inner.line(f"entry->v{i} = {v.value(e)};")
    frame = frame_lines(unit, v, f"entry_{index}", ())
    file, line, column = probe.span.location
    w.line(f"/* {file}:{line}:{column}: at the entry of {_comment(probe.point)} */")
    w.line(f"static int entry_{index}(void *instance, struct sw_regs *regs)")
    body = "\n".join(inner.lines)
    with w.block(""):
        paired = paired_with(unit.program, probe) if probe.counts_entry else None
        enter = f"sw_enter{'_quietly' if paired is None else ''}"
        counted = index if paired is None else paired
        w.line(f"struct area *a = {enter}(offsetof(struct area, lane.probes), {counted});")
        w.line(f"struct entry_{index} *entry = SW_RETURN_DATA(instance);")
        if _names(body, "s"):
            w.line("struct shared *s = sw_shared;")
        if "c->" in body or "(c" in body:
            w.line("struct sw_context *c;")
        if frame:
            w.line(f"__typeof__(a->frame_entry_{index}) *f;")
        for declaration in v.temporaries:
            w.line(declaration)
        w.line()
        w.line("if (!a)")
        w.line("\treturn 1;")
        if "c->" in body or "(c" in body:
            w.line("c = &a->c;")
        if frame:
            w.line(f"f = &a->frame_entry_{index};")
        if v.uses_fail:
            limit = unit.options.limits.MAXACTION
            w.line(f"sw_prepare(&a->c, {index}, {limit}, regs);")
        w.lines += inner.lines
        w.line("sw_leave(&a->c);")
        w.line("return 0;")
        if v.uses_fail:
            w.label("fail")
            w.line(f"sw_failed(&a->c, &a->lane.probes[{index}]);")
            w.line("sw_leave(&a->c);")
            w.line("return 1;")
    w.line()
    return True
