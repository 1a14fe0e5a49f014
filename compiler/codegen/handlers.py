# SPDX-License-Identifier: GPL-2.0-or-later
"""Handlers of probes in C: entering, the body, leaving; and what a return probe does at the entry.

handler_text(unit, 0, probe) -> static void probe_0(unsigned long ip, ...) { ... }
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from compiler.analysis import probe_conditions
from compiler.analysis.effects import uses_match
from compiler.analysis.storage_class import Access, accesses
from compiler.codegen import c_writer as cw
from compiler.codegen.body_emitter import BodyEmitter, Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.charges import LOOK, most_actions
from compiler.codegen.costs import ENTER, LOCK, Cost
from compiler.codegen.expressions import body_emitter
from compiler.codegen.functions import add_frame, zeroed
from compiler.codegen.operands import into
from compiler.codegen.stack_use import bounded
from compiler.codegen.statements import OUT, emit_paid, first_piece
from compiler.ir import program as p
from compiler.ir.hooks import Handler, PairedEntry
from compiler.ir.program import STRING
from compiler.ir.walk import Node, body_of, reachable, roots_of, walk
from runtime.abi.manifest import Storage
from runtime.support.record import record


@record
class _Reached:
    """All that one hit of a probe may run: the nodes, and the symbols of the functions."""

    nodes: list[Node]
    symbols: set[str]


def handler_text(unit: Unit, index: int, probe: p.Probe) -> Writer | None:
    """A probe's handlers; None if a return probe of the same function counts the hits instead."""
    if isinstance(probe.hook, PairedEntry):
        return None
    w = Writer()
    entry = _entry_handler(unit, w, index, probe) if probe.entry else None
    reached = _reached(unit, probe)
    longs: list[str] = []

    def make(spills: bool) -> BodyEmitter:
        b = body_emitter(unit, ("probe", index), spills=spills)
        longs[:] = _emit_body(b, probe, reached)
        return b

    b = bounded(unit, make, probe.body.locals, roots_of(probe))
    guard = _guard(unit, reached)
    if guard.locks or guard.sequences or guard.conditions:
        b.use("s")
    frame = f"frame_probe_{index}" if add_frame(b, f"probe_{index}", probe.body.locals) else ""
    result = probe.hook.handler.result
    leave = f"return {result};" if result else "return;"
    w.line(f"/* {_location(probe)}: probe {_comment(probe.written)} */")
    w.line(f"static {probe.hook.declaration(f'probe_{index}')}")
    with w.block(""):
        enter = _call_of_enter(probe.hook.handler.enter, index)
        _enter(w, enter, _variables(b, index, frame, probe.hook.handler, longs))
        _begin(w, b, leave, frame)
        # calls in the expressions that were saved at the entry count, too
        if b.fails or b.prepares or (entry is not None and entry.prepares):
            cost = first_piece(b, probe.body.stmts, _before(b, probe))
            for _ in guard.locks:
                cost += LOCK
            _prepare(w, unit, index, probe, reached.symbols, cost)
        if probe.hook.functions and _asks_for_function(unit, reached.symbols):
            w.line("a->c.address = ip;")
        _lock(w, guard, index)
        w.extend(b.w)
        if b.fails:
            w.jump(OUT)
            _report_failure(w, index)
        w.label(OUT)
        _unlock(w, guard)
        w.line(f"{probe.hook.handler.leave}(&a->c);")
        if result:
            w.line("return verdict;" if "verdict" in b.used else leave)
    return w


def _reached(unit: Unit, probe: p.Probe) -> _Reached:
    roots = roots_of(probe)
    symbols = reachable(roots, unit.functions)
    bodies = (s for symbol in symbols for s in body_of(unit.functions[symbol]))
    return _Reached([*roots, *bodies], symbols)


def _emit_body(b: BodyEmitter, probe: p.Probe, reached: _Reached) -> list[str]:
    """Emits the handler's own lines; returns the declarations of its numbers."""
    if _may_capture(b.unit, reached):
        b.w.line(f"{b.c}->match.groups = 0;")
    longs = zeroed(b, probe.body.locals)
    if probe.condition is not None:
        test = f"!{b.value(probe.condition).inside(cw.UNARY)}"
        if probe.hook.refusal:
            with b.w.block(f"if ({test})"):
                b.w.line(probe.hook.refusal)
                b.w.jump(OUT)
        else:
            b.w.jump_if(test, OUT)
    emit_paid(b, probe.body.stmts, _before(b, probe), probe.span, paid=True)
    return longs


