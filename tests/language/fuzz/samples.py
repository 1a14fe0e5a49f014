# SPDX-License-Identifier: GPL-2.0-or-later
"""Statistics and their histograms: extracted, printed and iterated.

extract(scope, 1)  ->  Extract("variance", "g2", (Number(1),), 4)
"""

from __future__ import annotations

from tests.language.fuzz import histogram
from tests.language.fuzz import tree as t
from tests.language.fuzz.choices import Choices, Scope


def extracts(g: t.Declaration, keys: tuple[t.Expr, ...], *, empty: bool) -> list[t.Expr]:
    """All extractors of a statistic; `empty`: only those that are defined without values."""
    if empty:
        return [t.Extract(what, g.name, keys) for what in ("count", "sum")]
    found: list[t.Expr] = [t.Extract(what, g.name, keys) for what in ("min", "max", "avg")]
    if g.shift is not None:
        found.append(t.Extract("variance", g.name, keys, g.shift or None))
    if g.histogram is not None:
        middle = t.Number(1 if g.histogram.interval else 66)
        found.append(t.Bucket(t.Buckets(g.histogram, g.name, keys), middle))
    return found


class Samples(Choices):
    def statistic(self) -> tuple[t.Histogram | None, int | None]:
        """The histogram and the shift of @variance of a new statistic."""
        shape = None
        if self.chance(2):
            low, interval = self.pick((0, 1, -10, 100)), self.pick((1, 3, 20))
            shape = t.Histogram(low, low + self.number(0, 50) % (8 * interval), interval)
        elif self.chance(2):
            shape = t.Histogram()
        if self.lanes > 1 or self.chance(3):
            return shape, None
        return shape, self.pick((0, 0, 1, 4, 10, 20))

    def extract(self, scope: Scope, depth: int) -> t.Expr:
        stats = [g for g in self.declared if g.kind == "stat"] if scope.globals else []
        if not stats:
            return self.long(scope, depth)
        g = self.pick(stats)
        keys = self.keys(scope, g)
        if not scope.failures or self.chance(2):
            return self.pick(extracts(g, keys, empty=True))
        scope.failures -= 1
        if g.histogram is not None and self.chance(2):
            return t.Bucket(t.Buckets(g.histogram, g.name, keys), self.index(scope, g.histogram))
        return self.pick(extracts(g, keys, empty=False))

    def question(self, scope: Scope) -> t.Expr:
        """An extractor that may fail because the statistic is empty."""
        g = self.pick([g for g in self.declared if g.kind == "stat"])
        keys = self.keys(scope, g)
        asked = self.pick(extracts(g, keys, empty=False)[2:])  # the average, and the rarer ones
        if isinstance(asked, t.Bucket):
            return t.Bucket(asked.buckets, self.index(scope, asked.buckets.shape))
        return asked

    def index(self, scope: Scope, shape: t.Histogram) -> t.Expr:
        """The index of a bucket: mostly of a used one, sometimes out of range."""
        if self.chance(8):
            return self.plain(scope, "long", 1)
        if self.chance(8):
            return t.Unary("-", t.Number(1))
        most = histogram.size(shape)
        return t.Number(self.number(0, most) if shape.interval else self.number(61, 68))

    def charted(self, scope: Scope) -> list[t.Declaration]:
        known = [g for g in (*self.declared, *self.accumulated) if g.histogram is not None]
        return [g for g in known if g.name not in scope.iterated]

    def draw_chart(self, scope: Scope, known: list[t.Declaration]) -> t.Stmt:
        """Print a histogram, which is an error for an empty statistic."""
        g = self.pick(known)
        assert g.histogram is not None
        keys = self.keys(scope, g)
        buckets = t.Buckets(g.histogram, g.name, keys)
        drawn = t.Do(t.Draw(self.pick(("print", "println")), buckets))
        if self.chance(4):
            return drawn
        return t.If(t.Extract("count", g.name, keys), (drawn,), ())

    def each_bucket(self, scope: Scope, known: list[t.Declaration], body: t.Stmts) -> t.Stmt:
        """A loop over a statistic with values: the loop over an empty one is not defined."""
        g = self.pick(known)
        assert g.histogram is not None
        keys = self.keys(scope, g)
        buckets = t.Buckets(g.histogram, g.name, keys)
        index = t.Variable(self.name("b"), "long")
        value = t.Variable(self.name("v"), "long") if self.chance(2) else None
        count: t.Expr = t.Bucket(buckets, index) if value is None else value
        line = t.Do(t.Print("printdln", (index, count), ":"))
        limit = t.Number(self.number(0, 80)) if self.chance(3) else None
        shown = (t.If(count, (line, *body), ()),)
        loop = t.EachBucket(index, value, buckets, self.chance(3), limit, shown)
        return t.If(t.Extract("count", g.name, keys), (loop,), ())
