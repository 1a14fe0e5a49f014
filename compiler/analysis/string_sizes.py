# SPDX-License-Identifier: GPL-2.0-or-later
"""String size inference: buffers and keys get the bytes they need instead of MAXSTRINGLEN.

reads[execname()]++  -> the key takes 16 bytes, compared as two words
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from compiler.ir import program as p
from compiler.ir.program import BodyId
from compiler.ir.walk import Node, body_of, walk
from runtime.events import printf
from runtime.support.record import field, record

_LONGEST_NUMBER = 24  # octal with its 0, or binary's 8 bytes; a sign
_PATIENCE = 6  # rounds until what still grows is taken to be as large as strings get
_MOST_KEYS = 9

# ("local", body, name), ("global", name), ("key", array, index) or ("result", function)
_Symbol: TypeAlias = tuple[object, ...]
# The nodes through which sizes flow from one symbol to another.
_FLOWS = (
    p.Assign, p.Call, p.Return, p.Try, p.Foreach, p.EmbeddedExpr, p.GlobalRef, p.In, p.Delete,
)  # fmt: skip


@record(frozen=False)
class StringSizes:
    """The bytes, including the NUL, that each string symbol of a program needs."""

    maximum: int
    functions: dict[str, p.Function]
    probes: tuple[p.Probe, ...]
    found: dict[_Symbol, int] = field(default_factory=dict)
    changed: bool = False
    to_maximum: bool = False  # whatever still grows gets `maximum`

    def local(self, body: BodyId, name: str) -> int:
        return self.found.get(("local", body, name), 1)

    def global_(self, name: str) -> int:
        return self.found.get(("global", name), 1)

    def key(self, array: str, index: int) -> int:
        return self.found.get(("key", array, index), 1)

    def result(self, symbol: str) -> int:
        f = self.functions[symbol]
        if f.body is None:
            return min(f.bound or self.maximum, self.maximum)
        return self.found.get(("result", symbol), 1)

    def grow(self, size: int, *symbol: object) -> None:
        if size > self.found.get(symbol, 1):
            self.found[symbol] = self.maximum if self.to_maximum else min(size, self.maximum)
            self.changed = True

    def expr(self, e: p.Expr, body: BodyId) -> int:
        """The bytes that a string expression of a body can take."""
        match e:
            case p.String(value=text):
                return min(len(text) + 1, self.maximum)
            case p.LocalRef(local=local):
                return self.local(body, local.name)
            case p.GlobalRef(name=name):
                return self.global_(name)
            case p.Concat(left=left, right=right):
                return min(self.expr(left, body) + self.expr(right, body) - 1, self.maximum)
            case p.Conditional(then=then, otherwise=otherwise):
                return max(self.expr(then, body), self.expr(otherwise, body))
            case p.Assign(target=target):
                return self.expr(target, body)
            case p.Guard(value=value, fallback=fallback):
                return max(self.expr(value, body), self.expr(fallback, body))
            case p.Call(function=symbol):
                return self.result(symbol)
            case p.CharsAt(length=length) if length:
                return min(length + 1, self.maximum)
            case p.EntryValue(index=index):
                return self.expr(self._entry(body)[index], body)
            case p.Format(format=text, args=args):
                return self.formatted(text, args, body)
            case _:
                return self.maximum

    def _entry(self, body: BodyId) -> tuple[p.Expr, ...]:
        assert body[0] == "probe"
        return self.probes[body[1]].entry

    def formatted(self, text: str, args: Sequence[p.Expr], body: BodyId) -> int:
        """The bytes of a sprintf's result: `"%d:%.15s"` -> 43 at most."""
        size, values = 1, iter(args)
        for piece in printf.parse(text):
            if isinstance(piece, printf.Literal):
                size += len(piece.text)
                continue
            width, precision = piece.width or 0, piece.precision
            if isinstance(width, printf.Star) or isinstance(precision, printf.Star):
                return self.maximum
            value = next(values)
            match piece.kind:
                case printf.Kind.STRING:
                    most = self.expr(value, body) - 1
                    if precision is not None:
                        most = min(most, precision)
                case printf.Kind.LONG:
                    most = max(_LONGEST_NUMBER, (precision or 0) + 3)  # 0x, a sign
                case printf.Kind.MEMORY:
                    return self.maximum
            size += max(most, width) + 1  # a padded string may end with a NUL of its own
        return min(size, self.maximum)


