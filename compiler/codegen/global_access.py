# SPDX-License-Identifier: GPL-2.0-or-later
"""Reading and writing globals in C: scalars, elements of arrays, statistics.

reads[execname()]++ -> n = add_reads(a, s, &f->key_0); if (likely(n)) a->lane.reads[n - 1]++;
"""

from __future__ import annotations

from typing import assert_never

from compiler.codegen import c_writer as t
from compiler.codegen.body_emitter import Body
from compiler.codegen.c_writer import C
from compiler.codegen.data_layout import Placed
from compiler.ir import program as p
from compiler.ir.program import STRING
from compiler.ir.source import Span
from compiler.ir.traits import has_effect
from runtime.abi.manifest import HistogramKind
from runtime.support.record import record


@record(frozen=False)
class Globals(Body):
    """The part of Values that knows how globals are kept."""

    def key(self, g: Placed, keys: tuple[p.Expr, ...]) -> str:
        """A key struct, filled; gives its address. In the frame: keys may be larger than a stack likes."""
        found = f"f->key_{len(self.buffers)}"
        self.buffers.append(f"struct key_{g.c} {found.removeprefix('f->')};")
        for key, e in zip(g.table.keys, keys, strict=True):
            member = f"{found}.{self.unit.name(key.name)}"
            if key.type is STRING:
                self.into(e, member, padded=True)
            else:
                self.w.line(f"{member} = {self.value(e)};")
        return f"&{found}"

    def scalar(self, g: Placed) -> str:
        """The row of a scalar: in this CPU's lane, or shared."""
        return f"a->lane.{g.c}" if g.percpu else f"s->{g.c}"

    def lane_offset(self, g: Placed, n: str = "") -> str:
        """The offset of a row in every lane."""
        if n:
            return f"offsetof(struct lane, {g.c}) + ({n} - 1) * sizeof({g.row.c_type})"
        return f"offsetof(struct lane, {g.c})"

    def find(self, e: p.GlobalRef) -> str:
        """1 + the slot of an element, or 0, in a temporary."""
        g = self.placed(e.name)
        key = self.key(g, e.keys)
        n = self.temporary("u32", "n")
        self.w.line(f"{n} = {g.finder}(&SW_ARRAY(s->{g.c}), {key});")
        return n

    def read(self, e: p.GlobalRef) -> C:
        """A number or string; 0 or "" for an element that is not there."""
        g = self.placed(e.name)
        if not e.keys:
            if g.percpu:
                return C(f"sw_lanes_sum({self.lane_offset(g)})")
            return C(f"{self.scalar(g)}.value" if e.type is STRING else self.scalar(g))
        n = self.find(e)
        row = f"s->{g.c}_values[{n} - 1]"
        if e.type is STRING:
            buffer = self.buffer(g.row.size)
            self.w.line(f'sw_copy(c, {buffer}, sizeof({buffer}), {n} ? {row}.value : "");')
            return C(buffer)
        found = self.temporary("s64")
        value = f"sw_lanes_sum({self.lane_offset(g, n)})" if g.percpu else row
        self.w.line(f"{found} = {n} ? {value} : 0;")
        return C(found)

    def _in(self, e: p.In) -> C:
        g = self.placed(e.name)
        found = self.temporary("s64")
        if all(k is not None for k in e.keys):
            key = self.key(g, tuple(k for k in e.keys if k is not None))
            self.w.line(f"{found} = {g.finder}(&SW_ARRAY(s->{g.c}), {key}) != 0;")
            return C(found)
        wanted = self.slice_values(e.keys)
        self.w.line(f"{found} = 0;")
        n = self.temporary("u32", "n")
        with self.w.block(each_slot(g, n)):
            self.w.line(f"if ({self.slice_test(g, n, wanted)})")
            self.w.line(f"\t{found} = 1;")
        return C(found)

    def slice_values(self, keys: tuple[p.Expr | None, ...]) -> list[str | None]:
        """The keys of a slice that are no `*`, evaluated once."""
        found: list[str | None] = []
        for key in keys:
            found.append(None if key is None else str(self.stable(key, self.value(key))))
        return found

    def slice_test(self, g: Placed, n: str, wanted: list[str | None]) -> str:
        """Whether slot n belongs to a slice."""
        tests = []
        for key, value in zip(g.table.keys, wanted, strict=True):
            member = f"s->{g.c}.slots[{n} - 1].key.{self.unit.name(key.name)}"
            if value is not None:
                tests.append(
                    f"!sw_compare({member}, {value})"
                    if key.type is STRING
                    else f"{member} == {value}"
                )
        return " && ".join(tests) or "true"

    def early_key(self, e: p.GlobalRef, value: p.Expr) -> str:
        """The key of an element that gets a value, if it matters that keys are evaluated first."""
        if any(has_effect(x, self.unit.pure) for x in (*e.keys, value)) and e.keys:
            return self.key(self.placed(e.name), e.keys)
        return ""

    def row(self, e: p.GlobalRef, span: Span, key: str = "") -> tuple[str, str]:
        """A place to write to, and the test that it is there ("": it is): an array may be full."""
        g = self.placed(e.name)
        if not e.keys:
            return self.scalar(g), ""
        key = key or self.key(g, e.keys)
        n = self.temporary("u32", "n")
        self.w.line(f"{n} = {'add' if g.percpu else 'put'}_{g.c}(a, s, {key});")
        place = f"a->lane.{g.c}[{n} - 1]" if g.percpu else f"s->{g.c}_values[{n} - 1]"
        if self.unit.options.strict:
            self.raise_if(f"!{n}", "array overflow, check MAXMAPENTRIES", span)
            return place, ""
        return place, n

    def assign(self, e: p.Assign, *, used: bool) -> C:
        """`target op= value`; with `used` the new value is given."""
        match e.target:
            case p.LocalRef(local=local):
                return self._assign_local(e, local)
            case p.GlobalRef() as target:
                return self._assign_global(e, target, used)

    def _combined(self, e: p.Assign, old: p.Expr | C) -> C:
        if e.op is None:
            return self.value(e.value)
        right = self.value(e.value)
        left = old if isinstance(old, C) else self.value(old)
        if e.op in t.CALLED:
            if e.op in ("/", "%") and not (isinstance(e.value, p.Number) and e.value.value):
                right = self.stable(e.value, right)
                self.raise_if(f"!{right}", "division by 0", e.span)
            return C(f"{t.CALLED[e.op]}({left}, {right})")
        tightness = t.ARITHMETIC[e.op]
        return C(f"{left.inside(tightness)} {e.op} {right.inside(tightness + 1)}", tightness)

    def _assign_local(self, e: p.Assign, local: p.Local) -> C:
        c = self.local(local)
        if local.type is STRING:
            size = f"sizeof({c})"
            value = self.value(e.value)
            if e.op == ".":
                self.w.line(f"sw_concat(c, {c}, {size}, {c}, {value});")
            else:
                self.w.line(f"sw_copy(c, {c}, {size}, {value});")
            return C(c)
        if e.op in ("+", "-", "*", "|", "&", "^"):
            self.w.line(f"{c} {e.op}= {self.value(e.value)};")
        else:
            self.w.line(f"{c} = {self._combined(e, C(c))};")
        return C(c)

    def _assign_global(self, e: p.Assign, target: p.GlobalRef, used: bool) -> C:
        g = self.placed(target.name)
        key = self.early_key(target, e.value)
        # the value before the element: a fault in it must not leave a new one behind
        value = self.value(e.value)
        if target.keys or g.percpu or used:
            value = self.stable(e.value, value)
        if e.op in ("/", "%") and not (isinstance(e.value, p.Number) and e.value.value):
            value = self.stable(e.value, value)
            self.raise_if(f"!{value}", "division by 0", e.span)
        place, there = self.row(target, e.span, key)
        if there:
            self.w.line(f"if (likely({there})) {{")
            self.w.depth += 1
        if target.type is STRING:
            member = f"{place}.value"
            if e.op == ".":
                self.w.line(f"sw_concat(c, {member}, sizeof({member}), {member}, {value});")
            else:
                self.w.line(f"sw_copy(c, {member}, sizeof({member}), {value});")
            found = C(member)
        else:
            if e.op in ("+", "-", "*", "|", "&", "^"):
                self.w.line(f"{place} {e.op}= {value};")
            else:
                new = value if e.op is None else f"{t.CALLED[e.op]}({place}, {value})"
                self.w.line(f"{place} = {new};")
            found = C(place, t.UNARY)
        if there:
            self.w.depth -= 1
            self.w.line("}")
        if used:
            if there:
                return self._after(there, found, target)
            return self.stable(target, found)
        return found

    def _after(self, there: str, found: C, target: p.GlobalRef) -> C:
        if target.type is STRING:
            return C(f'({there} ? {found} : "")')
        kept = self.temporary("s64")
        self.w.line(f"{kept} = {there} ? {found} : 0;")
        return C(kept)

    def increment(self, e: p.Increment, *, used: bool) -> C:
        """`x++` and its kin."""
        op = "++" if e.step > 0 else "--"
        match e.target:
            case p.LocalRef(local=local):
                c = self.local(local)
                if used and not e.prefix:
                    old = self.temporary("s64")
                    self.w.line(f"{old} = {c};")
                    self.w.line(f"{c}{op};")
                    return C(old)
                self.w.line(f"{c}{op};")
                return C(c)
            case p.GlobalRef() as target:
                place, there = self.row(target, e.span)
                if not used:
                    if there:
                        self.w.line(f"if (likely({there}))")
                    self.w.line(f"{chr(9) if there else ''}{place}{op};")
                    return C("0")
                found = self.temporary("s64")
                value = f"{op}{place}" if e.prefix else f"{place}{op}"
                self.w.line(f"{found} = {there} ? {value} : 0;" if there else f"{found} = {value};")
                return C(found)

    # ------------------------------------------------------------ statistics

    def accumulate(self, s: p.Accumulate) -> None:
        """`target <<< value`."""
        g = self.placed(s.target.name)
        key = self.early_key(s.target, s.value)
        value = self.value(s.value)
        if s.target.keys:
            value = self.stable(s.value, value)
        place, there = self.row(s.target, s.span, key)
        if there:
            self.w.line(f"if (likely({there}))")
        self.w.line(f"{chr(9) if there else ''}fill_{g.c}(&{place}, {value});")

    def stat_place(self, e: p.GlobalRef) -> tuple[str, str, str]:
        """For merging: a test that the statistic exists, its lane offset, its shared row."""
        g = self.placed(e.name)
        if not e.keys:
            shared = "NULL" if g.percpu else f"&s->{g.c}"
            return "true", self.lane_offset(g) if g.percpu else "0", shared
        return self.stat_at(g, self.find(e))

    def stat_at(self, g: Placed, n: str) -> tuple[str, str, str]:
        if g.percpu:
            return n, self.lane_offset(g, n), "NULL"
        return n, "0", f"&s->{g.c}_values[{n} - 1]"

    def merged(self, g: Placed, exists: str, offset: str, shared: str) -> str:
        """A struct sw_stat_value with the statistic's values, zeros where there is none."""
        found = self.temporary("struct sw_stat_value", "stat")
        merge = f"sw_stat_merge(&layout_{g.c}, {offset}, {shared}, &{found});"
        if exists == "true":
            self.w.line(merge)
            return found
        with self.w.block(f"if ({exists})", "} else {"):
            self.w.line(merge)
        self.w.line(f"\t{found} = (struct sw_stat_value){{ 0 }};")
        self.w.line("}")
        return found

    def _extract(self, e: p.Extract) -> C:
        g = self.placed(e.stat.name)
        stat = self.merged(g, *self.stat_place(e.stat))
        if e.extractor in ("count", "sum"):
            return C(f"{stat}.{e.extractor}")
        self.raise_if(f"!{stat}.count", "empty aggregate", e.span)
        if e.extractor == "avg":
            return C(f"sw_divide({stat}.sum, {stat}.count)")
        return C(f"{stat}.{e.extractor}")

    def _bucket(self, e: p.Bucket) -> C:
        g = self.placed(e.buckets.stat.name)
        index = self.stable(e.index, self.value(e.index))
        place = self.stat_place(e.buckets.stat)
        _, offset, shared = place
        self.raise_if(f"!{self.merged(g, *place)}.count", "empty aggregate", e.span)
        count = e.buckets.histogram.buckets
        self.raise_if(f"{index} < 0 || {index} >= {count}", "histogram index out of range", e.span)
        found = self.temporary("s64")
        self.w.line(f"{found} = sw_stat_bucket(&layout_{g.c}, {offset}, {shared}, {index});")
        return C(found)


def each_slot(g: Placed, n: str) -> str:
    """The head of a loop over live slots, in order of insertion."""
    if g.percpu:
        return f"for ({n} = 1; {n} <= sw_load_acquire(&s->{g.c}.head.used); {n}++)"
    return f"for ({n} = s->{g.c}.head.first; {n}; {n} = s->{g.c}.slots[{n} - 1].slot.next)"


def bucket_of(g: Placed, value: str) -> str:
    """The bucket number that counts a value."""
    assert g.row.statistic is not None and g.row.statistic.histogram is not None
    h = g.row.statistic.histogram
    match h.kind:
        case HistogramKind.LOG2:
            return f"sw_log2_{'signed_' if h.negative else ''}bucket({value})"
        case HistogramKind.LINEAR:
            return f"sw_linear_bucket({value}, {h.low}, {h.high}, {h.interval})"
        case HistogramKind.BOUNDS:
            return f"sw_bounds_bucket({value}, bounds_{g.c}, {len(h.bounds)})"
        case _:
            assert_never(h.kind)
