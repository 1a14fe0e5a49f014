# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements as C. Iterations of loops are counted: a handler runs a bounded number of statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import assert_never

from compiler.codegen import c_writer as cw
from compiler.codegen import global_access
from compiler.codegen.body_emitter import BodyEmitter
from compiler.codegen.data_layout import StoredGlobal
from compiler.codegen.event_records import write_record
from compiler.codegen.expressions import value
from compiler.codegen.operands import call, into, is_plain
from compiler.ir import program as p
from compiler.ir.program import LONG, STRING
from compiler.ir.source import Span
from compiler.ir.walk import walk, with_callees
from runtime.abi.manifest import ValueType
from runtime.support.record import record, replace

OUT = "out"  # the label where `next` and `return` go
_TOO_LONG = "MAXACTION exceeded"
_COUNTED = (
    p.ExprStmt, p.Accumulate, p.If, p.Loop, p.Foreach, p.ForeachBucket, p.Delete, p.Print, p.Return,
)  # fmt: skip


def emit(b: BodyEmitter, stmts: Sequence[p.Stmt]) -> None:
    for s in stmts:
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
        b.w.line(f"sw_array_clear({array});")
    elif None not in s.keys:
        n = global_access.find(b, s)
        b.w.line(f"if ({n})")
        b.w.line(f"\tsw_array_remove({array}, {n});")
    else:
        wanted = global_access.slice_values(b, s.keys)
        n, follow = b.temporary("u32", "n"), b.temporary("u32", "next")
        with b.w.block(f"for ({n} = {b.s}->{g.c}.head.first; {n}; {n} = {follow})"):
            b.w.line(f"{follow} = {global_access.next_slot(b, g, n)};")
            b.w.line(f"if ({global_access.slice_test(b, g, n, wanted)})")
            b.w.line(f"\tsw_array_remove({array}, {n});")


# ---------------------------------------------------------------- loops


def pay(b: BodyEmitter, body: Sequence[p.Stmt], span: Span) -> None:
    """Subtracts one iteration's or call's statements from the number that the handler may still run."""
    count = 1 + sum(1 for n in walk(*body) if isinstance(n, _COUNTED))
    b.w.line(f"{b.c}->actions -= {count};")
    b.raise_if("c->actions < 0", _TOO_LONG, span)


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
        pay(b, s.body, s.span)
        emit(b, s.body)
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
    with _looping(b):
        if s.sort is not None:
            _sorted(b, loop, s.sort)
            return
        with b.w.block(_each_element(b, loop)):
            _skip_others(b, loop)
            _turn(b, loop)


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
    pay(b, s.body, s.span)
    for i, local in enumerate(s.keys):
        _set(b, local, global_access.key_in_slot(b, g, n, i))
    if s.value is not None:
        element = global_access.element(b, g, n)
        _set(b, s.value, f"{element}.value" if g.g.type is STRING else element)
    emit(b, s.body)


def _set(b: BodyEmitter, local: p.Local, text: str) -> None:
    c = b.local(local)
    if local.type is STRING:
        b.w.line(f"sw_copy({b.c}, {c}, sizeof({c}), {text});")
    else:
        b.w.line(f"{c} = {text};")


def _sorted(b: BodyEmitter, loop: _ArrayLoop, sort: p.Sort) -> None:
    """Writes the elements' sort values to an array, sorts it, and visits the elements in its order."""
    w, n = b.w, loop.slot
    scratch = b.unit.layout.sort_scratch[b.body, loop.s]
    order = f"{b.s}->{scratch.member}" + (f"[{b.c}->depth]" if scratch.nested else "")
    count, i = b.temporary("u32", "count"), b.temporary("u32", "i")
    by_text = _sorts_by_text(loop.g, sort)
    w.line(f"{count} = 0;")
    with w.block(global_access.each_slot(b, loop.g, n)):
        _skip_others(b, loop)
        sort_value = _sort_value(b, loop.g, sort, n)
        w.line(f"{order}[{count}].{'text' if by_text else 'number'} = {sort_value};")
        w.line(f"{order}[{count}].slot = {n};")
        w.line(f"{order}[{count}].order = {count};")
        w.line(f"{count}++;")
    kind = "strings" if by_text else "numbers"
    w.line(f"sw_sort_{kind}({order}, {count}, {'true' if sort.descending else 'false'});")
    test = f"{i} < {count}"
    if _may_clear(b, loop.s):
        test += f" && {b.s}->{loop.g.c}.head.live"
    with w.block(f"for ({i} = 0; {test}; {i}++)"):
        w.line(f"{n} = {order}[{i}].slot;")
        _turn(b, loop)


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
            stat = global_access.merged(b, g, at)
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
        _count_down(b, limit)
        pay(b, s.body, s.span)
        b.w.line(f"{b.local(s.index)} = {i};")
        if s.value is not None:
            layout = f"layout_{b.stored(s.buckets.stat.name).c}"
            bucket = f"sw_stat_bucket(&{layout}, {at.offset}, {at.shared}, {i})"
            b.w.line(f"{b.local(s.value)} = {bucket};")
        emit(b, s.body)


def _each_bucket(s: p.ForeachBucket, i: str, exists: str) -> str:
    last = s.buckets.histogram.buckets - 1
    first, test, step = f"{i} = 0", f"{i} <= {last}", f"{i}++"
    if s.descending:
        first, test, step = f"{i} = {last}", f"{i} >= 0", f"{i}--"
    if exists != "true":
        test = f"{exists} && {test}"
    return f"for ({first}; {test}; {step})"