def _before(b: BodyEmitter, probe: p.Probe) -> Cost:
    """What a handler costs beside its statements and locks."""
    condition = b.unit.costs.value(probe.condition)
    return ENTER + condition + Cost(0, len(probe.body.locals))


def _variables(
    b: BodyEmitter, index: int, frame: str, handler: Handler, longs: Sequence[str]
) -> Iterator[str]:
    """Declarations of the variables that a body has used."""
    if "c" in b.used:
        yield "struct sw_context *c;"
    if "s" in b.used:
        yield "struct shared *s = sw_shared;"
    if "entry" in b.used:
        yield f"const struct entry_{index} *entry = {handler.saved};"
    if frame:
        yield f"__typeof__(a->{frame}) *f;"
    if "verdict" in b.used:
        yield f"u32 verdict = {handler.result};"
    yield from longs
    yield from b.temporaries.values()


# ---------------------------------------------------------------- parts of every handler


def _location(probe: p.Probe) -> str:
    file, line, column = probe.span.location
    return f"{file}:{line}:{column}"


def _comment(text: str) -> str:
    return text.replace("*/", "* /").replace("/*", "/ *")


def _call_of_enter(function: str, index: int) -> str:
    return f"{function}(offsetof(struct area, lane.probes), {index})"


def _enter(w: Writer, enter: str, variables: Iterable[str]) -> None:
    w.line(f"struct area *a = {enter};")
    for declaration in variables:
        w.line(declaration)
    w.line()


def _begin(w: Writer, b: BodyEmitter, leave: str, frame: str) -> None:
    """Leaves if the handler must not run now, and sets what was declared."""
    w.line("if (!a)")
    w.line(f"\t{leave}")
    if "c" in b.used:
        w.line("c = &a->c;")
    if frame:
        w.line(f"f = &a->{frame};")


def _prepare(
    w: Writer, unit: Unit, index: int, probe: p.Probe, symbols: set[str], paid: Cost
) -> None:
    """`symbols`: the functions that the handler may call. `paid`: what it does before it pays for more."""
    regs = "regs" if probe.hook.handler.has_regs else "NULL"
    actions = most_actions(unit.options.limits, probe.hook) - paid.actions
    first = min(actions, LOOK)
    unit.rest_of_actions[index] = actions - first
    w.line(f"sw_prepare(&a->c, {index}, {first}, {regs});")
    if symbols & unit.checked:
        w.line("a->c.stack_end = sw_stack_end();")


def _report_failure(w: Writer, index: int) -> None:
    w.label("fail")
    w.line(f"sw_failed(&a->c, &a->lane.probes[{index}]);")


def _asks_for_function(unit: Unit, symbols: set[str]) -> bool:
    """Whether a handler asks which of its functions was hit."""
    return any(unit.functions[symbol].name == p.PROBED_FUNCTION for symbol in symbols)


def _may_capture(unit: Unit, reached: _Reached) -> bool:
    """Whether a handler uses the last match of a regular expression. That of an earlier handler must then
    be cleared first."""
    for symbol in reached.symbols:
        code = unit.functions[symbol].code
        if code is not None and uses_match(code):
            return True
    return any(isinstance(n, p.Match) and n.captures for n in walk(*reached.nodes))


# ---------------------------------------------------------------- locks


@record
class _Guard:
    """The members of struct shared that protect the shared globals of a handler."""

    locks: list[str]  # in the order in which all handlers take them
    sequences: list[str]  # of globals whose rows the handler may write
    conditions: list[int]  # probes whose condition the handler may change


def _guard(unit: Unit, reached: _Reached) -> _Guard:
    conditions = probe_conditions.changed_by(unit.program, reached.nodes)
    tests = [unit.program.probes[i].condition for i in conditions]
    nodes = [*reached.nodes, *(test for test in tests if test is not None)]
    used = [use for n in nodes for use in accesses(n)]
    touched = {name for name, _ in used}
    touched |= {n.stat.name for n in walk(*nodes) if isinstance(n, p.Buckets)}
    written = {name for name, access in used if access is not Access.READ}
    stored = unit.layout.globals.items()
    locks = [g.lock for name, g in stored if name in touched and g.storage is Storage.SHARED]
    if any(isinstance(n, p.Foreach) and n.sort is not None for n in walk(*nodes)):
        locks.append("sorting")
    sequences = [g.sequence for name, g in stored if name in written and g.sequence]
    return _Guard(locks, sequences, conditions)


