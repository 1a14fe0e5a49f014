# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements as C. Loops pay for each iteration, and long code for each piece: see charges.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from compiler.codegen import c_writer as cw
from compiler.codegen import embedded_c, global_access
from compiler.codegen.body_emitter import ENDED, BodyEmitter
from compiler.codegen.charges import TOO_LONG, merging, pay, pay_for_elements, pay_for_lanes
from compiler.codegen.costs import MERGE_WORD, Cost, pays_itself
from compiler.codegen.data_layout import StoredGlobal
from compiler.codegen.event_records import write_record
from compiler.codegen.expressions import value
from compiler.codegen.operands import call, copy, into, is_plain
from compiler.ir import program as p
from compiler.ir.program import LONG, STRING
from compiler.ir.source import Span
from compiler.ir.walk import walk, with_callees
from runtime.abi.manifest import ValueType
from runtime.support.exhaustive import assert_never
from runtime.support.record import record, replace

OUT = "out"  # the label where `next` and `return` go


def emit(b: BodyEmitter, stmts: Sequence[p.Stmt]) -> None:
    """Statements that are paid for by what is around them, unless they are too long for that."""
    if pays_itself(b.unit.costs.block(stmts)):
        emit_paid(b, stmts, Cost(), stmts[0].span)
        return
    for s in stmts:
        _emit_statement(b, s)


def emit_paid(
    b: BodyEmitter, stmts: Sequence[p.Stmt], first: Cost, span: Span, *, paid: bool = False
) -> None:
    """Statements that pay, a piece of them at a time, each before it runs.

    `first`: what the first piece costs in addition. `paid`: first_piece() of them is paid for already.
    """
    for piece in _pieces(b, stmts, first):
        if not paid:
            pay(b, _cost_of(b, piece) + first, span)
        for s in piece:
            _emit_statement(b, s)
            span = s.span
        first, paid = Cost(), False


def first_piece(b: BodyEmitter, stmts: Sequence[p.Stmt], first: Cost) -> Cost:
    """What emit_paid() pays for at first."""
    return first + _cost_of(b, next(_pieces(b, stmts, first)))


def _pieces(b: BodyEmitter, stmts: Sequence[p.Stmt], first: Cost) -> Iterator[list[p.Stmt]]:
    """At least one, which may be empty."""
    piece: list[p.Stmt] = []
    cost = first
    for s in stmts:
        own = b.unit.costs.statement(s)
        if piece and pays_itself(cost + own):
            yield piece
            piece, cost = [], Cost()
        piece.append(s)
        cost += own
    yield piece


def _cost_of(b: BodyEmitter, stmts: Sequence[p.Stmt]) -> Cost:
    return b.unit.costs.block(stmts)


def _emit_statement(b: BodyEmitter, s: p.Stmt) -> None:
    with b.statement():
        _statement(b, s)


def _statement(b: BodyEmitter, s: p.Stmt) -> None:
    match s:
        case p.ExprStmt():
            _expression(b, s.value)
        case p.Accumulate():
            global_access.accumulate(b, s)
        case p.If():
            _if(b, s)
        case p.Print():
            write_record(b, s)
        case p.Delete():
            _delete(b, s)
        case p.Loop():
            _loop(b, s)
        case p.Foreach():
            _foreach(b, s)
        case p.ForeachBucket():
            _foreach_bucket(b, s)
        case p.Break():
            b.w.line("break;")
        case p.Continue() if b.continues[-1]:
            b.w.jump(b.continues[-1])
        case p.Continue():
            b.w.line("continue;")
        case p.Next():
            b.w.jump(OUT)
        case p.Return():
            _return(b, s)
        case p.Fail():
            b.raise_error(s.message, s.span)
        case p.Try():
            _try(b, s)
        case _:
            assert_never(s)


def _expression(b: BodyEmitter, e: p.Expr) -> None:
    """An expression whose value is dropped."""
    match e:
        case p.Assign():
            global_access.assign(b, e, used=False)
        case p.Increment():
            global_access.increment(b, e, used=False)
        case p.Call():
            call(b, e, used=False)
        case p.EmbeddedExpr():
            b.w.line(f"(void){embedded_c.operand(b, e)};")
            if e.fallible:
                b.check("error in embedded C", e.span)
        case _ if not is_plain(b, e):
            value(b, e)


