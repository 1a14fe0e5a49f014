# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements as C. Loops pay for their turns: a handler runs a bounded number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from compiler.codegen import c_writer as t
from compiler.codegen.data_layout import Placed
from compiler.codegen.event_records import write_record
from compiler.codegen.expressions import Values
from compiler.codegen.global_access import bucket_of, each_slot
from compiler.ir import program as p
from compiler.ir.program import LONG, STAT, STRING
from compiler.ir.source import Span
from compiler.ir.traits import body_of, reachable, walk
from runtime.abi.manifest import ValueType
from runtime.support.record import field, record

_TOO_LONG = "MAXACTION exceeded"


@record(frozen=False)
class Statements:
    """Emits one body's statements. `out`: where `next` and `return` go."""

    v: Values
    out: str = "out"
    uses_out: bool = False
    result: p.Function | None = None  # the function whose body this is
    continues: list[str] = field(default_factory=list)  # label for `continue`, "" for C's own

    def emit(self, stmts: Sequence[p.Stmt]) -> None:
        for s in stmts:
            self.stmt(s)

    def stmt(self, s: p.Stmt) -> None:
        w = self.v.w
        match s:
            case p.ExprStmt():
                self._expr(s.value)
            case p.Accumulate():
                self.v.accumulate(s)
            case p.If():
                self._if(s)
            case p.Loop():
                self._loop(s)
            case p.Foreach():
                self._foreach(s)
            case p.ForeachBucket():
                self._foreach_bucket(s)
            case p.Break():
                w.line("break;")
            case p.Continue():
                label = self.continues[-1]
                w.line(f"goto {label};" if label else "continue;")
            case p.Next():
                self._leave()
            case p.Return():
                self._return(s)
            case p.Fail():
                self.v.raise_error(s.message, s.span)
            case p.Delete():
                self._delete(s)
            case p.Try():
                self._try(s)
            case p.Print():
                write_record(self.v, s)
            case _:
                assert_never(s)

    def _leave(self) -> None:
        self.uses_out = True
        self.v.w.line(f"goto {self.out};")

    def _expr(self, e: p.Expr) -> None:
        match e:
            case p.Assign():
                self.v.assign(e, used=False)
            case p.Increment():
                self.v.increment(e, used=False)
            case p.Call():
                self.v.call(e, used=False)
            case _:
                found = self.v.value(e)
                del found

    def _if(self, s: p.If) -> None:
        w = self.v.w
        test = self.v.value(s.test)
        if not s.otherwise:
            with w.block(f"if ({test})"):
                self.emit(s.then)
            return
        with w.block(f"if ({test})", "} else {"):
            self.emit(s.then)
        w.depth += 1
        self.emit(s.otherwise)
        w.depth -= 1
        w.line("}")

    # ------------------------------------------------------------ loops

    def pay(self, body: Sequence[p.Stmt], span: Span) -> None:
        """One turn's or call's statements off the handler's allowance."""
        count = 1 + sum(1 for n in walk(*body) if isinstance(n, _COUNTED))
        self.v.w.line(f"c->actions -= {count};")
        self.v.raise_if("c->actions < 0", _TOO_LONG, span)

    def _loop(self, s: p.Loop) -> None:
        w = self.v.w
        inline = self.v.plain(s.test)
        test = str(self.v.value(s.test)) if inline else "true"
        label = self.v.label("step") if s.step is not None else ""
        self.continues.append(label)
        used = label and any(isinstance(n, p.Continue) for n in walk(*s.body))
        with w.block(f"while ({test})"):
            if not inline:
                w.line(f"if (!{self.v.value(s.test).inside(t.UNARY)})")
                w.line("\tbreak;")
            self.pay(s.body, s.span)
            self.emit(s.body)
            if s.step is not None:
                if used:
                    w.label(label)
                self._expr(s.step)
                if used and w.lines[-1] == f"{label}:":
                    w.line(";")
        self.continues.pop()

    def _limit(self, limit: p.Expr | None) -> str:
        """A countdown; "" where there is no limit."""
        if limit is None:
            return ""
        found = self.v.temporary("s64", "limit")
        self.v.w.line(f"{found} = {self.v.value(limit)};")
        return found

    def _foreach(self, s: p.Foreach) -> None:
        w, g = self.v.w, self.v.placed(s.name)
        wanted = self.v.slice_values(s.slice) if s.slice else []
        limit = self._limit(s.limit)
        n = self.v.temporary("u32", "n")
        self.continues.append("")
        if s.sort is not None:
            self._sorted(s, s.sort, g, n, wanted, limit)
        elif self._empties(s):
            head = f"s->{g.c}.head"  # nothing follows once the body has deleted the array
            follow = f"{head}.live ? s->{g.c}.slots[{n} - 1].slot.next : 0"
            with w.block(f"for ({n} = {head}.first; {n}; {n} = {follow})"):
                self._turn(s, g, n, wanted, limit)
        else:
            with w.block(each_slot(g, n)):
                self._turn(s, g, n, wanted, limit)
        self.continues.pop()

    def _empties(self, s: p.Foreach) -> bool:
        """Whether a loop's body may delete the whole array; it changes it in no other way."""
        functions = self.v.unit.functions
        nodes = [*s.body, *(n for f in reachable(s.body, functions) for n in body_of(functions[f]))]
        return any(isinstance(n, p.Delete) and n.name == s.name for n in walk(*nodes))

    def _turn(self, s: p.Foreach, g: Placed, n: str, wanted: list[str | None], limit: str) -> None:
        w = self.v.w
        if wanted:
            w.line(f"if (!({self.v.slice_test(g, n, wanted)}))")
            w.line("\tcontinue;")
        if limit:
            w.line(f"if ({limit}-- <= 0)")
            w.line("\tbreak;")
        self.pay(s.body, s.span)
        for key, local in zip(g.table.keys, s.keys, strict=True):
            member = f"s->{g.c}.slots[{n} - 1].key.{self.v.unit.name(key.name)}"
            self._set(local, member)
        if s.value is not None:
            row = f"s->{g.c}_values[{n} - 1]"
            if g.percpu:
                self._set(s.value, f"sw_lanes_sum({self.v.lane_offset(g, n)})")
            else:
                self._set(s.value, f"{row}.value" if g.g.type is STRING else row)
        self.emit(s.body)

    def _set(self, local: p.Local, value: str) -> None:
        c = self.v.local(local)
        if local.type is STRING:
            self.v.w.line(f"sw_copy(c, {c}, sizeof({c}), {value});")
        else:
            self.v.w.line(f"{c} = {value};")

    def _sorted(
        self,
        s: p.Foreach,
        sort: p.Sort,
        g: Placed,
        n: str,
        wanted: list[str | None],
        limit: str,
    ) -> None:
        w = self.v.w
        order = f"s->{self.v.unit.layout.sort_members[id(s)]}"
        count, i = self.v.temporary("u32", "count"), self.v.temporary("u32", "i")
        text, value = self._sort_value(g, sort, n)
        w.line(f"{count} = 0;")
        with w.block(each_slot(g, n)):
            if wanted:
                w.line(f"if (!({self.v.slice_test(g, n, wanted)}))")
                w.line("\tcontinue;")
            stat = ""
            if g.g.type is STAT and sort.key is None:
                stat = self.v.merged(g, "true", *self.v.stat_at(g, n)[1:])
            w.line(f"{order}[{count}].{'text' if text else 'number'} = {value.format(stat=stat)};")
            w.line(f"{order}[{count}].slot = {n};")
            w.line(f"{order}[{count}].order = {count};")
            w.line(f"{count}++;")
        kind = "strings" if text else "numbers"
        w.line(f"sw_sort_{kind}({order}, {count}, {'true' if sort.descending else 'false'});")
        test = f"{i} < {count}" + (f" && s->{g.c}.head.live" if self._empties(s) else "")
        with w.block(f"for ({i} = 0; {test}; {i}++)"):
            w.line(f"{n} = {order}[{i}].slot;")
            self._turn(s, g, n, [], limit)

    def _sort_value(self, g: Placed, sort: p.Sort, n: str) -> tuple[bool, str]:
        """Whether elements are sorted as text, and by what; `{stat}` is the merged statistic."""
        if sort.key is not None:
            key = g.table.keys[sort.key]
            return key.type is STRING, f"s->{g.c}.slots[{n} - 1].key.{self.v.unit.name(key.name)}"
        match g.g.type:
            case ValueType.STAT:
                if sort.extractor == "avg":
                    return False, "{stat}.count ? sw_divide({stat}.sum, {stat}.count) : 0"
                return False, f"{{stat}}.{sort.extractor or 'count'}"
            case ValueType.STRING:
                return True, f"s->{g.c}_values[{n} - 1].value"
            case ValueType.LONG if g.percpu:
                return False, f"sw_lanes_sum({self.v.lane_offset(g, n)})"
            case _:
                return False, f"s->{g.c}_values[{n} - 1]"

    def _foreach_bucket(self, s: p.ForeachBucket) -> None:
        w, g = self.v.w, self.v.placed(s.buckets.stat.name)
        limit = self._limit(s.limit)
        exists, offset, shared = self.v.stat_place(s.buckets.stat)
        index = self.v.local(s.index)
        i = self.v.temporary("s64", "i")
        last = s.buckets.histogram.buckets - 1
        first, test, step = f"{i} = 0", f"{i} <= {last}", f"{i}++"
        if s.descending:
            first, test, step = f"{i} = {last}", f"{i} >= 0", f"{i}--"
        if exists != "true":
            test = f"{exists} && {test}"
        self.continues.append("")
        with w.block(f"for ({first}; {test}; {step})"):
            if limit:
                w.line(f"if ({limit}-- <= 0)")
                w.line("\tbreak;")
            self.pay(s.body, s.span)
            w.line(f"{index} = {i};")
            if s.value is not None:
                value = self.v.local(s.value)
                w.line(f"{value} = sw_stat_bucket(&layout_{g.c}, {offset}, {shared}, {i});")
            self.emit(s.body)
        self.continues.pop()

    # ------------------------------------------------------------ the rest

    def _return(self, s: p.Return) -> None:
        if s.value is not None and self.result is not None:
            if self.result.result is STRING:
                size = self.v.unit.sizes.result(self.result.symbol)
                self.v.into(s.value, "result", str(size))
            else:
                self.v.w.line(f"result = {self.v.value(s.value)};")
        self._leave()

    def _delete(self, s: p.Delete) -> None:
        w, g = self.v.w, self.v.placed(s.name)
        if not g.is_array:
            zero = "0" if g.g.type is LONG else f"({g.row.c_type}){{ 0 }}"
            w.line(f"{self.v.scalar(g)} = {zero};")
            return
        array = f"&SW_ARRAY(s->{g.c})"
        if not s.keys:
            w.line(f"sw_array_clear({array});")
        elif all(k is not None for k in s.keys):
            keys = tuple(k for k in s.keys if k is not None)
            n = self.v.find(p.GlobalRef(s.name, keys, g.g.type, s.span))
            w.line(f"if ({n})")
            w.line(f"\tsw_array_remove({array}, {n});")
        else:
            wanted = self.v.slice_values(s.keys)
            n, follow = self.v.temporary("u32", "n"), self.v.temporary("u32", "next")
            with w.block(f"for ({n} = s->{g.c}.head.first; {n}; {n} = {follow})"):
                w.line(f"{follow} = s->{g.c}.slots[{n} - 1].slot.next;")
                w.line(f"if ({self.v.slice_test(g, n, wanted)})")
                w.line(f"\tsw_array_remove({array}, {n});")

    def _try(self, s: p.Try) -> None:
        w = self.v.w
        caught, done = self.v.label("caught"), self.v.label("tried")
        outer, self.v.fail = self.v.fail, caught
        used, self.v.uses_fail = self.v.uses_fail, False
        self.emit(s.body)
        self.v.fail, failed = outer, self.v.uses_fail
        self.v.uses_fail = used
        if not failed:
            return
        w.line(f"goto {done};")
        w.label(caught)
        if s.variable is not None:
            c = self.v.local(s.variable)
            w.line(f"sw_copy(c, {c}, sizeof({c}), c->error);")
        w.line("c->error = NULL;")
        self.emit(s.handler)
        w.label(done)
        w.line(";")


_COUNTED = (
    p.ExprStmt, p.Accumulate, p.If, p.Loop, p.Foreach, p.ForeachBucket, p.Delete, p.Print, p.Return,
)  # fmt: skip

__all__ = ["Statements", "bucket_of"]
