# SPDX-License-Identifier: GPL-2.0-or-later
"""Globals in C: structs of keys and rows, the two regions, and the functions that find and fill a row.

declare(w, reads) -> struct key_reads { ... };      accessors(w, reads) -> static ... u32 add_reads(...)
"""

from __future__ import annotations

from compiler.codegen import c_writer as cw
from compiler.codegen.body_emitter import Unit
from compiler.codegen.c_writer import Writer
from compiler.codegen.data_layout import Region, StoredGlobal
from compiler.codegen.global_access import bucket_of
from compiler.ir.program import LONG, STAT
from runtime.abi.histogram import exponential
from runtime.abi.manifest import HistogramKind, WhenFull


def declare(w: Writer, g: StoredGlobal) -> None:
    """Key, slot and row structs of one global."""
    if g.key_fields:
        with w.block(f"struct key_{g.c}", "} __aligned(8);"):
            for member in g.key_fields:
                w.line(f"{member};")
        w.line()
        with w.block(f"struct slot_{g.c}", "};"):
            w.line("struct sw_slot slot;")
            w.line(f"struct key_{g.c} key;")
        w.line()
    if g.row.fields:
        with w.block(g.row.c_type, "} __aligned(8);"):
            for member in g.row.fields:
                w.line(f"{member};")
        w.line()


def regions(w: Writer, unit: Unit) -> None:
    layout = unit.layout
    w.line("/* What one CPU accumulates; readers map it. */")
    _struct(w, "lane", layout.lane)
    w.line("/* What all CPUs share; readers map it. */")
    _struct(w, "shared", layout.shared)
    w.line("/* One CPU's block. */")
    with w.block("struct area", "};"):
        w.line("struct sw_context c;")
        w.line(f"struct sw_meter meters[{len(unit.program.probes)}];")
        for frame in unit.frames:
            w.line(frame)
        w.line("struct lane lane __aligned(4096);")
    w.line()
    for region, struct in ((layout.lane, "lane"), (layout.shared, "shared")):
        for _, member, offset in region.members:
            w.line(f'_Static_assert(offsetof(struct {struct}, {member}) == {offset}, "{member}");')
    w.line()


def _struct(w: Writer, name: str, region: Region) -> None:
    with w.block(f"struct {name}", "};"):
        for declaration, _, _ in region.members:
            w.line(f"{declaration};")
    w.line()


def accessors(w: Writer, g: StoredGlobal) -> None:
    """The functions that handlers call to update a global."""
    if g.g.type is STAT:
        _stat_accessors(w, g)
    if not g.is_array:
        return
    new, verb = ("append", "add") if g.percpu else ("insert", "put")
    parameters = f"(struct area *a, struct shared *s, const struct key_{g.c} *key)"
    about = _about(g)
    if g.long_keys:
        w.line(f"/* {about} */")
        w.line(f"static noinline u32 {verb}_{g.c}{parameters}")
        with w.block(""):
            w.line(f"const struct sw_array array = SW_ARRAY(s->{g.c});")
            w.line("u32 n = sw_array_find_long(&array, key);")
            w.line()
            _return_found(w, g, "&array", "likely(n)")
            w.line(f"n = {_call_new(g, new, '&array')};")
            _new_element(w, g, "&array")
        w.line()
        return
    array = f"&SW_ARRAY(s->{g.c})"
    w.line("/* Out of line: a stack protector, if any, is paid here and not at each hit. */")
    w.line(f"static noinline u32 {new}_{g.c}{parameters}")
    with w.block(""):
        w.line(f"u32 n = sw_array_find({array}, key);")
        w.line()
        _return_found(w, g, array, "n")
        w.line(f"n = {_call_new(g, new, array)};")
        _new_element(w, g, array)
    w.line()
    w.line(f"/* {about} */")
    w.line(f"static __always_inline u32 {verb}_{g.c}{parameters}")
    with w.block(""):
        w.line(f"u32 n = sw_array_find_near({array}, key);")
        w.line()
        if g.when_full is WhenFull.LRU:
            _return_found(w, g, array, "likely(n)")
            w.line(f"return {new}_{g.c}(a, s, key);")
        else:
            w.line(f"return likely(n) ? n : {new}_{g.c}(a, s, key);")
    w.line()


