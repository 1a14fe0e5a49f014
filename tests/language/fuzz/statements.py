# SPDX-License-Identifier: GPL-2.0-or-later
"""Statements, each of which ends and has an effect that can be seen.

stmt(scope, 0)  ->  Do(Assign("+=", Variable("n", "long"), Number(3)))
"""

from __future__ import annotations

from dataclasses import replace

from tests.language.fuzz import tree as t
from tests.language.fuzz.choices import TEXTS, Scope, longs
from tests.language.fuzz.loops import Loops


class Statements(Loops):
    def stmts(self, scope: Scope, depth: int, most: int = 4) -> t.Stmts:
        return tuple(self.stmt(scope, depth) for _ in range(self.number(1, most)))

    def stmt(self, scope: Scope, depth: int) -> t.Stmt:
        kind = self.number(0, 21)
        if kind >= 12 and depth > 0:
            return self.compound(scope, depth - 1, kind - 2)
        match kind % 12:
            case 0 | 1 | 2:
                return self.assignment(scope)
            case 3 | 4 if not scope.pure:
                return t.Do(self.print(scope))
            case 5 | 6 if not scope.pure:
                return self.update(scope)
            case 7 if not scope.pure:
                return self.accumulation(scope)
            case 8 if not scope.pure:
                return self.deletion(scope)
            case 10 | 11 if not scope.pure:
                return self.report(scope)
            case 9 if self.effects and scope.returns is None and not scope.iterated:
                f = self.pick(self.effects)
                call = t.Call(f.name, self.arguments(scope, f, 1), f.type)
                targets = [v for v in scope.targets if v.type == f.type]
                if targets and self.chance(2):
                    return t.Do(t.Assign("=", self.pick(targets), call))
                return t.Do(call)
            case _:
                return self.assignment(scope)

    def report(self, scope: Scope) -> t.Stmt:
        """Print the result of a match, a statistic or a function, errors included."""
        known = self.charted(scope)
        match self.number(0, 6):
            case 0 if known:
                return self.draw_chart(scope, known)
            case 1:
                return self.reminder()
            case 2 | 3 if scope.globals and any(g.kind == "stat" for g in self.declared):
                return self.attempt(self.question(scope))
            case 4 if scope.functions:
                f = self.pick(scope.functions)
                return self.attempt(t.Call(f.name, self.arguments(scope, f, 1), f.type))
            case _:
                return self.matching(scope)

    def compound(self, scope: Scope, depth: int, kind: int) -> t.Stmt:
        match kind:
            case 10 | 11 | 12:
                otherwise = self.stmts(scope, depth, 2) if self.chance(2) else ()
                return t.If(self.full(scope, "long"), self.stmts(scope, depth, 3), otherwise)
            case 13 | 14:
                counter = t.Variable(self.name("i"), "long")
                inner = replace(scope, names=[*scope.names, counter], looping=True)
                body = self.stmts(inner, depth, 3)
                return t.Count(counter.name, self.number(0, 4), self.chance(2), body)
            case 15 | 16 | 17 if not scope.pure:
                known = self.charted(scope)
                if known and self.chance(3):
                    return self.bucket_loop(scope, depth, known)
                return self.foreach(scope, depth)
            case 18 if not scope.pure:
                return self.guarded(scope, depth)
            case 19 if not scope.pure:
                return self.leaving(scope)
            case _:
                return self.assignment(scope)

    def bucket_loop(self, scope: Scope, depth: int, known: list[t.Declaration]) -> t.Stmt:
        g = self.pick(known)
        inner = replace(scope, looping=True, iterated=scope.iterated | {g.name})
        return self.each_bucket(scope, [g], self.stmts(inner, min(depth, 1), 2))

    def leaving(self, scope: Scope) -> t.Stmt:
        """Leave a loop, function or handler under a condition."""
        if scope.looping:
            left: t.Stmt = t.Leave(self.pick(("break", "continue")))
        elif scope.returns is not None:
            left = t.Return(self.full(scope, scope.returns, 1))
        elif self.chance(3):
            left = t.Leave("next")
        else:
            left = t.Fail(self.plain(scope, "string"))
        # a test that no optimiser can decide: the code after it may fail, and must run to do so
        test = t.Binary("==", self.pick(longs(scope)), self.plain(scope, "long"))
        return t.If(test, (left,), ())

    def guarded(self, scope: Scope, depth: int) -> t.Stmt:
        body = self.stmts(scope, depth, 3)
        if self.chance(3):
            body = (*body, t.Fail(self.plain(scope, "string")))
        known = self.charted(scope)
        if known and self.chance(3):
            body = (*body, self.draw_chart(scope, known))
        if self.chance(3):
            return t.Try(body, None, self.stmts(scope, depth, 2))
        message = t.Variable(self.name("m"), "string")
        handler = (t.Do(t.Print("println", (message,))), *self.stmts(scope, 0, 2))
        return t.Try(body, message.name, handler)

    def assignment(self, scope: Scope) -> t.Stmt:
        target = self.pick(scope.targets)
        if target.type == "string":
            return t.Do(t.Assign(self.pick(("=", ".=")), target, self.full(scope, "string")))
        if self.chance(5):
            return t.Do(t.Increment(self.pick(("++", "--")), self.chance(2), target))
        if self.chance(8):
            divisor = self.plain(scope, "long", 1)
            return t.Do(t.Assign(self.pick(("/=", "%=")), target, divisor))
        if self.chance(8):
            shift = t.Number(self.number(0, 63))
            return t.Do(t.Assign(self.pick(("<<=", ">>=")), target, shift))
        op = self.pick(("=", "=", "+=", "-=", "*=", "&=", "|=", "^="))
        return t.Do(t.Assign(op, target, self.full(scope, "long", but=target)))

    def print(self, scope: Scope) -> t.Print:
        kind = self.pick(("println", "print", "printd", "printdln", "printf"))
        if kind == "printf":
            return t.Print(kind, format=self.format(scope, 2))
        joined = "d" in kind[5:6]
        rest = self.number(1 if joined else 0, 2)
        args: tuple[t.Expr, ...] = (self.full(scope, self.type(), 2),)
        args += tuple(self.plain(scope, self.type(), 1) for _ in range(rest))
        return t.Print(kind, args, self.pick(TEXTS) if joined else "")

    def update(self, scope: Scope) -> t.Stmt:
        """An update of a global that handlers also read."""
        known = [g for g in self.declared if g.kind != "stat" and g.name not in scope.iterated]
        if not known:
            return t.Do(self.print(scope))
        g = self.pick(known)
        assert g.kind != "stat"
        target = self.element(scope, g) if g.keys else t.Variable(g.name, g.kind)
        if g.kind == "long" and self.chance(3):
            return t.Do(t.Increment(self.pick(("++", "--")), self.chance(2), target))
        op = self.pick((".=", "=") if g.kind == "string" else ("=", "+=", "-=", "^="))
        if g.kind == "long" and g.size is None and self.chance(8):
            return t.Do(t.Assign(self.pick(("/=", "%=")), target, self.plain(scope, "long", 1)))
        # a full array is one failure, so the value has none
        value = self.full(scope, g.kind) if g.size is None else self.plain(scope, g.kind)
        return t.Do(t.Assign(op, target, value))

    def accumulation(self, scope: Scope) -> t.Stmt:
        stats = [g for g in self.declared if g.kind == "stat" and g.name not in scope.iterated]
        piles = [g for g in self.accumulated if g.name not in scope.iterated]
        known = [*stats, *piles, *piles]
        if not known:
            return t.Do(self.print(scope))
        g = self.pick(known)
        keys, value = self.keys(scope, g), self.plain(scope, "long")
        if g.kind == "stat":
            return t.Accumulate(g.name, keys, value)
        target = t.Element(g.name, keys, "long") if keys else t.Variable(g.name, "long")
        if self.chance(2):
            return t.Do(t.Increment("++", self.chance(2), target))
        return t.Do(t.Assign("+=", target, value))

    def deletion(self, scope: Scope) -> t.Stmt:
        declared = (*self.declared, *self.accumulated) if self.chance(4) else self.declared
        known = [g for g in declared if g.name not in scope.iterated]
        if not known:
            return t.Do(self.print(scope))
        g = self.pick(known)
        keys: list[t.Expr | None] = []
        if g.keys and not self.chance(4):
            keys = list(self.keys(scope, g))
            if len(keys) > 1 and self.chance(3):
                keys[self.number(0, len(keys) - 1)] = None
        return t.Delete(g.name, tuple(keys))
