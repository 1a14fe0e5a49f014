# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading and writing globals in C: scalars, elements of arrays, statistics.

reads[execname()]++ -> n = add_reads(a, s, &f->key_0); if (likely(n)) a->lane.reads[n - 1]++;
"""

from __future__ import annotations

from compiler.analysis.effects import has_effect
from compiler.codegen import c_writer as cw
from compiler.codegen.body_emitter import BodyEmitter
from compiler.codegen.c_writer import C
from compiler.codegen.charges import TOO_LONG, check_paid, merging, pay_for_elements, pay_for_lanes
from compiler.codegen.costs import MERGE_WORD
from compiler.codegen.data_layout import StoredGlobal
from compiler.codegen.operands import copy, into, stable
from compiler.ir import program as p
from compiler.ir.program import STRING
from compiler.ir.source import Span
from runtime.abi.histogram import exponential
from runtime.abi.manifest import Histogram, HistogramKind, WhenFull
from runtime.support.exhaustive import assert_never
from runtime.support.record import record

ELEMENT = 20  # instructions to visit one
COMPARISON = 130  # and to compare a string of it, beside the bytes that the runtime pays for
_COMPOUND = ("+", "-", "*", "|", "&", "^")  # operators that C has as `op=` with the same meaning

# ---------------------------------------------------------------- scalars and elements


def scalar(b: BodyEmitter, g: StoredGlobal) -> str:
    """The row of a scalar: in this CPU's region, or shared."""
    return f"a->lane.{g.c}" if g.percpu else f"{b.s}->{g.c}"


def lane_offset(g: StoredGlobal, n: str = "") -> str:
    """The offset of a row in every per-CPU region."""
    if n:
        return f"offsetof(struct lane, {g.c}) + ({n} - 1) * sizeof({g.row.c_type})"
    return f"offsetof(struct lane, {g.c})"


def _key(b: BodyEmitter, g: StoredGlobal, keys: tuple[p.Expr, ...]) -> str:
    """The address of a key struct, filled. It is in the frame, because keys may be too large for the
    kernel's stack."""
    member = f"key_{len(b.buffers)}"
    b.buffers.append(f"struct key_{g.c} {member};")
    for key, e in zip(g.table.keys, keys, strict=True):
        target = f"f->{member}.{b.unit.name(key.name)}"
        if key.type is STRING:
            into(b, e, target, padded=True)
        else:
            b.w.line(f"{target} = {b.value(e)};")
    return f"&f->{member}"


def find(b: BodyEmitter, e: p.GlobalRef | p.Delete | p.In) -> str:
    """1 + the slot of an element, or 0, in a temporary."""
    g = b.stored(e.name)
    key = _key(b, g, _all_given(e.keys))
    n = b.temporary("u32", "n")
    b.w.line(f"{n} = {_found(b, g, key)};")
    return n


def _found(b: BodyEmitter, g: StoredGlobal, key: str) -> str:
    return f"{g.finder}(&SW_ARRAY({b.s}->{g.c}), {key})"


def _all_given(keys: tuple[p.Expr | None, ...]) -> tuple[p.Expr, ...]:
    return tuple(key for key in keys if key is not None)


def read(b: BodyEmitter, e: p.GlobalRef) -> C:
    """A number or string; 0 or "" if there is no such element."""
    g = b.stored(e.name)
    if not e.keys:
        if g.percpu:
            pay_for_lanes(b, g, merging(g), e.span)
            return C(f"sw_lanes_sum({lane_offset(g)})")
        return C(f"{scalar(b, g)}.value" if e.type is STRING else scalar(b, g))
    n = find(b, e)
    if e.type is STRING:
        buffer = b.buffer(g.row.size)
        text = f'{n} ? {shared_row(b, g, n)}.value : ""'
        copy(b, buffer, f"sizeof({buffer})", text, g.row.size, e.span)
        return C(buffer)
    pay_for_lanes(b, g, merging(g), e.span)
    found = b.temporary("s64")
    b.w.line(f"{found} = {n} ? {element(b, g, n)} : 0;")
    return C(found)


def shared_row(b: BodyEmitter, g: StoredGlobal, n: str) -> str:
    return f"{b.s}->{g.c}_values[{n} - 1]"


def element(b: BodyEmitter, g: StoredGlobal, n: str) -> str:
    """The number in slot n - 1."""
    return f"sw_lanes_sum({lane_offset(g, n)})" if g.percpu else shared_row(b, g, n)


