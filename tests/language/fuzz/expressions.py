# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions of one type, with at most one side effect or one operation that may fail.

expr(scope, "long", 1)  ->  Binary("+", Variable("n", "long"), Number(7))
"""

from __future__ import annotations

from tests.language.fuzz import tree as t
from tests.language.fuzz.choices import ARITHMETIC, COMPARISONS, NUMBERS, SHIFTS, TEXTS, Scope
from tests.language.fuzz.patterns import Patterns, matched


class Expressions(Patterns):
    def full(
        self, scope: Scope, type_: t.Type, depth: int = 3, *, but: t.Variable | None = None
    ) -> t.Expr:
        """A whole expression: with one side effect (not on `but`), or one operation that may fail, or
        neither."""
        kind = self.number(0, 5)
        scope.failures = 1 if kind in (3, 4) else 0
        candidates = [v for v in scope.targets if v.type == "long" and v != but]
        if kind == 5 and candidates:
            scope.hot, scope.changes = self.pick(candidates), 1
        made = self.expr(scope, type_, depth)
        scope.failures, scope.hot, scope.changes = 0, None, 0
        return made

    def plain(self, scope: Scope, type_: t.Type, depth: int = 2) -> t.Expr:
        """An expression without side effect or failure."""
        failures, changes = scope.failures, scope.changes
        scope.failures, scope.changes = 0, 0
        made = self.expr(scope, type_, depth)
        scope.failures, scope.changes = failures, changes
        return made

    def expr(self, scope: Scope, type_: t.Type, depth: int) -> t.Expr:
        return self.long(scope, depth) if type_ == "long" else self.string(scope, depth)

    def type(self) -> t.Type:
        return "string" if self.chance(2) else "long"

    def long(self, scope: Scope, depth: int) -> t.Expr:
        if depth <= 0:
            return self.leaf(scope, "long")
        d = depth - 1
        match self.number(0, 16):
            case 0 | 1:
                return self.leaf(scope, "long")
            case 2 | 3 | 4:
                return t.Binary(self.pick(ARITHMETIC), self.long(scope, d), self.long(scope, d))
            case 5:
                return self.division(scope, d)
            case 6:
                count = t.Number(self.number(0, 63))
                return t.Binary(self.pick(SHIFTS), self.long(scope, d), count)
            case 7:
                return t.Binary(self.pick(COMPARISONS), self.long(scope, d), self.long(scope, d))
            case 8:
                return t.Binary(
                    self.pick(COMPARISONS), self.string(scope, d), self.string(scope, d)
                )
            case 9:
                return t.Binary(self.pick(("&&", "||")), self.long(scope, d), self.long(scope, d))
            case 10:
                return t.Unary(self.pick("-~!+"), self.long(scope, d))
            case 11:
                return self.choice(scope, "long", d)
            case 12:
                return self.membership(scope, d)
            case 13:
                return self.extract(scope, d)
            case 14:
                return self.match(scope, d)
            case 15:
                return self.call(scope, "long", d)
            case _:
                return self.library(scope, d)

    def division(self, scope: Scope, depth: int) -> t.Expr:
        op = self.pick("/%")
        left = self.long(scope, depth)
        if scope.failures and self.chance(2):
            scope.failures -= 1
            return t.Binary(op, left, self.plain(scope, "long", depth))
        divisor: t.Expr = t.Number(self.pick([n for n in NUMBERS if n]))
        if self.chance(2):
            divisor = t.Unary("-", divisor)
        return t.Binary(op, left, divisor)

    def choice(self, scope: Scope, type_: t.Type, depth: int) -> t.Expr:
        test = self.long(scope, depth)
        return t.Conditional(test, self.expr(scope, type_, depth), self.expr(scope, type_, depth))

    def string(self, scope: Scope, depth: int) -> t.Expr:
        if depth <= 0:
            return self.leaf(scope, "string")
        d = depth - 1
        match self.number(0, 9):
            case 0 | 1:
                return self.leaf(scope, "string")
            case 2 | 3:
                return t.Binary(".", self.string(scope, d), self.string(scope, d))
            case 4:
                return self.choice(scope, "string", d)
            case 5:
                start, length = t.Number(self.number(0, 4)), t.Number(self.number(0, 5))
                return t.Call("substr", (self.string(scope, d), start, length), "string")
            case 6:
                return t.Print("sprintf", format=self.format(scope, d))
            case 7:
                return self.sprint(scope, d)
            case 8 if scope.failures:
                scope.failures -= 1
                return matched(0)
            case _:
                return self.call(scope, "string", d)

    def sprint(self, scope: Scope, depth: int) -> t.Print:
        kind = self.pick(("sprint", "sprintln", "sprintd", "sprintdln"))
        joined = "d" in kind[6:7]  # at least two values, to stap
        count = self.number(2 if joined else 1, 3)
        args = tuple(self.expr(scope, self.type(), depth) for _ in range(count))
        return t.Print(kind, args, self.pick(TEXTS) if joined else "")

    def leaf(self, scope: Scope, type_: t.Type) -> t.Expr:
        names = [v for v in scope.names if v.type == type_ and v != scope.hot]
        if scope.globals:
            names += [
                t.Variable(g.name, g.kind) for g in self.declared if not g.keys and g.kind == type_
            ]
        if scope.hot is not None and scope.changes and type_ == "long" and self.chance(3):
            return self.change(scope, scope.hot)
        if names and self.chance(2):
            return self.pick(names)
        arrays = [g for g in self.declared if g.keys and g.kind == type_] if scope.globals else []
        if arrays and self.chance(4):
            return self.element(scope, self.pick(arrays))
        if type_ == "string":
            return t.Text(self.pick(TEXTS))
        return t.Number(self.pick(NUMBERS), self.pick((10, 10, 16, 8)))

    def change(self, scope: Scope, target: t.Variable) -> t.Expr:
        """The expression's one side effect."""
        scope.changes = 0
        if self.chance(2):
            return t.Increment(self.pick(("++", "--")), self.chance(2), target)
        op = self.pick(("=", "+=", "-=", "*=", "&=", "|=", "^="))
        return t.Assign(op, target, self.plain(scope, "long", 1))

    def element(self, scope: Scope, g: t.Declaration) -> t.Element:
        assert g.kind != "stat"
        return t.Element(g.name, self.keys(scope, g), g.kind)

    def keys(self, scope: Scope, g: t.Declaration) -> tuple[t.Expr, ...]:
        """Keys, mostly from a few values, so that elements are used more than once."""
        return tuple(self.key(scope, type_) for type_ in g.keys)

    def key(self, scope: Scope, type_: t.Type) -> t.Expr:
        if self.chance(4):
            return self.plain(scope, type_, 1)
        if type_ == "long":
            return t.Number(self.number(0, 4))
        return t.Text(self.pick(("", "a", "b", "ab")))

    def membership(self, scope: Scope, depth: int) -> t.Expr:
        arrays = [g for g in self.declared if g.keys] if scope.globals else []
        if not arrays:
            return self.long(scope, depth)
        g = self.pick(arrays)
        keys: list[t.Expr | None] = list(self.keys(scope, g))
        if len(keys) > 1 and self.chance(3):
            keys[self.number(0, len(keys) - 1)] = None
        return t.In(tuple(keys), g.name)

    def call(self, scope: Scope, type_: t.Type, depth: int) -> t.Expr:
        known = [f for f in scope.functions if f.type == type_]
        known = [f for f in known if f.name not in self.fallible or scope.failures]
        if not known:
            return self.leaf(scope, type_)
        f = self.pick(known)
        if f.name in self.fallible:
            scope.failures -= 1
        return t.Call(f.name, self.arguments(scope, f, depth), type_)

    def arguments(self, scope: Scope, f: t.Function, depth: int) -> tuple[t.Expr, ...]:
        """Arguments of a call. The first one of a recursive function is its depth."""
        args = [self.expr(scope, p.type, min(depth, 1)) for p in f.parameters]
        if f.name.startswith("deep"):
            args[0] = t.Number(self.number(0, 5))
        return tuple(args)

    def library(self, scope: Scope, depth: int) -> t.Expr:
        match self.number(0, 2):
            case 0:
                return t.Call("strlen", (self.string(scope, depth),), "long")
            case 1:
                part = self.plain(scope, "string", 1)
                return t.Call("isinstr", (self.string(scope, depth), part), "long")
            case _:
                digits = t.Print("sprint", (self.long(scope, depth),))
                return t.Call("strtol", (digits, t.Number(10)), "long")

    def format(self, scope: Scope, depth: int) -> t.Format:
        directives: list[t.Directive] = []
        args: list[t.Expr] = []
        for _ in range(self.number(1, 3)):
            width = self.pick(("", "", "", "3", "8", "*"))
            if width == "*":
                args.append(t.Number(self.number(0, 9)))
            flags, precision, conversion = "", "", self.pick("ddiuxXocss")
            if conversion == "c":
                args.append(t.Number(self.number(32, 126)))
            elif conversion == "s":
                precision = self.pick(("", "", ".1", ".3"))
                args.append(self.string(scope, depth))
            else:
                precision = self.pick(("", "", ".1", ".5"))
                args.append(self.long(scope, depth))
                signs = ("", "0", "+", " ") if conversion in "di" else ("", "0", "#")
                flags = self.pick(signs if conversion != "u" else ("", "0"))
            if self.chance(4):  # a directive takes one flag
                flags = "-"
            directives.append(t.Directive(self.pick(TEXTS), flags, width, precision, conversion))
        return t.Format(tuple(directives), self.pick(TEXTS), tuple(args))