def _lock(w: Writer, guard: _Guard, index: int) -> None:
    for i, lock in enumerate(guard.locks):
        with w.block(f"if (unlikely(!sw_lock(&s->{lock}, {len(guard.locks)})))"):
            w.line(f"a->lane.probes[{index}].skipped_lock++;")
            w.jump(f"unlock_{i}")
    for sequence in guard.sequences:
        w.line(f"sw_write_begin(&s->{sequence});")


def _unlock(w: Writer, guard: _Guard) -> None:
    for i in guard.conditions:
        w.line(f"sw_arm(&wanted[{i}], armed_{i}(s));")
    for sequence in guard.sequences:
        w.line(f"sw_write_end(&s->{sequence});")
    for i in reversed(range(len(guard.locks))):
        w.line(f"sw_unlock(&s->{guard.locks[i]});")
        w.label(f"unlock_{i}")


# ---------------------------------------------------------------- entry handlers of return probes


def paired_with(program: p.Program, probe: p.Probe) -> int | None:
    """The index of the other probe of a pair: of the entry whose hits a return probe counts, or of the
    return probe that counts an entry's hits. None if the probe belongs to no pair."""
    if probe.pair is None:
        return None
    others = enumerate(program.probes)
    return next((i for i, o in others if o.pair == probe.pair and o is not probe), None)


def _entry_handler(unit: Unit, w: Writer, index: int, probe: p.Probe) -> BodyEmitter:
    """The handler that saves a return probe's values when its function is entered."""

    def make(spills: bool) -> BodyEmitter:
        b = body_emitter(unit, ("probe", index), spills=spills)
        for i, e in enumerate(probe.entry):
            with b.statement():
                if e.type is STRING:
                    into(b, e, f"entry->v{i}")
                else:
                    b.w.line(f"entry->v{i} = {b.value(e)};")
        return b

    b = bounded(unit, make, (), probe.entry)
    with w.block(f"struct entry_{index}", "};"):
        for i, e in enumerate(probe.entry):
            if e.type is STRING:
                w.line(f"char v{i}[{unit.sizes.expr(e, b.body)}];")
            else:
                w.line(f"s64 v{i};")
    w.line()
    frame = f"frame_entry_{index}" if add_frame(b, f"entry_{index}", ()) else ""
    w.line(f"/* {_location(probe)}: at the entry of {_comment(probe.point)} */")
    w.line(f"static {probe.hook.handler.entry.format(name=f'entry_{index}')}")
    with w.block(""):
        _enter(w, _enter_of_entry(unit, index, probe), _entry_variables(b, index, probe, frame))
        _begin(w, b, "return 1;", frame)
        symbols = reachable(probe.entry, unit.functions)
        if b.fails:
            paid = ENTER + unit.costs.value(*probe.entry)
            _prepare(w, unit, index, probe, symbols, paid)
        if probe.hook.functions and _asks_for_function(unit, symbols):
            w.line("a->c.address = ip;")
        w.extend(b.w)
        w.line("sw_leave(&a->c);")
        w.line("return 0;")
        if b.fails:
            _report_failure(w, index)
            w.line("sw_leave(&a->c);")
            w.line("return 1;")
    w.line()
    return b


def _enter_of_entry(unit: Unit, index: int, probe: p.Probe) -> str:
    """A return probe's hits are counted at the return, those of a paired entry here."""
    paired = paired_with(unit.program, probe)
    if paired is None:
        return _call_of_enter("sw_enter_quietly", index)
    return _call_of_enter("sw_enter", paired)


def _entry_variables(b: BodyEmitter, index: int, probe: p.Probe, frame: str) -> Iterator[str]:
    yield f"struct entry_{index} *entry = {probe.hook.handler.saved};"
    if "s" in b.used:
        yield "struct shared *s = sw_shared;"
    if "c" in b.used:
        yield "struct sw_context *c;"
    if frame:
        yield f"__typeof__(a->{frame}) *f;"
    yield from b.temporaries.values()