def _if(b: BodyEmitter, s: p.If) -> None:
    test = value(b, s.test)
    if not s.otherwise:
        with b.w.block(f"if ({test})"):
            emit(b, s.then)
        return
    with b.w.block(f"if ({test})", "} else {"):
        emit(b, s.then)
    with b.w.else_block():
        emit(b, s.otherwise)


def _return(b: BodyEmitter, s: p.Return) -> None:
    if s.value is not None and b.function is not None:
        if b.function.result is STRING:
            into(b, s.value, "result", str(b.unit.sizes.result(b.function.symbol)))
        else:
            b.w.line(f"result = {value(b, s.value)};")
    b.w.jump(OUT)


def _try(b: BodyEmitter, s: p.Try) -> None:
    b.prepares = True
    caught, done = b.label("caught"), b.label("tried")
    outer, b.fail = b.fail, caught
    emit(b, s.body)
    b.fail = outer
    if not b.w.jumps_to(caught):
        return
    b.w.jump(done)
    b.w.label(caught)
    if b.unit.ends_itself:
        b.w.jump_if(f"{b.c}->error == {ENDED}", outer)
    if s.variable is not None:
        c = b.local(s.variable)
        b.w.line(f"sw_copy({b.c}, {c}, sizeof({c}), c->error);")
    b.w.line(f"{b.c}->error = NULL;")
    emit(b, s.handler)
    b.w.label(done)
    b.w.line(";")


def _delete(b: BodyEmitter, s: p.Delete) -> None:
    g = b.stored(s.name)
    if not g.is_array:
        zero = "0" if g.g.type is LONG else f"({g.row.c_type}){{ 0 }}"
        b.w.line(f"{global_access.scalar(b, g)} = {zero};")
        return
    array = f"&SW_ARRAY({b.s}->{g.c})"
    if not s.keys:
        b.unless(f"sw_array_clear({b.c}, {array})", TOO_LONG, s.span)
    elif None not in s.keys:
        n = global_access.find(b, s)
        b.w.line(f"if ({n})")
        b.w.line(f"\tsw_array_remove({array}, {n});")
    else:
        wanted = global_access.slice_values(b, s.keys)
        global_access.pay_for_search(b, g, wanted, s.span)
        n, follow = b.temporary("u32", "n"), b.temporary("u32", "next")
        with b.w.block(f"for ({n} = {b.s}->{g.c}.head.first; {n}; {n} = {follow})"):
            b.w.line(f"{follow} = {global_access.next_slot(b, g, n)};")
            with b.w.block(f"if ({global_access.slice_test(b, g, n, wanted)})"):
                pay(b, Cost(1), s.span)
                b.w.line(f"sw_array_remove({array}, {n});")
        global_access.check_search(b, g, wanted, s.span)


# ---------------------------------------------------------------- loops


@contextmanager
def _looping(b: BodyEmitter, step: str = "") -> Iterator[None]:
    """In a loop's body, `continue` goes to the label `step`; "": it is C's own."""
    b.continues.append(step)
    yield
    b.continues.pop()


def _loop(b: BodyEmitter, s: p.Loop) -> None:
    w = b.w
    inline = is_plain(b, s.test)
    test = str(value(b, s.test)) if inline else "true"
    label = b.label("step") if s.step is not None else ""
    with w.block(f"while ({test})"), _looping(b, label):
        if not inline:
            w.line(f"if (!{value(b, s.test).inside(cw.UNARY)})")
            w.line("\tbreak;")
        emit_paid(b, s.body, b.unit.costs.iteration(s), s.span)
        if s.step is not None:
            labelled = w.label(label)
            before = len(w.lines)
            _expression(b, s.step)
            if labelled and len(w.lines) == before:  # C needs a statement after a label
                w.line(";")


