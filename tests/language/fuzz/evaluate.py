# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of a program by the language reference: numbers of 64 bits that wrap, strings that are cut,
errors.

evaluate(program) -> "l0=3\nERROR: division by 0 <- f0\n"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from runtime.support.exhaustive import assert_never
from tests.language.fuzz import directive, histogram, library
from tests.language.fuzz import tree as t
from tests.language.fuzz.histogram import Statistic
from tests.language.fuzz.values import (
    OPERATORS,
    Failure,
    Keys,
    TooLong,
    Value,
    compare,
    number,
    text,
    wrap,
)

MOST_STEPS = 400  # statements of one handler; MAXACTION allows more


class _Left(Exception):
    """Unwinds to the target of a break, continue, next or return."""

    def __init__(self, word: str, value: Value = 0) -> None:
        self.word, self.value = word, value


def evaluate(program: t.Program) -> str:
    """Everything printed, errors as lines. Raises TooLong."""
    return _World(program).run()


class _World:
    def __init__(self, program: t.Program) -> None:
        self.program = program
        self.room = program.room - 1
        self.match: library.Match | None = None
        self.declared = {g.name: g for g in program.globals}
        self.arrays: dict[str, dict[Keys, Value | Statistic]] = {}
        for g in program.globals:
            self.arrays[g.name] = {}
            if not g.keys and g.kind != "stat":
                start = g.start if g.start is not None else self.zero(g.kind)
                self.arrays[g.name][()] = start
        self.printed: list[str] = []
        self.locals: dict[str, Value] = {}
        self.steps = 0

    @staticmethod
    def zero(kind: str) -> Value:
        return "" if kind == "string" else 0

    def cut(self, value: str) -> str:
        return value[: self.room]

    # ------------------------------------------------------------ running

    def run(self) -> str:
        def order(probe: t.Probe) -> int:
            return int(probe.point[probe.point.index("(") + 1 : -1])

        probes = self.program.probes
        begins = sorted((p for p in probes if p.point.startswith("begin")), key=order)
        ends = sorted((p for p in probes if p.point.startswith("end")), key=order)
        timers = [p for p in probes if p.point.startswith("timer")] * self.program.rounds
        for probe in (*begins, *timers, *ends):
            self.locals = {}
            self.match = None
            self.steps = 0
            try:
                self.block(probe.body)
            except Failure as failure:
                self.printed.append(f"{failure.told()}\n")
            except _Left as left:
                assert left.word == "next"
        return "".join(self.printed)

    def block(self, stmts: Iterable[t.Stmt]) -> None:
        for s in stmts:
            self.steps += 1
            if self.steps > MOST_STEPS:
                raise TooLong
            self.stmt(s)

    def body(self, stmts: t.Stmts) -> bool:
        """Run a loop's body once. Returns whether the loop goes on."""
        try:
            self.block(stmts)
        except _Left as left:
            if left.word == "continue":
                return True
            if left.word == "break":
                return False
            raise
        return True

    def stmt(self, s: t.Stmt) -> None:
        match s:
            case t.Do():
                self.value(s.value)
            case t.Accumulate():
                self.accumulate(s)
            case t.If():
                self.block(s.then if self.value(s.test) else s.otherwise)
            case t.Count():
                self.count(s)
            case t.Foreach():
                self.foreach(s)
            case t.EachBucket():
                self.each_bucket(s)
            case t.Leave():
                raise _Left(s.word)
            case t.Return():
                raise _Left("return", self.value(s.value))
            case t.Delete():
                self.delete(s)
            case t.Try():
                try:
                    self.block(s.body)
                except Failure as failure:
                    if s.variable is not None:
                        self.locals[s.variable] = self.cut(str(failure))
                    self.block(s.handler)
            case t.Fail():
                raise Failure(text(self.value(s.message)))
            case _:
                assert_never(s)

    def accumulate(self, s: t.Accumulate) -> None:
        keys = self.keys(s.keys)
        value = number(self.value(s.value))
        found = self.slot(s.stat, keys, Statistic())
        assert isinstance(found, Statistic)
        found.values.append(value)

    def count(self, s: t.Count) -> None:
        self.locals[s.counter] = 0 if s.up else s.times
        for i in range(s.times):
            if not s.up:
                self.locals[s.counter] = s.times - i - 1
            if not self.body(s.body):
                return
            if s.up:
                self.locals[s.counter] = i + 1

    def foreach(self, s: t.Foreach) -> None:
        only = [None if key is None else self.value(key) for key in s.only]
        rows = [
            (keys, value)
            for keys, value in self.arrays[s.array].items()
            if all(want is None or want == key for want, key in zip(only, keys, strict=False))
        ]
        limit = None if s.limit is None else number(self.value(s.limit))
        if s.sort is not None:
            by, shift = s.sort, self.declared[s.array].shift or 0

            def order(row: tuple[Keys, Value | Statistic]) -> Value:
                if isinstance(by, str):
                    assert isinstance(row[1], Statistic)
                    return histogram.extract(by, row[1].values, shift)
                if by >= 0:
                    return row[0][by]
                return len(row[1].values) if isinstance(row[1], Statistic) else row[1]

            rows.sort(key=order, reverse=s.down)
        if limit is not None:
            rows = rows[: max(limit, 0)]
        for keys, value in rows:
            for variable, key in zip(s.keys, keys, strict=True):
                self.locals[variable.name] = key
            if s.value is not None:
                assert not isinstance(value, Statistic)
                self.locals[s.value.name] = value
            if not self.body(s.body):
                return

    def each_bucket(self, s: t.EachBucket) -> None:
        counts = list(enumerate(histogram.filled(s.buckets.shape, self.samples(s.buckets))))
        if s.down:
            counts.reverse()
        if s.limit is not None:
            counts = counts[: max(number(self.value(s.limit)), 0)]
        for index, count in counts:
            self.locals[s.index.name] = index
            if s.value is not None:
                self.locals[s.value.name] = count
            if not self.body(s.body):
                return

    def samples(self, place: t.Buckets | t.Extract) -> list[int]:
        """All values of a statistic."""
        found = self.arrays[place.stat].get(self.keys(place.keys))
        return found.values if isinstance(found, Statistic) else []

    def delete(self, s: t.Delete) -> None:
        declared = self.declared[s.name]
        if not declared.keys:
            self.arrays[s.name] = {} if declared.kind == "stat" else {(): self.zero(declared.kind)}
            return
        wanted = [None if key is None else self.value(key) for key in s.keys]
        for keys in list(self.arrays[s.name]):
            if all(w is None or w == key for w, key in zip(wanted, keys, strict=False)):
                del self.arrays[s.name][keys]

    # ------------------------------------------------------------ variables

    def keys(self, keys: Iterable[t.Expr]) -> Keys:
        return tuple(self.value(key) for key in keys)

    def slot(self, name: str, keys: Keys, fresh: Value | Statistic) -> Value | Statistic:
        """An element, created if it does not exist."""
        array = self.arrays[name]
        if keys not in array:
            size = self.declared[name].size
            if keys and size is not None and len(array) >= size:
                raise Failure("array overflow, check MAXMAPENTRIES")
            array[keys] = fresh
        return array[keys]

    def read(self, target: t.Variable | t.Element) -> Value:
        if isinstance(target, t.Element):
            found = self.arrays[target.array].get(self.keys(target.keys), self.zero(target.type))
            assert not isinstance(found, Statistic)
            return found
        if target.name in self.declared:
            found = self.arrays[target.name][()]
            assert not isinstance(found, Statistic)
            return found
        return self.locals.get(target.name, self.zero(target.type))

    def write(self, target: t.Variable | t.Element, change: Callable[[Value], Value]) -> Value:
        """Replaces a variable's value; keys come before the value, and an error changes nothing."""
        if isinstance(target, t.Element):
            keys, array = self.keys(target.keys), self.arrays[target.array]
            old = array.get(keys, self.zero(target.type))
            assert not isinstance(old, Statistic)
            new = change(old)
            self.slot(target.array, keys, new)
            array[keys] = new
            return new
        if target.name in self.declared:
            old = self.arrays[target.name][()]
            assert not isinstance(old, Statistic)
            self.arrays[target.name][()] = new = change(old)
        else:
            new = change(self.locals.get(target.name, self.zero(target.type)))
            self.locals[target.name] = new
        return new

    # ------------------------------------------------------------ expressions

    def value(self, e: t.Expr) -> Value:
        match e:
            case t.Number():
                return wrap(e.value)
            case t.Text():
                return self.cut(e.value)
            case t.Variable() | t.Element():
                return self.read(e)
            case t.Unary():
                operand = number(self.value(e.operand))
                return {"-": wrap(-operand), "~": ~operand, "!": int(not operand), "+": operand}[
                    e.op
                ]
            case t.Binary():
                return self.binary(e)
            case t.Conditional():
                return self.value(e.then if self.value(e.test) else e.otherwise)
            case t.In():
                wanted = [None if key is None else self.value(key) for key in e.keys]
                return int(
                    any(
                        all(w is None or w == key for w, key in zip(wanted, keys, strict=True))
                        for keys in self.arrays[e.array]
                    )
                )
            case t.Extract():
                return histogram.extract(e.what, self.samples(e), e.shift or 0)
            case t.Bucket():
                index = number(self.value(e.index))
                return histogram.picked(e.buckets.shape, self.samples(e.buckets), index)
            case t.Draw():
                drawn = histogram.drawn(e.buckets.shape, self.samples(e.buckets))
                self.printed.append(drawn + ("\n" if e.kind == "println" else ""))
                return 0
            case t.Match():
                subject = text(self.value(e.value))
                self.match = library.match(e.pattern, subject)
                return int((self.match is None) == e.negated)
            case t.Call():
                return self.call(e)
            case t.Assign():
                return self.assign(e)
            case t.Increment():
                step = 1 if e.op == "++" else -1
                new = number(self.write(e.target, lambda old: wrap(number(old) + step)))
                return new if e.prefix else wrap(new - step)
            case t.Print():
                return self.print(e)
            case _:
                assert_never(e)

    def binary(self, e: t.Binary) -> Value:
        left = self.value(e.left)
        if e.op == "&&":
            return int(bool(left and self.value(e.right)))
        if e.op == "||":
            return int(bool(left or self.value(e.right)))
        right = self.value(e.right)
        if e.op == ".":
            return self.cut(text(left) + text(right))
        if e.op in OPERATORS:
            return OPERATORS[e.op](number(left), number(right))
        return compare(e.op, left, right)

    def assign(self, e: t.Assign) -> Value:
        if e.op == "=":
            return self.write(e.target, lambda old: self.value(e.value))
        if e.op == ".=":
            return self.write(e.target, lambda old: self.cut(text(old) + text(self.value(e.value))))
        operator = OPERATORS[e.op[:-1]]
        return self.write(e.target, lambda old: operator(number(old), number(self.value(e.value))))

    def call(self, e: t.Call) -> Value:
        args = [self.value(a) for a in e.args]
        if e.function in library.NAMES:
            return self.cut_value(library.call(e.function, args, self.match))
        # the candidates have this number of arguments; the first is called, and each `next` calls another
        meant = [
            f
            for f in self.program.functions
            if f.name == e.function and len(f.parameters) == len(args)
        ]
        try:
            for f in sorted(meant, key=lambda f: f.priority or 0):
                try:
                    return self.result(f, args)
                except _Left as left:
                    assert left.word == "next"
            raise Failure(f"no function {e.function}() is left for 'next'")
        except Failure as failure:
            if len(meant) > 1 or meant[0].code is None:  # C alone fails at its call
                failure.leave(e.function)
            raise

    def result(self, f: t.Function, args: list[Value]) -> Value:
        if f.code is not None:
            return self.cut_value(library.EMBEDDED[f.code].meaning(*args))
        outer = self.locals
        self.locals = {p.name: a for p, a in zip(f.parameters, args, strict=True)}
        try:
            self.block(f.body)
        except _Left as left:
            if left.word != "return":
                raise
            return left.value
        finally:
            self.locals = outer
        return self.zero(f.type)

    def cut_value(self, value: Value) -> Value:
        return self.cut(value) if isinstance(value, str) else value

    # ------------------------------------------------------------ printing

    def print(self, e: t.Print) -> Value:
        kind = e.kind.removeprefix("s") if e.kind.startswith("sprint") else e.kind
        if e.format is not None:
            said = self.formatted(e.format)
        else:
            joint = e.delimiter if kind.startswith("printd") else ""
            said = joint.join(str(self.value(a)) for a in e.args)
            if kind.endswith("ln"):
                said += "\n"
        if kind != e.kind:
            return self.cut(said)
        self.printed.append(said)
        return 0

    def formatted(self, form: t.Format) -> str:
        said = ""
        args = iter([self.value(a) for a in form.args])
        for d in form.directives:
            width = str(next(args)) if d.width == "*" else d.width
            said += d.before + directive.shown(d, width, next(args))
        return said + form.after
