# SPDX-License-Identifier: GPL-2.0-or-later
"""What a program prints, by the language reference: numbers of 64 bits that wrap, strings that are cut, errors.

evaluate(program) -> "l0=3\nERROR: division by 0\n"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import assert_never

from tests.language.fuzz import tree as t

Value = int | str
Keys = tuple[Value, ...]

MOST_STEPS = 400  # statements of one handler; MAXACTION allows more


class TooLong(Exception):
    """The program does more than a script may."""


class Failure(Exception):
    """A script's error."""


class _Left(Exception):
    """break, continue, next or return, on its way."""

    def __init__(self, word: str, value: Value = 0) -> None:
        self.word, self.value = word, value


@dataclass(slots=True)
class Statistic:
    values: list[int] = field(default_factory=list)


def wrap(value: int) -> int:
    """As a signed number of 64 bits."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def divide(a: int, b: int) -> int:
    """Towards zero."""
    if b == 0:
        raise Failure("division by 0")
    return wrap(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))


_LONG_OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: wrap(a + b),
    "-": lambda a, b: wrap(a - b),
    "*": lambda a, b: wrap(a * b),
    "/": divide,
    "%": lambda a, b: wrap(a - b * divide(a, b)),
    "&": lambda a, b: a & b,
    "|": lambda a, b: a | b,
    "^": lambda a, b: a ^ b,
    "<<": lambda a, b: wrap(a << (b & 63)),
    ">>": lambda a, b: a >> (b & 63),
    ">>>": lambda a, b: wrap((a % (1 << 64)) >> (b & 63)),
}


def compare(op: str, a: Value, b: Value) -> int:
    left, right = (a, b) if isinstance(a, int) else (str(a), str(b))
    match op:
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)  # type: ignore[operator]
        case "<=":
            return int(left <= right)  # type: ignore[operator]
        case ">":
            return int(left > right)  # type: ignore[operator]
        case _:
            return int(left >= right)  # type: ignore[operator]


def number(value: Value) -> int:
    assert isinstance(value, int)
    return value


def text(value: Value) -> str:
    assert isinstance(value, str)
    return value


def evaluate(program: t.Program) -> str:
    """Everything printed, errors as lines. Raises TooLong."""
    return _World(program).run()


class _World:
    def __init__(self, program: t.Program) -> None:
        self.program = program
        self.room = program.room - 1
        self.functions = {f.name: f for f in program.functions}
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
            self.steps = 0
            try:
                self.block(probe.body)
            except Failure as failure:
                self.printed.append(f"ERROR: {failure}\n")
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
        """A loop's body, once; whether the loop goes on."""
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
            by = s.sort

            def order(row: tuple[Keys, Value | Statistic]) -> Value:
                if isinstance(by, str):
                    return self.extract(by, row[1])
                if by >= 0:
                    return row[0][by]
                return self.extract("count", row[1]) if isinstance(row[1], Statistic) else row[1]

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
        """An element, made if there is none."""
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
                return self.extract(e.what, self.arrays[e.stat].get(self.keys(e.keys)))
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
        if e.op in _LONG_OPERATORS:
            return _LONG_OPERATORS[e.op](number(left), number(right))
        return compare(e.op, left, right)

    def assign(self, e: t.Assign) -> Value:
        if e.op == "=":
            return self.write(e.target, lambda old: self.value(e.value))
        if e.op == ".=":
            return self.write(e.target, lambda old: self.cut(text(old) + text(self.value(e.value))))
        operator = _LONG_OPERATORS[e.op[:-1]]
        return self.write(e.target, lambda old: operator(number(old), number(self.value(e.value))))

    @staticmethod
    def extract(what: str, found: Value | Statistic | None) -> int:
        values = found.values if isinstance(found, Statistic) else []
        match what:
            case "count":
                return len(values)
            case "sum":
                return wrap(sum(values))
        if not values:
            raise Failure("empty aggregate")
        match what:
            case "min":
                return min(values)
            case "max":
                return max(values)
            case _:
                return divide(wrap(sum(values)), len(values))

    def call(self, e: t.Call) -> Value:
        args = [self.value(a) for a in e.args]
        match e.function, args:
            case "strlen", [str(s)]:
                return len(s)
            case "substr", [str(s), int(start), int(length)]:
                if start < 0 or length <= 0:
                    return ""
                return s[start : start + length]
            case "isinstr", [str(s), str(part)]:
                return int(part in s)
            case "strtol", [str(s), int(base)]:
                return wrap(int(s, base))
        function = self.functions[e.function]
        outer = self.locals
        self.locals = {p.name: a for p, a in zip(function.parameters, args, strict=True)}
        try:
            self.block(function.body)
        except _Left as left:
            assert left.word == "return"
            return left.value
        finally:
            self.locals = outer
        return self.zero(function.type)

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
            said += d.before + directive(d, width, next(args))
        return said + form.after


def directive(d: t.Directive, width: str, value: Value) -> str:
    """One value as SystemTap's printf does it: as C's, but 0 and # hold beside a precision, and for 0 too."""
    room = int(width or 0)
    flag = d.flags or ("0" if width.startswith("0") and d.width != "*" else "")
    if d.conversion == "s":
        shown = str(value)[: int(d.precision[1:])] if d.precision else str(value)
        return shown.ljust(room) if flag == "-" else shown.rjust(room)
    if d.conversion == "c":
        shown = chr(number(value))
        return shown.ljust(room) if flag == "-" else shown.rjust(room)
    signed = d.conversion in "di"
    size = abs(number(value)) if signed else number(value) % (1 << 64)
    body = format(size, "d" if d.conversion in "diu" else d.conversion)
    if d.precision:
        body = body.zfill(int(d.precision[1:]))
    head = ""
    if signed:
        head = "-" if number(value) < 0 else flag if flag in ("+", " ") else ""
    elif flag == "#":
        head = {"x": "0x", "X": "0X", "o": "0", "u": ""}[d.conversion]
    if flag == "0":
        body = body.zfill(room - len(head))
    return (head + body).ljust(room) if flag == "-" else (head + body).rjust(room)
