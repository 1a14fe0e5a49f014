# SPDX-License-Identifier: GPL-2.0-or-later
"""Generates programs: well-typed, bounded, and with one meaning.

Behaviour that the language does not define is left out: the order of elements with equal sort keys, of two
failures or side effects in one expression, and a loop over an array that its body changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from tests.language.fuzz import tree as t
from tests.language.fuzz.choices import NUMBERS, TEXTS, Scope
from tests.language.fuzz.functions import Functions
from tests.language.fuzz.samples import extracts


class Maker(Functions):
    def program(self) -> t.Program:
        self.lanes = self.pick((1, 2, 1))
        self.declared = [self.declaration() for _ in range(self.number(1, 5))]
        self.accumulated = [self.pile() for _ in range(self.number(0, 2))]
        functions: list[t.Function] = []  # a chain of overloads is listed once
        for _ in range(self.number(0, 3)):
            functions.append(self.function(functions))
        callable_ = [f for f in functions if f not in self.effects]
        probes = [self.probe("begin(1)", callable_, functions)]
        points = ("begin(2)", "timer.ms(5)", "timer.ms(7)", "end(1)")
        for point in points:
            if self.chance(3):
                probes.append(self.probe(point, callable_, ()))
        probes.append(t.Probe("end(9)", self.dump()))
        declared = (*self.declared, *self.accumulated)
        rounds, room = self.number(1, 4), self.pick((512, 512, 24, 16))
        return t.Program(declared, tuple(self.defined), tuple(probes), rounds, room, self.lanes)

    def declaration(self) -> t.Declaration:
        kind: t.Kind = self.pick(("long", "stat", "string", "stat", "long"))
        keys = tuple(self.type() for _ in range(self.pick((0, 0, 1, 1, 2, 3))))
        size = self.number(2, 4) if keys and kind != "stat" and self.chance(3) else None
        start: int | str | None = None
        if not keys and kind != "stat" and self.chance(3):
            start = self.pick((0, 5, -7)) if kind == "long" else self.pick(TEXTS)
        shape, shift = self.statistic() if kind == "stat" else (None, None)
        return t.Declaration(self.name("g"), keys, kind, size, start, shape, shift)

    def pile(self) -> t.Declaration:
        """A global that handlers only accumulate into."""
        keys: tuple[t.Type, ...] = self.pick(((), ("long",), ("string",)))
        kind: t.Kind = self.pick(("long", "stat"))
        shape, shift = self.statistic() if kind == "stat" else (None, None)
        return t.Declaration(self.name("c"), keys, kind, histogram=shape, shift=shift)

    def probe(
        self, point: str, callable_: list[t.Function], introduced: Sequence[t.Function]
    ) -> t.Probe:
        locals_ = [t.Variable("l", "long"), t.Variable("n", "long"), t.Variable("s", "string")]
        scope = Scope(list(locals_), list(locals_), callable_)
        body: list[t.Stmt] = []
        if introduced or point == "begin(1)":  # so that everything has a type
            body += [self.introduction(scope, g) for g in (*self.declared, *self.accumulated)]
            for f in introduced:
                call = t.Call(f.name, self.arguments(scope, f, 0), f.type)
                body.append(t.Do(t.Print("println", (call,))))
        body += self.stmts(scope, 2, 6)
        body.append(t.Do(t.Assign("+=", locals_[0], t.Number(0))))
        body.append(t.Do(t.Assign("^=", locals_[1], t.Number(0))))
        body.append(t.Do(t.Assign(".=", locals_[2], t.Text(""))))
        body.append(t.Do(t.Print("printdln", tuple(locals_), " ")))
        return t.Probe(point, tuple(body))

    def introduction(self, scope: Scope, g: t.Declaration) -> t.Stmt:
        keys = tuple(t.Number(1) if k == "long" else t.Text("a") for k in g.keys)
        if g.kind == "stat":
            return t.Accumulate(g.name, keys, t.Number(self.pick(NUMBERS)))
        target = t.Element(g.name, keys, g.kind) if keys else t.Variable(g.name, g.kind)
        if g.kind == "string":
            return t.Do(t.Assign(".=", target, t.Text(self.pick(TEXTS))))
        return t.Do(t.Assign("+=", target, t.Number(self.pick(NUMBERS))))

    def dump(self) -> t.Stmts:
        """Statements that print all globals at the end."""
        made: list[t.Stmt] = []
        for g in (*self.declared, *self.accumulated):
            made += _dump(g)
        return tuple(made)


def _dump(g: t.Declaration) -> list[t.Stmt]:
    if g.kind == "stat" and not g.keys:
        some = t.Print("printdln", tuple(extracts(g, (), empty=False)), " ")
        both = t.Print("printdln", tuple(extracts(g, (), empty=True)), " ")
        chart = _chart(g, ())
        return [t.Do(both), t.If(t.Extract("count", g.name, ()), (t.Do(some), *chart), ())]
    if not g.keys:
        assert g.kind != "stat"
        return [t.Do(t.Print("println", (t.Text(f"{g.name}="), t.Variable(g.name, g.kind))))]
    names = tuple(t.Variable(f"{g.name}_{i}", type_) for i, type_ in enumerate(g.keys))
    value = t.Variable(f"{g.name}_v", g.kind) if g.kind != "stat" else None
    shown: list[t.Expr] = [value] if value else []
    if g.kind == "stat":
        shown = [*extracts(g, names, empty=True), *extracts(g, names, empty=False)]
    if len(names) == 1:
        line = t.Print("printdln", (*names, *shown), ":")
        return [
            t.Foreach(names, value, g.name, (), 0, False, None, (t.Do(line), *_chart(g, names)))
        ]
    total, n = t.Variable(f"{g.name}_sum", "long"), t.Variable(f"{g.name}_n", "long")
    words = [t.Binary("+", _digest(e), t.Number(17)) for e in (*names, *shown)]
    product: t.Expr = words[0]
    for word in words[1:]:
        product = t.Binary("^", t.Binary("*", product, t.Number(1000003)), word)
    body = (t.Do(t.Assign("+=", total, product)), t.Do(t.Increment("++", False, n)))
    line = t.Print("printdln", (t.Text(g.name), n, total), ":")
    return [t.Foreach(names, value, g.name, (), None, False, None, body), t.Do(line)]


def _chart(g: t.Declaration, keys: tuple[t.Expr, ...]) -> t.Stmts:
    if g.histogram is None:
        return ()
    return (t.Do(t.Draw("print", t.Buckets(g.histogram, g.name, keys))),)


def _digest(e: t.Expr) -> t.Expr:
    """A number of a value."""
    if t.type_of(e) == "long":
        return e
    return t.Binary(
        "+",
        t.Call("strlen", (e,), "long"),
        t.Binary("*", t.Binary(">", e, t.Text("ab")), t.Number(31)),
    )


@st.composite
def programs(draw: st.DrawFn) -> t.Program:
    """Any program."""
    return Maker(draw).program()