def contains(b: BodyEmitter, e: p.In) -> C:
    g = b.stored(e.name)
    found = b.temporary("s64")
    if None not in e.keys:
        key = _key(b, g, _all_given(e.keys))
        b.w.line(f"{found} = {_found(b, g, key)} != 0;")
        return C(found)
    wanted = slice_values(b, e.keys)
    pay_for_search(b, g, wanted, e.span)
    b.w.line(f"{found} = 0;")
    n = b.temporary("u32", "n")
    with b.w.block(each_slot(b, g, n)):
        b.w.line(f"if ({slice_test(b, g, n, wanted)})")
        b.w.line(f"\t{found} = 1;")
    check_search(b, g, wanted, e.span)
    return C(found)


# ---------------------------------------------------------------- slots and slices


def each_slot(b: BodyEmitter, g: StoredGlobal, n: str) -> str:
    """The head of a loop over live slots, in order of insertion."""
    if g.percpu:
        return f"for ({n} = 1; {n} <= sw_load_acquire(&{b.s}->{g.c}.head.used); {n}++)"
    return f"for ({n} = {b.s}->{g.c}.head.first; {n}; {n} = {next_slot(b, g, n)})"


def next_slot(b: BodyEmitter, g: StoredGlobal, n: str) -> str:
    return f"{b.s}->{g.c}.slots[{n} - 1].slot.next"


def key_in_slot(b: BodyEmitter, g: StoredGlobal, n: str, index: int) -> str:
    return f"{b.s}->{g.c}.slots[{n} - 1].key.{b.unit.name(g.table.keys[index].name)}"


def slice_values(b: BodyEmitter, keys: tuple[p.Expr | None, ...]) -> list[str | None]:
    """The keys of a slice, evaluated once; None for `*`."""
    return [None if key is None else str(stable(b, key, b.value(key))) for key in keys]


def slice_test(b: BodyEmitter, g: StoredGlobal, n: str, wanted: list[str | None]) -> str:
    """Whether slot n belongs to a slice."""
    tests = []
    for i, value in enumerate(wanted):
        if value is not None:
            member = key_in_slot(b, g, n, i)
            string = g.table.keys[i].type is STRING
            same = f"!sw_compare({b.c}, {member}, {value})"
            tests.append(same if string else f"{member} == {value}")
    return " && ".join(tests) or "true"


def pay_for_search(b: BodyEmitter, g: StoredGlobal, wanted: list[str | None], span: Span) -> None:
    """Before all elements are compared with a slice."""
    texts = sum(1 for v, key in zip(wanted, g.table.keys, strict=True) if v and key.type is STRING)
    pay_for_elements(b, g, str(ELEMENT + COMPARISON * texts), "searching", span)


def check_search(b: BodyEmitter, g: StoredGlobal, wanted: list[str | None], span: Span) -> None:
    """After them: comparing long strings may have ended early, as if they were different."""
    sizes = [
        key.size for v, key in zip(wanted, g.table.keys, strict=True) if v and key.type is STRING
    ]
    if sizes:
        check_paid(b, max(sizes), span)


# ---------------------------------------------------------------- writing


def _early_key(b: BodyEmitter, e: p.GlobalRef, value: p.Expr) -> str:
    """The key of an element that gets a value, if it matters that keys are evaluated first."""
    if e.keys and any(has_effect(x, b.unit.pure) for x in (*e.keys, value)):
        return _key(b, b.stored(e.name), e.keys)
    return ""


def _row(b: BodyEmitter, e: p.GlobalRef, span: Span, key: str = "") -> tuple[str, str]:
    """A row to write to, and the test that it exists, since an array may be full; "" if it does."""
    g = b.stored(e.name)
    if not e.keys:
        return scalar(b, g), ""
    key = key or _key(b, g, e.keys)
    n = b.temporary("u32", "n")
    b.w.line(f"{n} = {'add' if g.percpu else 'put'}_{g.c}(a, {b.s}, {key});")
    row = f"a->lane.{g.c}[{n} - 1]" if g.percpu else shared_row(b, g, n)
    if b.unit.options.strict or g.when_full is WhenFull.ERROR:
        b.raise_if(f"!{n}", "array overflow, check MAXMAPENTRIES", span)
        return row, ""
    return row, n


def assign(b: BodyEmitter, e: p.Assign, *, used: bool) -> C:
    """`target op= value`; with `used` the new value is returned."""
    match e.target:
        case p.LocalRef(local=local):
            return _assign_local(b, e, local)
        case p.GlobalRef() as target:
            return _assign_global(b, e, target, used)


def _may_divide_by_zero(e: p.Assign) -> bool:
    return e.op in ("/", "%") and not (isinstance(e.value, p.Number) and e.value.value != 0)


