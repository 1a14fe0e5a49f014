# SPDX-License-Identifier: GPL-2.0-or-later
"""Loops over arrays, in an order that the language guarantees or that does not matter.

foreach(scope, 1)  ->  Foreach((Variable("k3", "long"),), None, "g1", (), 0, False, None, (...))
"""

from __future__ import annotations

from dataclasses import replace

from tests.language.fuzz import tree as t
from tests.language.fuzz.choices import Scope, longs
from tests.language.fuzz.expressions import Expressions


class Loops(Expressions):
    def foreach(self, scope: Scope, depth: int) -> t.Stmt:
        arrays = [g for g in self.declared if g.keys and g.name not in scope.iterated]
        if not arrays:
            return t.Do(self.print(scope))
        g = self.pick(arrays)
        names = tuple(t.Variable(self.name("k"), type_) for type_ in g.keys)
        value = t.Variable(self.name("v"), g.kind) if g.kind != "stat" else None
        limit = t.Number(self.number(0, 4)) if self.chance(3) else None
        down = self.chance(2)
        iterated = scope.iterated | {g.name}
        if len(g.keys) == 1 and self.chance(2):  # a defined order: any body is allowed
            seen = [*names, *([value] if value else [])]
            inner = replace(scope, names=[*scope.names, *seen], looping=True, iterated=iterated)
            body = self.stmts(inner, depth, 3)
            return t.Foreach(names, value, g.name, (), 0, down, limit, body)
        only: tuple[t.Expr | None, ...] = ()
        if len(g.keys) > 1 and self.chance(2):
            found: list[t.Expr | None] = [None for _ in g.keys]
            at = self.number(0, len(g.keys) - 1)
            found[at] = self.key(scope, g.keys[at])
            only = tuple(found)
        if self.chance(2):  # equal elements have no order: only their sort key is printed
            return self.ranked(g, names, value, only, down, limit)
        return t.Foreach(
            names, value, g.name, only, None, False, None, self.sums(scope, names, value)
        )

    def ranked(
        self,
        g: t.Declaration,
        names: tuple[t.Variable, ...],
        value: t.Variable | None,
        only: tuple[t.Expr | None, ...],
        down: bool,
        limit: t.Expr | None,
    ) -> t.Stmt:
        by = self.number(-1, len(names) - 1)
        if by >= 0:
            shown: t.Expr = names[by]
        elif value is not None:
            shown = value
        else:
            asked = self.pick(("count", "sum", "min", "max", "avg", "variance"))
            if asked == "variance" and g.shift is None:
                asked = "count"
            # a sign without an extractor means the count
            what = -1 if asked == "count" and self.chance(2) else asked
            shift = g.shift or None if asked == "variance" else None
            body = (t.Do(t.Print("println", (t.Extract(asked, g.name, names, shift),))),)
            return t.Foreach(names, None, g.name, only, what, down, limit, body)
        body = (t.Do(t.Print("println", (shown,))),)
        return t.Foreach(names, value, g.name, only, by, down, limit, body)

    def sums(
        self, scope: Scope, names: tuple[t.Variable, ...], value: t.Variable | None
    ) -> t.Stmts:
        """A body with the same result in every order."""
        seen = [*names, *([value] if value else [])]
        inner = replace(scope, names=seen, targets=[], functions=[], globals=False)
        target = self.pick(longs(scope))
        return (t.Do(t.Assign(self.pick(("+=", "^=")), target, self.plain(inner, "long"))),)