def _about(g: StoredGlobal) -> str:
    if g.when_full is WhenFull.OTHER:
        return "1 + the slot of an element, a new one zero; in a full array, of the row for all others."
    return "1 + the slot of an element, a new one zero; 0: the array is full, and it is counted."


def _return_found(w: Writer, g: StoredGlobal, array: str, test: str) -> None:
    if g.when_full is WhenFull.LRU:
        with w.block(f"if ({test})"):
            w.line(f"sw_array_touch({array}, n);")
            w.line("return n;")
    else:
        w.line(f"if ({test})")
        w.line("\treturn n;")


def _call_new(g: StoredGlobal, new: str, array: str) -> str:
    replaced = f"&a->lane.{g.c}_replaced" if g.slots.wraps else "NULL"
    last = f"&s->{g.lock}" if g.percpu else replaced
    return f"sw_array_{new}({array}, key, {last})"


def _new_element(w: Writer, g: StoredGlobal, array: str) -> None:
    """The lines after _call_new()."""
    if g.when_full is WhenFull.OTHER:
        w.line("if (unlikely(!n))")
        w.line(f"\treturn {g.slots.rows};")
    elif g.percpu:
        w.line("if (unlikely(!n))")
        w.line(f"\ta->lane.{g.c}_dropped++;")
    else:
        with w.block("if (unlikely(!n))"):
            w.line(f"a->lane.{g.c}_dropped++;")
            w.line("return 0;")
        zero = "0" if g.g.type is LONG else f"({g.row.c_type}){{ 0 }}"
        w.line(f"s->{g.c}_values[n - 1] = {zero};")
        w.line(f"sw_array_publish({array}, n);")
    w.line("return n;")


def _stat_accessors(w: Writer, g: StoredGlobal) -> None:
    statistic = g.row.statistic
    assert statistic is not None
    histogram = statistic.histogram
    if histogram is not None and histogram.kind is HistogramKind.BOUNDS:
        bounds = ", ".join(cw.number(b) for b in histogram.bounds)
        w.line(f"static const s64 bounds_{g.c}[] = {{ {bounds} }};")
        w.line()
    exported = statistic.exported
    if exported is not None and exported.kind is HistogramKind.EXPONENTIAL:
        marks = ", ".join(map(cw.unsigned, exponential(exported).marks()))
        w.line(f"static const u64 marks_{g.c}[] = {{ {marks} }};")
        w.line()
    with w.block(f"static const struct sw_stat_layout layout_{g.c} __maybe_unused =", "};"):
        for member in ("count", "sum", "min", "max", "mean", "m2"):
            word = getattr(statistic, member)
            w.line(f".{member} = {'SW_NO_WORD' if word is None else word},")
        if histogram is not None:
            w.line(f".buckets = {histogram.word},")
            w.line(f".nr_buckets = {histogram.buckets},")
        if statistic.shift:
            w.line(f".shift = {statistic.shift},")
    w.line()
    w.line(f"static __always_inline void fill_{g.c}({g.row.c_type} *row, s64 value)")
    with w.block(""):
        if statistic.min is not None:
            w.line("if (!row->count || value < row->min)")
            w.line("\trow->min = value;")
        if statistic.max is not None:
            w.line("if (!row->count || value > row->max)")
            w.line("\trow->max = value;")
        if statistic.count is not None:
            w.line("row->count++;")
        w.line("row->sum += value;")
        if statistic.mean is not None:
            w.line(f"sw_stat_variance(&row->mean, &row->m2, row->count, value, {statistic.shift});")
        if histogram is not None:
            w.line(f"row->buckets[{bucket_of(g, histogram, 'value')}]++;")
        if statistic.separate is not None:
            w.line(f"row->separate[{bucket_of(g, statistic.separate, 'value')}]++;")
    w.line()