def _assign_local(b: BodyEmitter, e: p.Assign, local: p.Local) -> C:
    c = b.local(local)
    value = b.value(e.value)
    if local.type is STRING:
        _store_string(b, e, c, value, b.size_of(e))
    elif e.op in _COMPOUND:
        b.w.line(f"{c} {e.op}= {value};")
    elif e.op is None:
        b.w.line(f"{c} = {value};")
    else:
        if _may_divide_by_zero(e):
            value = stable(b, e.value, value)
            b.raise_if(f"!{value}", "division by 0", e.span)
        b.w.line(f"{c} = {cw.CALLED[e.op]}({c}, {value});")
    return C(c)


def _store_string(b: BodyEmitter, e: p.Assign, target: str, value: C, size: int) -> None:
    """`size`: bytes of the target."""
    if e.op == ".":
        b.w.line(f"sw_concat({b.c}, {target}, sizeof({target}), {target}, {value});")
        check_paid(b, max(size, b.size_of(e.value)), e.span)
    else:
        copy(b, target, f"sizeof({target})", value, min(size, b.size_of(e.value)), e.span)


def _assign_global(b: BodyEmitter, e: p.Assign, target: p.GlobalRef, used: bool) -> C:
    key = _early_key(b, target, e.value)
    # the value before the element: a fault in the value must not leave a new element
    value = b.value(e.value)
    if target.keys or b.stored(target.name).percpu or used:
        value = stable(b, e.value, value)
    if _may_divide_by_zero(e):
        value = stable(b, e.value, value)
        b.raise_if(f"!{value}", "division by 0", e.span)
    row, exists = _row(b, target, e.span, key)
    if exists:
        with b.w.block(f"if (likely({exists}))"):
            found = _store(b, e, row, value)
    else:
        found = _store(b, e, row, value)
    if not used:
        return found
    return _new_value(b, exists, found, target)


def _store(b: BodyEmitter, e: p.Assign, row: str, value: C) -> C:
    """Writes to a row, and returns what then holds the new value."""
    if e.target.type is STRING:
        _store_string(b, e, f"{row}.value", value, b.size_of(e))
        return C(f"{row}.value")
    if e.op in _COMPOUND:
        b.w.line(f"{row} {e.op}= {value};")
    else:
        new = value if e.op is None else f"{cw.CALLED[e.op]}({row}, {value})"
        b.w.line(f"{row} = {new};")
    return C(row, cw.UNARY)


def _new_value(b: BodyEmitter, exists: str, found: C, target: p.GlobalRef) -> C:
    if not exists:
        return stable(b, target, found)
    if target.type is STRING:
        return C(f'({exists} ? {found} : "")')
    kept = b.temporary("s64")
    b.w.line(f"{kept} = {exists} ? {found} : 0;")
    return C(kept)


def increment(b: BodyEmitter, e: p.Increment, *, used: bool) -> C:
    """`x++`, `--x` and so on; with `used` the old or the new value is returned."""
    op = "++" if e.step > 0 else "--"
    match e.target:
        case p.LocalRef(local=local):
            c = b.local(local)
            if used and not e.prefix:
                old = b.temporary("s64")
                b.w.line(f"{old} = {c};")
                b.w.line(f"{c}{op};")
                return C(old)
            b.w.line(f"{c}{op};")
            return C(c)
        case p.GlobalRef() as target:
            return _increment_global(b, e, target, op, used)


def _increment_global(
    b: BodyEmitter, e: p.Increment, target: p.GlobalRef, op: str, used: bool
) -> C:
    row, exists = _row(b, target, e.span)
    if not used:
        _if_exists(b, exists, f"{row}{op};")
        return C("0")
    found = b.temporary("s64")
    value = f"{op}{row}" if e.prefix else f"{row}{op}"
    b.w.line(f"{found} = {exists} ? {value} : 0;" if exists else f"{found} = {value};")
    return C(found)


def _if_exists(b: BodyEmitter, exists: str, statement: str) -> None:
    if exists:
        b.w.line(f"if (likely({exists}))")
        b.w.line(f"\t{statement}")
    else:
        b.w.line(statement)


# ---------------------------------------------------------------- statistics


@record
class StatLocation:
    """The location of one statistic's parts: arguments of the runtime's functions that merge them."""

    exists: str  # a test; "true" for a scalar
    offset: str  # in every per-CPU region
    shared: str  # the address of the shared row, or NULL


def accumulate(b: BodyEmitter, s: p.Accumulate) -> None:
    """`target <<< value`."""
    key = _early_key(b, s.target, s.value)
    value = b.value(s.value)
    if s.target.keys:
        value = stable(b, s.value, value)
    row, exists = _row(b, s.target, s.span, key)
    _if_exists(b, exists, f"fill_{b.stored(s.target.name).c}(&{row}, {value});")


