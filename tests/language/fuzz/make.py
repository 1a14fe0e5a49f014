# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes programs: well-typed, bounded, and with one meaning.

What the language leaves open does not occur: the order of elements with equal sort keys, of two failures or
side effects in one expression, and what a loop sees of an array that its body changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

from hypothesis import strategies as st

from tests.language.fuzz import tree as t

T = TypeVar("T")

_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    63,
    64,
    100,
    255,
    1 << 31,
    (1 << 32) + 5,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
_TEXTS = ("", "a", "b", "ab", "z", "abc", "%d", 'q"\\', "x\ty", "A1", "1", "\x01")
_ARITHMETIC = ("+", "-", "*", "&", "|", "^", "+", "-")
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_SHIFTS = ("<<", ">>", ">>>")


@lru_cache(maxsize=256)
def _range(low: int, high: int) -> st.SearchStrategy[int]:
    return st.integers(low, high)


@dataclass(slots=True)
class Scope:
    """What a place in a body may use."""

    names: list[t.Variable]  # that have a value
    targets: list[t.Variable]  # locals that may change
    functions: list[t.Function]
    pure: bool = False  # a function's body that only computes
    returns: t.Type | None = None
    looping: bool = False
    iterated: set[str] = field(default_factory=set)
    globals: bool = True
    failures: int = 0  # operations that may still fail in the expression under way
    hot: t.Variable | None = (
        None  # a variable that the expression under way changes, and does not read
    )
    changes: int = 0  # how often it still may