def infer_sizes(program: p.Program, maximum: int) -> StringSizes:
    """The sizes of all string symbols, by iteration until none of them grows."""
    sizes = StringSizes(maximum, {f.symbol: f for f in program.functions}, program.probes)
    for g in program.globals:
        if isinstance(g.init, str):
            sizes.grow(len(g.init) + 1, "global", g.name)
    flows = [
        (node, body)
        for body, nodes in _bodies(program)
        for node in walk(*nodes)
        if isinstance(node, _FLOWS)
    ]
    for turn in range(2 * _PATIENCE + 2):
        sizes.changed = False
        sizes.to_maximum = turn >= _PATIENCE
        for node, body in flows:
            _flow(sizes, node, body)
        if not sizes.changed:
            break
    return sizes


def _bodies(program: p.Program) -> Iterator[tuple[BodyId, Sequence[Node]]]:
    for i, probe in enumerate(program.probes):
        condition = (probe.condition,) if probe.condition is not None else ()
        yield ("probe", i), (*probe.body.stmts, *probe.entry, *condition)
    for f in program.functions:
        yield ("function", f.symbol), body_of(f)


def _flow(sizes: StringSizes, node: Node, body: BodyId) -> None:
    """Grows the sizes of the symbols in which a node stores strings."""
    match node:
        case p.GlobalRef(name=name, keys=keys) | p.In(name=name, keys=keys):
            _flow_keys(sizes, name, keys, body)
        case p.Delete(name=name, keys=keys):
            _flow_keys(sizes, name, keys, body)
        case p.Assign(type=p.STRING):
            _flow_assign(sizes, node, body)
        case p.Call(function=symbol, args=args):
            f = sizes.functions[symbol]
            for parameter, arg in zip(f.parameters, args, strict=True):
                if parameter.type is p.STRING:
                    size = sizes.expr(arg, body)
                    sizes.grow(size, "local", ("function", symbol), parameter.name)
        case p.Return(value=value) if value is not None and value.type is p.STRING:
            sizes.grow(sizes.expr(value, body), "result", body[1])
        case p.Try(variable=variable) if variable is not None:
            sizes.grow(sizes.maximum, "local", body, variable.name)
        case p.Foreach():
            _flow_loop(sizes, node, body)
        case p.EmbeddedExpr(writes=writes):
            for _, name in writes:
                sizes.grow(sizes.maximum, "global", name)
                for i in range(_MOST_KEYS):
                    sizes.grow(sizes.maximum, "key", name, i)
        case _:
            pass


def _flow_assign(sizes: StringSizes, e: p.Assign, body: BodyId) -> None:
    size = sizes.expr(e.value, body)
    if e.op == ".":
        size += sizes.expr(e.target, body) - 1
    match e.target:
        case p.LocalRef(local=local):
            sizes.grow(size, "local", body, local.name)
        case p.GlobalRef(name=name):
            sizes.grow(size, "global", name)


def _flow_loop(sizes: StringSizes, s: p.Foreach, body: BodyId) -> None:
    for i, key in enumerate(s.keys):
        if key.type is p.STRING:
            sizes.grow(sizes.key(s.name, i), "local", body, key.name)
    if s.value is not None and s.value.type is p.STRING:
        sizes.grow(sizes.global_(s.name), "local", body, s.value.name)
    _flow_keys(sizes, s.name, s.slice, body)


def _flow_keys(sizes: StringSizes, name: str, keys: Sequence[p.Expr | None], body: BodyId) -> None:
    for i, key in enumerate(keys):
        if key is not None and key.type is p.STRING:
            sizes.grow(sizes.expr(key, body), "key", name, i)