def _limit(b: BodyEmitter, limit: p.Expr | None) -> str:
    """A variable that counts down; "" if there is no limit."""
    if limit is None:
        return ""
    found = b.temporary("s64", "limit")
    b.w.line(f"{found} = {value(b, limit)};")
    return found


def _count_down(b: BodyEmitter, limit: str) -> None:
    if limit:
        b.w.line(f"if ({limit}-- <= 0)")
        b.w.line("\tbreak;")


@record
class _ArrayLoop:
    """A foreach under way: its array, and the C variables that it uses."""

    s: p.Foreach
    g: StoredGlobal
    slot: str  # 1 + the slot of the current element
    wanted: list[str | None]  # the slice; empty: all elements
    limit: str  # see _limit()


def _foreach(b: BodyEmitter, s: p.Foreach) -> None:
    g = b.stored(s.name)
    wanted = global_access.slice_values(b, s.slice) if s.slice else []
    limit = _limit(b, s.limit)
    n = b.temporary("u32", "n")
    loop = _ArrayLoop(s, g, n, wanted, limit)
    if wanted and s.sort is None:
        global_access.pay_for_search(b, g, wanted, s.span)
    with _looping(b):
        if s.sort is not None:
            _sorted(b, loop, s.sort)
        else:
            with b.w.block(_each_element(b, loop)):
                _skip_others(b, loop)
                _turn(b, loop)
    if wanted:
        global_access.check_search(b, g, wanted, s.span)


def _each_element(b: BodyEmitter, loop: _ArrayLoop) -> str:
    """The head of the loop. There is no next slot once the body has deleted the array."""
    g, n = loop.g, loop.slot
    if not _may_clear(b, loop.s):
        return global_access.each_slot(b, g, n)
    head = f"{b.s}->{g.c}.head"
    follow = f"{head}.live ? {global_access.next_slot(b, g, n)} : 0"
    return f"for ({n} = {head}.first; {n}; {n} = {follow})"


def _may_clear(b: BodyEmitter, s: p.Foreach) -> bool:
    """Whether a loop's body may delete the whole array, the only change that it may make to it."""
    nodes = with_callees(s.body, b.unit.functions)
    return any(isinstance(n, p.Delete) and n.name == s.name for n in walk(*nodes))


def _skip_others(b: BodyEmitter, loop: _ArrayLoop) -> None:
    """Skips elements that do not belong to the slice."""
    if loop.wanted:
        b.w.line(f"if (!({global_access.slice_test(b, loop.g, loop.slot, loop.wanted)}))")
        b.w.line("\tcontinue;")


def _turn(b: BodyEmitter, loop: _ArrayLoop) -> None:
    s, g, n = loop.s, loop.g, loop.slot
    _count_down(b, loop.limit)
    first = b.unit.costs.iteration(s)
    pay(b, first_piece(b, s.body, first), s.span)
    for i, local in enumerate(s.keys):
        _set(b, local, global_access.key_in_slot(b, g, n, i), g.table.keys[i].size, s.span)
    if s.value is not None:
        pay_for_lanes(b, g, merging(g), s.span)
        element = global_access.element(b, g, n)
        text = f"{element}.value" if g.g.type is STRING else element
        _set(b, s.value, text, g.row.size, s.span)
    emit_paid(b, s.body, first, s.span, paid=True)


def _set(b: BodyEmitter, local: p.Local, text: str, size: int, span: Span) -> None:
    """`size`: bytes of a string at most."""
    c = b.local(local)
    if local.type is STRING:
        copy(b, c, f"sizeof({c})", text, size, span)
    else:
        b.w.line(f"{c} = {text};")


