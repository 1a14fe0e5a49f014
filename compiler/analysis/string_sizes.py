# SPDX-License-Identifier: GPL-2.0-or-later
"""How large strings can get: buffers and keys take what is needed, not MAXSTRINGLEN.

reads[execname()]++  -> the key takes 16 bytes, compared as two words
"""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir import program as p
from compiler.ir.traits import Node, body_of, walk
from runtime.events import printf
from runtime.support.record import field, record

_LONGEST_NUMBER = 24  # octal with its 0, or binary's 8 bytes; a sign
_PATIENCE = 6  # rounds until what still grows is taken to be as large as strings get


@record(frozen=False)
class Sizes:
    """Bytes, with the NUL, of every string symbol; see the keys of `of`."""

    maximum: int
    of: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    functions: dict[str, p.Function] = field(default_factory=dict)
    entries: dict[str, tuple[p.Expr, ...]] = field(default_factory=dict)
    changed: bool = False
    growing: bool = False

    def get(self, *symbol: str | int) -> int:
        return self.of.get(symbol, 1)

    def grow(self, size: int, *symbol: str | int) -> None:
        if size > self.of.get(symbol, 1):
            self.of[symbol] = self.maximum if self.growing else min(size, self.maximum)
            self.changed = True

    def expr(self, e: p.Expr, body: str) -> int:
        """Bytes that a string expression of a body (`probe_0`, a function's symbol) can take."""
        match e:
            case p.String(value=text):
                return min(len(text) + 1, self.maximum)
            case p.LocalRef(local=local):
                return self.get("local", body, local.name)
            case p.GlobalRef(name=name):
                return self.get("global", name)
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
                return self.expr(self.entries[body][index], body)
            case p.Format(format=text, args=args):
                return self.formatted(text, args, body)
            case _:
                return self.maximum

    def formatted(self, text: str, args: Sequence[p.Expr], body: str) -> int:
        """Bytes of a sprintf's result: `"%d:%.15s"` -> 43 at most."""
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

    def result(self, symbol: str) -> int:
        f = self.functions[symbol]
        if f.body is None:
            return min(f.bound or self.maximum, self.maximum)
        return self.get("result", symbol)


def measure(program: p.Program, maximum: int) -> Sizes:
    """Sizes of all string symbols, by iteration over the program."""
    sizes = Sizes(maximum)
    sizes.functions = {f.symbol: f for f in program.functions}
    for g in program.globals:
        if isinstance(g.init, str):
            sizes.grow(len(g.init) + 1, "global", g.name)
    bodies: list[tuple[str, Sequence[Node]]] = []
    for i, probe in enumerate(program.probes):
        condition = (probe.condition,) if probe.condition is not None else ()
        bodies.append((f"probe_{i}", (*probe.body.stmts, *probe.entry, *condition)))
        sizes.entries[f"probe_{i}"] = probe.entry
    bodies += [(f.symbol, body_of(f)) for f in program.functions]
    for turn in range(2 * _PATIENCE + 2):
        sizes.changed = False
        sizes.growing = turn >= _PATIENCE
        for body, nodes in bodies:
            for node in walk(*nodes):
                _flow(sizes, node, body)
        if not sizes.changed:
            break
    return sizes


def _flow(sizes: Sizes, node: Node, body: str) -> None:
    match node:
        case p.Assign(type=p.STRING, target=target, value=value, op=op):
            size = sizes.expr(value, body)
            if op == ".":
                size += sizes.expr(target, body) - 1
            match target:
                case p.LocalRef(local=local):
                    sizes.grow(size, "local", body, local.name)
                case p.GlobalRef(name=name):
                    sizes.grow(size, "global", name)
        case p.Call(function=symbol, args=args):
            f = sizes.functions[symbol]
            for parameter, arg in zip(f.parameters, args, strict=True):
                if parameter.type is p.STRING:
                    sizes.grow(sizes.expr(arg, body), "local", symbol, parameter.name)
        case p.Return(value=value) if value is not None and value.type is p.STRING:
            sizes.grow(sizes.expr(value, body), "result", body)
        case p.Try(variable=variable) if variable is not None:
            sizes.grow(sizes.maximum, "local", body, variable.name)
        case p.Foreach(keys=keys, value=value_local, name=name):
            for i, key in enumerate(keys):
                if key.type is p.STRING:
                    sizes.grow(sizes.get("key", name, i), "local", body, key.name)
            if value_local is not None and value_local.type is p.STRING:
                sizes.grow(sizes.get("global", name), "local", body, value_local.name)
        case p.EmbeddedExpr(writes=writes):
            for _, name in writes:
                sizes.grow(sizes.maximum, "global", name)
                for i in range(9):
                    sizes.grow(sizes.maximum, "key", name, i)
        case _:
            pass
    if isinstance(node, p.GlobalRef | p.In | p.Delete):
        _flow_keys(sizes, node.name, node.keys, body)
    if isinstance(node, p.Foreach):
        _flow_keys(sizes, node.name, node.slice, body)


def _flow_keys(sizes: Sizes, name: str, keys: Sequence[p.Expr | None], body: str) -> None:
    for i, key in enumerate(keys):
        if key is not None and key.type is p.STRING:
            sizes.grow(sizes.expr(key, body), "key", name, i)
