# SPDX-License-Identifier: GPL-2.0-or-later
"""Functions that compute, that change globals, or that are recursive; overloaded functions, and C.

function([])  ->  Function("fn1", (Variable("p2", "long"),), "long", (...), True)
"""

from __future__ import annotations

from dataclasses import replace

from tests.language.fuzz import tree as t
from tests.language.fuzz.choices import COMPARISONS, NUMBERS, TEXTS, Scope, longs
from tests.language.fuzz.library import EMBEDDED
from tests.language.fuzz.statements import Statements


class Functions(Statements):
    def function(self, earlier: list[t.Function]) -> t.Function:
        """Another function; the first one of those that share its name and parameters."""
        kind = self.number(0, 5)
        if kind == 5:
            return self.embedded()
        effect = self.chance(3)
        if kind == 4:
            made = self.chain(earlier, effect)
        else:
            deep = not effect and self.chance(3)
            types = [self.type() for _ in range(self.number(0, 3))]
            if deep:
                types.insert(0, "long")
            name = self.name("deep") if deep else self.function_name(len(types))
            made = self.member(earlier, name, types, self.type(), effect=effect, deep=deep)
            self.defined.append(made)
        if effect:
            self.effects.append(made)
        self.fallible.add(made.name)  # nearly all are
        return made

    def function_name(self, arity: int) -> str:
        """A new name, or one that only functions with other numbers of parameters have."""
        taken = {f.name for f in self.defined if len(f.parameters) == arity}
        known = [f.name for f in self.defined if f.name not in taken and f.name[:2] == "fn"]
        return self.pick(known) if known and self.chance(2) else self.name("fn")

    def embedded(self) -> t.Function:
        code = self.pick(tuple(EMBEDDED))
        parameters = tuple(t.Variable(*p) for p in EMBEDDED[code].parameters)
        name = self.function_name(len(parameters))
        made = t.Function(name, parameters, EMBEDDED[code].type, (), True, code=code)
        self.defined.append(made)
        self.fallible.add(name)
        return made

    def chain(self, earlier: list[t.Function], effect: bool) -> t.Function:
        """Overloads that may pass their arguments to the next one; sometimes the last one has no next."""
        types = [self.type() for _ in range(self.number(0, 2))]
        name, result = self.function_name(len(types)), self.type()
        members = [
            self.member(earlier, name, types, result, effect=effect, hands_on=True)
            for _ in range(self.number(1, 2))
        ]
        hands_on = self.chance(4)
        members.append(self.member(earlier, name, types, result, effect=effect, hands_on=hands_on))
        ranked = [replace(f, priority=self.pick((None, None, 1, 2, 3))) for f in members]
        self.defined += ranked
        return ranked[0]

    def member(
        self,
        earlier: list[t.Function],
        name: str,
        types: list[t.Type],
        type_: t.Type,
        *,
        effect: bool = False,
        deep: bool = False,
        hands_on: bool = False,
    ) -> t.Function:
        parameters = [t.Variable(self.name("p"), of) for of in types]
        locals_ = [t.Variable("x", "long"), t.Variable("y", "string")]
        callable_ = [f for f in earlier if f not in self.effects]
        changing = [*locals_, *(p for p in parameters if not (deep and p == parameters[0]))]
        scope = Scope([*parameters, *locals_], changing, callable_, not effect, type_)
        body: list[t.Stmt] = [
            t.Do(t.Assign("=", locals_[0], t.Number(self.pick(NUMBERS)))),
            t.Do(t.Assign("=", locals_[1], t.Text(self.pick(TEXTS)))),
        ]
        if deep:
            test = t.Binary("<=", parameters[0], t.Number(0))
            body.append(t.If(test, (t.Return(self.plain(scope, type_)),), ()))
        if effect:
            words: tuple[t.Expr, ...] = (t.Text(name), *parameters)
            body.append(t.Do(t.Print("println", words)))
        body += self.stmts(scope, 1, 3)
        if hands_on:  # `next` passes the original arguments, even if the parameters have changed
            test = t.Binary(self.pick(COMPARISONS), self.pick(longs(scope)), self.long(scope, 1))
            body.append(t.If(test, (t.Leave("next"),), ()))
        again: t.Expr | None = None
        if deep:
            less = t.Binary("-", parameters[0], t.Number(1))
            args = [less, *(self.plain(scope, p.type, 1) for p in parameters[1:])]
            again = t.Call(name, tuple(args), type_)
        # every local is read; otherwise an operation that may fail in its value may be removed
        result = self.full(replace(scope, targets=[]), type_)
        if type_ == "long":
            read: t.Expr = t.Call("strlen", (t.Print("sprint", (locals_[1], *parameters)),), "long")
            read = t.Binary("^", locals_[0], read)
            result = t.Binary("+", result, read if again is None else t.Binary("+", again, read))
        else:
            read = t.Print("sprint", (*locals_, *parameters))
            result = t.Binary(".", result, read if again is None else t.Binary(".", again, read))
        return t.Function(name, tuple(parameters), type_, (*body, t.Return(result)), self.chance(2))