def _sorted(b: BodyEmitter, loop: _ArrayLoop, sort: p.Sort) -> None:
    """Writes the elements' sort values to an array, and takes the elements out of it in order."""
    w, n = b.w, loop.slot
    scratch = b.unit.layout.sort_scratch[b.body, loop.s]
    order = f"{b.s}->{scratch.member}" + (f"[{b.c}->depth]" if scratch.nested else "")
    count = b.temporary("u32", "count")
    by_text = _sorts_by_text(loop.g, sort)
    pay_for_elements(b, loop.g, _cost_of_sorting(loop, sort, by_text), "sorting", loop.s.span)
    w.line(f"{count} = 0;")
    with w.block(global_access.each_slot(b, loop.g, n)):
        _skip_others(b, loop)
        sort_value = _sort_value(b, loop.g, sort, n)
        w.line(f"{order}[{count}].{'text' if by_text else 'number'} = {sort_value};")
        w.line(f"{order}[{count}].slot = {n};")
        w.line(f"{order}[{count}].order = {count};")
        w.line(f"{count}++;")
    rest = f"{order}, {count}, {'true' if sort.descending else 'false'}"
    if by_text:
        b.unless(f"sw_order_strings({b.c}, {rest})", TOO_LONG, loop.s.span)
    else:
        w.line(f"sw_order_numbers({rest});")
    test = count
    if _may_clear(b, loop.s):
        test += f" && {b.s}->{loop.g.c}.head.live"
    with w.block(f"for (; {test}; {count}--)"):
        w.line(f"{n} = sw_order_next_{'string' if by_text else 'number'}({b.c}, {rest});")
        _turn(b, loop)


def _cost_of_sorting(loop: _ArrayLoop, sort: p.Sort, by_text: bool) -> str:
    """Instructions for each element, as C."""
    g = loop.g
    texts = sum(
        1 for v, key in zip(loop.wanted, g.table.keys, strict=False) if v and key.type is STRING
    )
    own = global_access.ELEMENT + global_access.COMPARISON * texts
    cost = f"{own} + {'SW_ORDER_STRING' if by_text else 'SW_ORDER_NUMBER'}"
    if sort.key is not None or g.g.type is STRING:
        return cost
    return f"{cost} + sw_nr_lanes * {merging(g)}" if g.percpu else f"{cost} + {merging(g)}"


def _sorts_by_text(g: StoredGlobal, sort: p.Sort) -> bool:
    if sort.key is not None:
        return g.table.keys[sort.key].type is STRING
    return g.g.type is ValueType.STRING


def _sort_value(b: BodyEmitter, g: StoredGlobal, sort: p.Sort, n: str) -> str:
    """The number or string by which the element in slot n is sorted."""
    if sort.key is not None:
        return global_access.key_in_slot(b, g, n, sort.key)
    match g.g.type:
        case ValueType.STAT:
            at = replace(global_access.stat_in_slot(b, g, n), exists="true")
            stat = global_access.merged(b, g, at, None)
            if sort.extractor == "avg":
                return f"{stat}.count ? sw_divide({stat}.sum, {stat}.count) : 0"
            return f"{stat}.{sort.extractor or 'count'}"
        case ValueType.STRING:
            return f"{global_access.shared_row(b, g, n)}.value"
        case ValueType.LONG:
            return global_access.element(b, g, n)


def _foreach_bucket(b: BodyEmitter, s: p.ForeachBucket) -> None:
    limit = _limit(b, s.limit)
    at = global_access.stat_location(b, s.buckets.stat)
    i = b.temporary("s64", "i")
    with b.w.block(_each_bucket(s, i, at.exists)), _looping(b):
        g = b.stored(s.buckets.stat.name)
        first = b.unit.costs.iteration(s)
        _count_down(b, limit)
        pay(b, first_piece(b, s.body, first), s.span)
        b.w.line(f"{b.local(s.index)} = {i};")
        if s.value is not None:
            pay_for_lanes(b, g, MERGE_WORD, s.span)
            layout = f"layout_{g.c}"
            bucket = f"sw_stat_bucket(&{layout}, {at.offset}, {at.shared}, {i})"
            b.w.line(f"{b.local(s.value)} = {bucket};")
        emit_paid(b, s.body, first, s.span, paid=True)


def _each_bucket(s: p.ForeachBucket, i: str, exists: str) -> str:
    last = s.buckets.histogram.buckets - 1
    first, test, step = f"{i} = 0", f"{i} <= {last}", f"{i}++"
    if s.descending:
        first, test, step = f"{i} = {last}", f"{i} >= 0", f"{i}--"
    if exists != "true":
        test = f"{exists} && {test}"
    return f"for ({first}; {test}; {step})"