class Maker:
    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.fresh = 0
        self.declared: list[t.Declaration] = []
        self.accumulated: list[t.Declaration] = []
        self.effects: list[t.Function] = []  # functions that change globals or print
        self.fallible: set[str] = set()

    # ------------------------------------------------------------ choices

    def number(self, low: int, high: int) -> int:
        return self.draw(_range(low, high))

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.number(0, len(choices) - 1)]

    def chance(self, of: int) -> bool:
        """One in `of`; shrinks to False."""
        return self.number(0, of - 1) == of - 1

    def name(self, stem: str) -> str:
        self.fresh += 1
        return f"{stem}{self.fresh}"

    # ------------------------------------------------------------ expressions

    def full(
        self, scope: Scope, type_: t.Type, depth: int = 3, *, but: t.Variable | None = None
    ) -> t.Expr:
        """A whole expression: with one side effect (on no `but`), or one thing that may fail, or neither."""
        kind = self.number(0, 5)
        scope.failures = 1 if kind in (3, 4) else 0
        candidates = [v for v in scope.targets if v.type == "long" and v != but]
        if kind == 5 and candidates:
            scope.hot, scope.changes = self.pick(candidates), 1
        made = self.expr(scope, type_, depth)
        scope.failures, scope.hot, scope.changes = 0, None, 0
        return made

    def plain(self, scope: Scope, type_: t.Type, depth: int = 2) -> t.Expr:
        """Without side effect or failure."""
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
        match self.number(0, 15):
            case 0 | 1:
                return self.leaf(scope, "long")
            case 2 | 3 | 4:
                return t.Binary(self.pick(_ARITHMETIC), self.long(scope, d), self.long(scope, d))
            case 5:
                return self.division(scope, d)
            case 6:
                count = t.Number(self.number(0, 63))
                return t.Binary(self.pick(_SHIFTS), self.long(scope, d), count)
            case 7:
                return t.Binary(self.pick(_COMPARISONS), self.long(scope, d), self.long(scope, d))
            case 8:
                return t.Binary(
                    self.pick(_COMPARISONS), self.string(scope, d), self.string(scope, d)
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
                return self.call(scope, "long", d)
            case _:
                return self.library(scope, d)

    def division(self, scope: Scope, depth: int) -> t.Expr:
        op = self.pick("/%")
        left = self.long(scope, depth)
        if scope.failures and self.chance(2):
            scope.failures -= 1
            return t.Binary(op, left, self.plain(scope, "long", depth))
        divisor: t.Expr = t.Number(self.pick([n for n in _NUMBERS if n]))
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
        match self.number(0, 8):
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
            case _:
                return self.call(scope, "string", d)

    def sprint(self, scope: Scope, depth: int) -> t.Print:
        kind = self.pick(("sprint", "sprintln", "sprintd", "sprintdln"))
        joined = "d" in kind[6:7]  # at least two values, to stap
        count = self.number(2 if joined else 1, 3)
        args = tuple(self.expr(scope, self.type(), depth) for _ in range(count))
        return t.Print(kind, args, self.pick(_TEXTS) if joined else "")

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
            return t.Text(self.pick(_TEXTS))
        return t.Number(self.pick(_NUMBERS), self.pick((10, 10, 16, 8)))

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
        """Mostly from a few, so that they meet again."""
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

    def extract(self, scope: Scope, depth: int) -> t.Expr:
        stats = [g for g in self.declared if g.kind == "stat"] if scope.globals else []
        if not stats:
            return self.long(scope, depth)
        g = self.pick(stats)
        what = self.pick(("count", "sum"))
        if scope.failures and self.chance(2):
            scope.failures -= 1
            what = self.pick(("min", "max", "avg"))
        return t.Extract(what, g.name, self.keys(scope, g))

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
        """The first of a recursive function's says how deep it goes."""
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
            directives.append(t.Directive(self.pick(_TEXTS), flags, width, precision, conversion))
        return t.Format(tuple(directives), self.pick(_TEXTS), tuple(args))

    # ------------------------------------------------------------ statements

    def stmts(self, scope: Scope, depth: int, most: int = 4) -> t.Stmts:
        return tuple(self.stmt(scope, depth) for _ in range(self.number(1, most)))

    def stmt(self, scope: Scope, depth: int) -> t.Stmt:
        kind = self.number(0, 19)
        if kind >= 10 and depth > 0:
            return self.compound(scope, depth - 1, kind)
        match kind % 10:
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
            case 9 if self.effects and scope.returns is None and not scope.iterated:
                f = self.pick(self.effects)
                call = t.Call(f.name, self.arguments(scope, f, 1), f.type)
                targets = [v for v in scope.targets if v.type == f.type]
                if targets and self.chance(2):
                    return t.Do(t.Assign("=", self.pick(targets), call))
                return t.Do(call)
            case _:
                return self.assignment(scope)

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
                return self.foreach(scope, depth)
            case 18 if not scope.pure:
                return self.guarded(scope, depth)
            case 19 if not scope.pure:
                return self.leaving(scope)
            case _:
                return self.assignment(scope)

    def leaving(self, scope: Scope) -> t.Stmt:
        """Out of something, mostly under a condition."""
        if scope.looping:
            left: t.Stmt = t.Leave(self.pick(("break", "continue")))
        elif scope.returns is not None:
            left = t.Return(self.full(scope, scope.returns, 1))
        elif self.chance(3):
            left = t.Leave("next")
        else:
            left = t.Fail(self.plain(scope, "string"))
        # a test that no optimiser can decide: what comes behind may be wrong, and must be run to be
        test = t.Binary("==", self.pick(_longs(scope)), self.plain(scope, "long"))
        return t.If(test, (left,), ())

    def guarded(self, scope: Scope, depth: int) -> t.Stmt:
        body = self.stmts(scope, depth, 3)
        if self.chance(3):
            body = (*body, t.Fail(self.plain(scope, "string")))
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
        return t.Print(kind, args, self.pick(_TEXTS) if joined else "")

    def update(self, scope: Scope) -> t.Stmt:
        """Of a global that handlers also read."""
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
        known = [*stats, *self.accumulated, *self.accumulated]
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
        known = [g for g in self.declared if g.name not in scope.iterated]
        if not known:
            return t.Do(self.print(scope))
        g = self.pick(known)
        keys: list[t.Expr | None] = []
        if g.keys and not self.chance(4):
            keys = list(self.keys(scope, g))
            if len(keys) > 1 and self.chance(3):
                keys[self.number(0, len(keys) - 1)] = None
        return t.Delete(g.name, tuple(keys))

    # ------------------------------------------------------------ loops over arrays

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
        if len(g.keys) == 1 and self.chance(2):  # one order only: anything may happen in the body
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
        if self.chance(2):  # equal elements in any order: only what they are sorted by is seen
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
            what = self.pick(("count", "sum", "min", "max", "avg"))
            body = (t.Do(t.Print("println", (t.Extract(what, g.name, names),))),)
            return t.Foreach(names, None, g.name, only, what, down, limit, body)
        body = (t.Do(t.Print("println", (shown,))),)
        return t.Foreach(names, value, g.name, only, by, down, limit, body)

    def sums(
        self, scope: Scope, names: tuple[t.Variable, ...], value: t.Variable | None
    ) -> t.Stmts:
        """What comes to the same in every order."""
        longs = _longs(scope)
        seen = [*names, *([value] if value else [])]
        inner = replace(scope, names=seen, targets=[], functions=[], globals=False)
        target = self.pick(longs)
        return (t.Do(t.Assign(self.pick(("+=", "^=")), target, self.plain(inner, "long"))),)

    # ------------------------------------------------------------ items

    def program(self) -> t.Program:
        self.declared = [self.declaration() for _ in range(self.number(1, 5))]
        self.accumulated = [
            t.Declaration(
                self.name("c"), self.pick(((), ("long",), ("string",))), self.pick(("long", "stat"))
            )
            for _ in range(self.number(0, 2))
        ]
        functions: list[t.Function] = []
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
        return t.Program(declared, tuple(functions), tuple(probes), rounds, room)

    def declaration(self) -> t.Declaration:
        kind: t.Kind = self.pick(("long", "long", "string", "stat"))
        keys = tuple(self.type() for _ in range(self.pick((0, 0, 1, 1, 2, 3))))
        size = self.number(2, 4) if keys and kind != "stat" and self.chance(3) else None
        start: int | str | None = None
        if not keys and kind != "stat" and self.chance(3):
            start = self.pick((0, 5, -7)) if kind == "long" else self.pick(_TEXTS)
        return t.Declaration(self.name("g"), keys, kind, size, start)

    def function(self, earlier: list[t.Function]) -> t.Function:
        type_ = self.type()
        effect = self.chance(3)
        deep = not effect and self.chance(3)
        parameters = [t.Variable(self.name("p"), self.type()) for _ in range(self.number(0, 3))]
        if deep:
            parameters.insert(0, t.Variable(self.name("p"), "long"))
        name = self.name("deep" if deep else "fn")
        locals_ = [t.Variable("x", "long"), t.Variable("y", "string")]
        callable_ = [f for f in earlier if f not in self.effects]
        changing = [*locals_, *(p for p in parameters if not (deep and p == parameters[0]))]
        scope = Scope([*parameters, *locals_], changing, callable_, not effect, type_)
        body: list[t.Stmt] = [
            t.Do(t.Assign("=", locals_[0], t.Number(self.pick(_NUMBERS)))),
            t.Do(t.Assign("=", locals_[1], t.Text(self.pick(_TEXTS)))),
        ]
        if deep:
            test = t.Binary("<=", parameters[0], t.Number(0))
            body.append(t.If(test, (t.Return(self.plain(scope, type_)),), ()))
        if effect:
            words: tuple[t.Expr, ...] = (t.Text(name), *parameters)
            body.append(t.Do(t.Print("println", words)))
        body += self.stmts(scope, 1, 3)
        again: t.Expr | None = None
        if deep:
            less = t.Binary("-", parameters[0], t.Number(1))
            args = [less, *(self.plain(scope, p.type, 1) for p in parameters[1:])]
            again = t.Call(name, tuple(args), type_)
        # every local is read, or what may fail on the way into it may be left out
        result = self.full(replace(scope, targets=[]), type_)
        if type_ == "long":
            read: t.Expr = t.Call("strlen", (t.Print("sprint", (locals_[1], *parameters)),), "long")
            read = t.Binary("^", locals_[0], read)
            result = t.Binary("+", result, read if again is None else t.Binary("+", again, read))
        else:
            read = t.Print("sprint", (*locals_, *parameters))
            result = t.Binary(".", result, read if again is None else t.Binary(".", again, read))
        made = t.Function(name, tuple(parameters), type_, (*body, t.Return(result)), self.chance(2))
        if effect:
            self.effects.append(made)
        self.fallible.add(name)  # nearly all are
        return made

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
            return t.Accumulate(g.name, keys, t.Number(self.pick(_NUMBERS)))
        target = t.Element(g.name, keys, g.kind) if keys else t.Variable(g.name, g.kind)
        if g.kind == "string":
            return t.Do(t.Assign(".=", target, t.Text(self.pick(_TEXTS))))
        return t.Do(t.Assign("+=", target, t.Number(self.pick(_NUMBERS))))

    def dump(self) -> t.Stmts:
        """All globals at the end."""
        made: list[t.Stmt] = []
        for g in (*self.declared, *self.accumulated):
            made += _dump(g)
        return tuple(made)


def _longs(scope: Scope) -> list[t.Variable]:
    return [v for v in scope.targets if v.type == "long"]


def _dump(g: t.Declaration) -> list[t.Stmt]:
    if g.kind == "stat" and not g.keys:
        some = t.Print(
            "printdln", tuple(t.Extract(w, g.name, ()) for w in ("min", "max", "avg")), " "
        )
        both = t.Print("printdln", tuple(t.Extract(w, g.name, ()) for w in ("count", "sum")), " ")
        return [t.Do(both), t.If(t.Extract("count", g.name, ()), (t.Do(some),), ())]
    if not g.keys:
        assert g.kind != "stat"
        return [t.Do(t.Print("println", (t.Text(f"{g.name}="), t.Variable(g.name, g.kind))))]
    names = tuple(t.Variable(f"{g.name}_{i}", type_) for i, type_ in enumerate(g.keys))
    value = t.Variable(f"{g.name}_v", g.kind) if g.kind != "stat" else None
    shown: list[t.Expr] = [value] if value else []
    if g.kind == "stat":
        shown = [t.Extract(w, g.name, names) for w in ("count", "sum", "min", "max", "avg")]
    if len(names) == 1:
        line = t.Print("printdln", (*names, *shown), ":")
        return [t.Foreach(names, value, g.name, (), 0, False, None, (t.Do(line),))]
    total, n = t.Variable(f"{g.name}_sum", "long"), t.Variable(f"{g.name}_n", "long")
    words = [t.Binary("+", _digest(e), t.Number(17)) for e in (*names, *shown)]
    product: t.Expr = words[0]
    for word in words[1:]:
        product = t.Binary("^", t.Binary("*", product, t.Number(1000003)), word)
    body = (t.Do(t.Assign("+=", total, product)), t.Do(t.Increment("++", False, n)))
    line = t.Print("printdln", (t.Text(g.name), n, total), ":")
    return [t.Foreach(names, value, g.name, (), None, False, None, body), t.Do(line)]


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