def stat_location(b: BodyEmitter, e: p.GlobalRef) -> StatLocation:
    g = b.stored(e.name)
    if e.keys:
        return stat_in_slot(b, g, find(b, e))
    if g.percpu:
        return StatLocation("true", lane_offset(g), "NULL")
    return StatLocation("true", "0", f"&{b.s}->{g.c}")


def stat_in_slot(b: BodyEmitter, g: StoredGlobal, n: str) -> StatLocation:
    if g.percpu:
        return StatLocation(n, lane_offset(g, n), "NULL")
    return StatLocation(n, "0", f"&{shared_row(b, g, n)}")


def merged(b: BodyEmitter, g: StoredGlobal, at: StatLocation, span: Span | None) -> str:
    """A struct sw_stat_value with the statistic's values; zeros if it does not exist. `span`: None if the
    caller pays for the CPUs' rows."""
    if span is not None:
        pay_for_lanes(b, g, merging(g), span)
    found = b.temporary("struct sw_stat_value", "stat")
    merge = f"sw_stat_merge(&layout_{g.c}, {at.offset}, {at.shared}, &{found});"
    if at.exists == "true":
        b.w.line(merge)
        return found
    with b.w.block(f"if ({at.exists})", "} else {"):
        b.w.line(merge)
    with b.w.else_block():
        b.w.line(f"{found} = (struct sw_stat_value){{ 0 }};")
    return found


def require_samples(b: BodyEmitter, buckets: p.Buckets, span: Span) -> StatLocation:
    """The location of a histogram's statistic; without any sample it is a script error."""
    at = stat_location(b, buckets.stat)
    stat = merged(b, b.stored(buckets.stat.name), at, span)
    b.raise_if(f"!{stat}.count", "empty aggregate", span)
    return at


def extract(b: BodyEmitter, e: p.Extract) -> C:
    stat = merged(b, b.stored(e.stat.name), stat_location(b, e.stat), e.span)
    if e.extractor in ("count", "sum"):
        return C(f"{stat}.{e.extractor}")
    b.raise_if(f"!{stat}.count", "empty aggregate", e.span)
    if e.extractor == "avg":
        return C(f"sw_divide({stat}.sum, {stat}.count)")
    return C(f"{stat}.{e.extractor}")


def bucket(b: BodyEmitter, e: p.Bucket) -> C:
    g = b.stored(e.buckets.stat.name)
    index = stable(b, e.index, b.value(e.index))
    at = require_samples(b, e.buckets, e.span)
    count = e.buckets.histogram.buckets
    b.raise_if(f"{index} < 0 || {index} >= {count}", "histogram index out of range", e.span)
    pay_for_lanes(b, g, MERGE_WORD, e.span)
    found = b.temporary("s64")
    b.w.line(f"{found} = sw_stat_bucket(&layout_{g.c}, {at.offset}, {at.shared}, {index});")
    return C(found)


def drawing(b: BodyEmitter, e: p.Drawing) -> C:
    """A histogram as text, in a buffer."""
    buffer = b.text_buffer(e)
    g, shape = b.stored(e.buckets.stat.name), e.buckets.histogram
    at = require_samples(b, e.buckets, e.span)
    steps = f"{shape.low}, {shape.interval}" if shape.kind is HistogramKind.LINEAR else "0, 0"
    steps += f", {b.unit.options.limits.margin(shape.buckets)}"
    b.w.line(
        f"sw_stat_draw({b.c}, {buffer}, sizeof({buffer}), &layout_{g.c}, {at.offset}, {at.shared}, {steps});"
    )
    b.check(TOO_LONG, e.span)
    return C(buffer)


def bucket_of(g: StoredGlobal, h: Histogram, value: str) -> str:
    """The number of the bucket of a statistic's histogram that counts a value."""
    match h.kind:
        case HistogramKind.LOG2:
            return f"sw_log2_{'signed_' if h.negative else ''}bucket({value})"
        case HistogramKind.LINEAR:
            return f"sw_linear_bucket({value}, {h.low}, {h.high}, {h.interval})"
        case HistogramKind.BOUNDS:
            return f"sw_bounds_bucket({value}, bounds_{g.c}, {len(h.bounds)})"
        case HistogramKind.EXPONENTIAL:
            shape = exponential(h)
            mark = cw.unsigned(shape.coarse.marks()[0])
            return f"sw_exponential_bucket({value}, marks_{g.c}, {shape.per_octave}, {mark})"
        case _:
            assert_never(h.kind)
