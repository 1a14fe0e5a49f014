# SPDX-License-Identifier: GPL-2.0-or-later
"""The actions of the grammar: what each alternative of `grammar.lark` makes of its symbols.

    sum: sum PLUS product -> binary      calls      binary(left, Token("PLUS", "+"), right)

Method names are the names after `->`; arguments are all symbols of the alternative in order, a
terminal's value being its Token. What the grammar cannot say (a target that can be assigned to,
one sort order per foreach) is checked here, and the tree goes on so that more can be found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from compiler import syntax as s
from compiler.lexer import Token
from compiler.points import PointBuilder
from compiler.source import Span, join

if TYPE_CHECKING:
    from compiler.diagnostics import Diagnostics

# What the grammar has made sure of at run time, mypy has to take on trust.
_Op: TypeAlias = Any
_Sort: TypeAlias = tuple[s.ExtractorName | None, bool, Span]

_MAX_ENTRIES = 1 << 31


class Builder(PointBuilder):
    """One item's actions. `guru` allows what can crash the kernel."""

    def __init__(self, faults: Diagnostics, *, guru: bool) -> None:
        super().__init__(faults)
        self.guru = guru
        self.returns: list[Span] = []  # of the item under way

    # ------------------------------------------------------------ items

    def probe(self, word: Token, points: list[list[s.ProbePoint]], body: s.Block) -> list[s.Item]:
        self.check_returns()
        return [s.Probe(self.flat(points), body, join(word.span, body.span))]

    def probe_alias(
        self,
        word: Token,
        aliases: list[tuple[s.ProbePoint, bool]],
        points: list[list[s.ProbePoint]],
        body: s.Block,
    ) -> list[s.Item]:
        self.check_returns()
        names = tuple(name for name, _ in aliases)
        span = join(word.span, body.span)
        epilogue = bool(aliases) and aliases[0][1]
        return [s.ProbeAlias(names, epilogue, self.flat(points), body, None, span)]

    def probe_alias_both(
        self,
        word: Token,
        aliases: list[tuple[s.ProbePoint, bool]],
        points: list[list[s.ProbePoint]],
        body: s.Block,
        _c: Token,
        after: s.Block,
    ) -> list[s.Item]:
        [alias] = self.probe_alias(word, aliases, points, body)
        for name, epilogue in aliases:
            if epilogue:
                self.faults.error(
                    "bad-alias",
                    "an alias with both a block before and one after is defined with '='",
                    name.span,
                    hint="'+=' adds one block, after the probe's own",
                )
        assert isinstance(alias, s.ProbeAlias)
        span = join(word.span, after.span)
        return [s.ProbeAlias(alias.names, alias.epilogue, alias.points, body, after, span)]

    def private_function(self, word: Token, functions: list[s.Item]) -> list[s.Item]:
        [f] = functions
        assert isinstance(f, s.Function)
        span = join(word.span, f.span)
        return [
            s.Function(f.name, True, f.type, f.parameters, f.priority, f.body, f.name_span, span)
        ]

    def globals(self, word: Token, names: list[s.Item], *_: Token) -> list[s.Item]:
        return names

    def private_globals(self, word: Token, names: list[s.Global], *_: Token) -> list[s.Item]:
        return [s.Global(g.name, True, g.size, g.wrap, g.init, g.span) for g in names]

    def private_globals_long(
        self, private: Token, word: Token, names: list[s.Global], *_: Token
    ) -> list[s.Item]:
        return self.private_globals(word, names)

    def embedded_item(self, code: Token) -> list[s.Item]:
        return [self.embedded_body(code)]

    def embedded_body(self, code: Token) -> s.EmbeddedC:
        self.check_guru("embedded C", code.span)
        return s.EmbeddedC(str(code.value), code.span)

    def global_(
        self,
        name: Token,
        wrap: Token | None,
        size: s.Number | None,
        init: s.Number | s.String | None,
    ) -> s.Global:
        span = name.span
        for part in (wrap, size, init):
            span = join(span, part.span) if part is not None else span
        if size is not None and not 0 < size.value < _MAX_ENTRIES:
            self.faults.error(
                "bad-array-size",
                f"'{name.value}' cannot have {size.value} entries",
                size.span,
                hint=f"between 1 and {_MAX_ENTRIES - 1}",
            )
        if init is not None and size is not None:
            self.faults.error(
                "array-initialised",
                f"the array '{name.value}' cannot have an initial value",
                init.span,
                hint="fill it in 'probe begin'",
            )
            init = None
        return s.Global(
            str(name.value), False, size.value if size else None, wrap is not None, init, span
        )

    def size(self, opening: Token, size: s.Number, closing: Token) -> s.Number:
        return s.Number(size.value, join(opening.span, closing.span))

    def init(self, equal: Token, value: s.Expr) -> s.Expr:
        return value

    def function(
        self,
        word: Token,
        name: Token,
        type_: s.TypeName | None,
        opening: Token,
        parameters: list[s.Parameter],
        closing: Token,
        priority: int | None,
        body: s.Block | s.EmbeddedC,
    ) -> list[s.Item]:
        self.returns.clear()
        known: dict[str, s.Parameter] = {}
        for parameter in parameters:
            if parameter.name in known:
                self.faults.error(
                    "duplicate-parameter",
                    f"'{name.value}' has two parameters '{parameter.name}'",
                    parameter.span,
                    hint="rename one of them",
                )
            known[parameter.name] = parameter
        return [
            s.Function(
                str(name.value),
                False,
                type_,
                tuple(parameters),
                priority,
                body,
                name.span,
                join(word.span, body.span),
            )
        ]

    def type(self, colon: Token, name: Token) -> s.TypeName:
        return "long" if name.value == "long" else "string"

    def bad_type(self, colon: Token, name: Token) -> None:
        self.faults.error(
            "unknown-type",
            f"'{name.value}' is no type",
            name.span,
            hint="a value is a 'long' or a 'string'; arrays and statistics are globals",
        )

    def parameter(self, name: Token, type_: s.TypeName | None) -> s.Parameter:
        return s.Parameter(str(name.value), type_, name.span)

    def priority(self, colon: Token, number: s.Number) -> int:
        if number.value <= 0:
            self.faults.error(
                "bad-priority",
                "a priority is a positive number",
                number.span,
                hint="1 is tried first; leave it out for the last",
            )
        return number.value

    # ------------------------------------------------------------ statements

    def block(self, opening: Token, body: list[s.Stmt], closing: Token) -> s.Block:
        return s.Block(tuple(body), join(opening.span, closing.span))

    def empty(self, semicolon: Token) -> s.Empty:
        return s.Empty(semicolon.span)

    def expr_stmt(self, value: s.Expr) -> s.ExprStmt:
        return s.ExprStmt(value, value.span)

    def if_only(self, word: Token, _o: Token, test: s.Expr, _c: Token, then: s.Stmt) -> s.If:
        return s.If(test, then, None, join(word.span, then.span))

    def if_else(
        self,
        word: Token,
        _o: Token,
        test: s.Expr,
        _c: Token,
        then: s.Stmt,
        _e: Token,
        otherwise: s.Stmt,
    ) -> s.If:
        return s.If(test, then, otherwise, join(word.span, otherwise.span))

    def while_loop(self, word: Token, _o: Token, test: s.Expr, _c: Token, body: s.Stmt) -> s.While:
        return s.While(test, body, join(word.span, body.span))

    def for_loop(
        self,
        word: Token,
        _o: Token,
        init: s.Expr | None,
        _1: Token,
        test: s.Expr | None,
        _2: Token,
        step: s.Expr | None,
        _c: Token,
        body: s.Stmt,
    ) -> s.For:
        return s.For(init, test, step, body, join(word.span, body.span))

    def break_stmt(self, word: Token) -> s.Break:
        return s.Break(word.span)

    def continue_stmt(self, word: Token) -> s.Continue:
        return s.Continue(word.span)

    def next_stmt(self, word: Token) -> s.Next:
        return s.Next(word.span)

    def return_value(self, word: Token, value: s.Expr) -> s.Return:
        self.returns.append(word.span)
        return s.Return(value, join(word.span, value.span))

    def return_bare(self, word: Token) -> s.Return:
        self.returns.append(word.span)
        return s.Return(None, word.span)

    def delete(self, word: Token, target: s.Expr) -> s.Delete:
        if not isinstance(target, s.Name | s.Index):
            self.faults.error(
                "not-deletable",
                "this cannot be deleted",
                target.span,
                hint="delete takes a variable, an array, an element a[k] or a slice a[*, k]",
            )
        return s.Delete(target, join(word.span, target.span))

    def try_catch(self, word: Token, body: s.Block, _w: Token, handler: s.Block) -> s.TryCatch:
        return s.TryCatch(body, None, handler, join(word.span, handler.span))

    def try_catch_as(
        self,
        word: Token,
        body: s.Block,
        _w: Token,
        _o: Token,
        name: Token,
        _c: Token,
        handler: s.Block,
    ) -> s.TryCatch:
        return s.TryCatch(body, self.name(name), handler, join(word.span, handler.span))

    # ------------------------------------------------------------ foreach

    def each_name(self, name: Token) -> tuple[s.Name, _Sort | None]:
        return self.name(name), None

    def each_sorted(self, name: Token, sign: Token) -> tuple[s.Name, _Sort | None]:
        return self.name(name), self.sort(sign)

    def sort(self, sign: Token) -> _Sort:
        return None, sign.value == "-", sign.span

    def sort_by(self, extractor: Token, sign: Token) -> _Sort:
        span = join(extractor.span, sign.span)
        return cast("s.ExtractorName", extractor.value), sign.value == "-", span

    def over_name(self, name: Token) -> tuple[s.Name, tuple[s.Key, ...]]:
        return self.name(name), ()

    def over_slice(
        self, name: Token, _o: Token, keys: list[s.Key], _c: Token
    ) -> tuple[s.Name, tuple[s.Key, ...]]:
        return self.name(name), tuple(keys)

    def over_histogram(self, histogram: s.Histogram) -> tuple[s.Histogram, tuple[s.Key, ...]]:
        return histogram, ()

    def limit(self, word: Token, limit: s.Expr) -> s.Expr:
        return limit

    def foreach(
        self,
        word: Token,
        _o: Token,
        keys: list[tuple[s.Name, _Sort | None]],
        _i: Token,
        over: tuple[s.Name | s.Histogram, tuple[s.Key, ...]],
        sort: _Sort | None,
        limit: s.Expr | None,
        _c: Token,
        body: s.Stmt,
        value: tuple[s.Name, _Sort | None] | None = None,
    ) -> s.Foreach:
        orders: list[tuple[int | None, _Sort]] = [
            (key, order) for key, (_, order) in enumerate(keys) if order is not None
        ]
        orders += [(None, order) for order in (value and value[1], sort) if order is not None]
        if len(orders) > 1:
            self.faults.error(
                "multiple-sort-orders",
                "this foreach has more than one sort order",
                orders[1][1][2],
                hint="sort on one key, or on the value",
            )
        chosen = None
        if orders:
            key, (extractor, descending, span) = orders[0]
            chosen = s.Sort(key, extractor, descending, span)
        return s.Foreach(
            tuple(name for name, _ in keys),
            value[0] if value else None,
            *over,
            chosen,
            limit,
            body,
            join(word.span, body.span),
        )

    def foreach_value(
        self,
        word: Token,
        opening: Token,
        value: tuple[s.Name, _Sort | None],
        _e: Token,
        keys: list[tuple[s.Name, _Sort | None]],
        in_: Token,
        over: tuple[s.Name | s.Histogram, tuple[s.Key, ...]],
        sort: _Sort | None,
        limit: s.Expr | None,
        closing: Token,
        body: s.Stmt,
    ) -> s.Foreach:
        return self.foreach(word, opening, keys, in_, over, sort, limit, closing, body, value)

    # ------------------------------------------------------------ operators

    def binary(self, left: s.Expr, op: Token, right: s.Expr) -> s.Binary:
        kind: _Op = op.value
        return s.Binary(kind, left, right, join(left.span, right.span))

    def unary(self, op: Token, operand: s.Expr) -> s.Unary:
        kind: _Op = op.value
        return s.Unary(kind, operand, join(op.span, operand.span))

    def crement_after(self, target: s.Expr, op: Token) -> s.Increment:
        self.check_target(target)
        kind: _Op = op.value
        return s.Increment(kind, False, target, join(target.span, op.span))

    def crement_before(self, op: Token, target: s.Expr) -> s.Increment:
        self.check_target(target)
        kind: _Op = op.value
        return s.Increment(kind, True, target, join(op.span, target.span))

    def assign(self, target: s.Expr, op: Token, value: s.Expr) -> s.Assign:
        self.check_target(target)
        kind: _Op = op.value
        place: Any = target
        return s.Assign(kind, place, value, join(target.span, value.span))

    def conditional(
        self, test: s.Expr, _q: Token, then: s.Expr, _c: Token, otherwise: s.Expr
    ) -> s.Conditional:
        return s.Conditional(test, then, otherwise, join(test.span, otherwise.span))

    def match(self, value: s.Expr, op: Token, pattern: Token) -> s.Match:
        span = join(value.span, pattern.span)
        return s.Match(value, self.string(pattern), op.value == "!~", span)

    def member(self, key: s.Expr, _i: Token, array: Token) -> s.In:
        return s.In((key,), self.name(array), join(key.span, array.span))

    def members(
        self, opening: Token, keys: list[s.Key], _c: Token, _i: Token, array: Token
    ) -> s.In:
        return s.In(tuple(keys), self.name(array), join(opening.span, array.span))

    def bracketed(self, opening: Token, keys: list[s.Key], closing: Token) -> s.Expr:
        key = keys[0]
        if len(keys) > 1 or isinstance(key, s.Wildcard):
            span = join(opening.span, closing.span)
            return self.not_an_element(span, "keys in brackets stand before 'in' only")
        return key

    def address(self, op: Token, base: s.Expr) -> s.Access:
        span = join(op.span, base.span)
        if isinstance(base, s.Access) and not base.address:
            return s.Access(base.base, base.path, True, base.pretty, span)
        return s.Access(base, (), True, 0, span)

    # ------------------------------------------------------------ paths

    def field(self, base: s.Expr, _a: Token, name: Token) -> s.Access:
        return self.access(base, s.Field(str(name.value), name.span), name.span)

    def index(self, base: s.Expr, opening: Token, keys: list[s.Key], closing: Token) -> s.Expr:
        span = join(base.span, closing.span)
        if isinstance(base, s.Name):
            return s.Index(base, tuple(keys), span)
        key = keys[0]
        if len(keys) > 1 or isinstance(key, s.Wildcard):
            return self.not_an_element(
                join(opening.span, closing.span), "only an array takes several keys, or '*'"
            )
        element = s.Element(key, join(opening.span, closing.span))
        return self.access(base, element, closing.span)

    def bucket(
        self, histogram: s.Histogram, opening: Token, keys: list[s.Key], closing: Token
    ) -> s.Expr:
        key = keys[0]
        if len(keys) > 1 or isinstance(key, s.Wildcard):
            return self.not_an_element(
                join(opening.span, closing.span), "a bucket of a histogram has one number"
            )
        return s.Bucket(histogram, key, join(histogram.span, closing.span))

    def pretty(self, base: s.Expr, sign: Token) -> s.Access:
        span = join(base.span, sign.span)
        if isinstance(base, s.Access) and not base.address:
            if base.pretty:
                self.after_pretty(sign.span)
            return s.Access(base.base, base.path, False, _dollars(sign), span)
        return s.Access(base, (), False, _dollars(sign), span)

    def pretty_arrow(self, base: s.Expr, _a: Token, sign: Token) -> s.Access:
        return self.pretty(base, sign)

    def access(self, base: s.Expr, step: s.Field | s.Element, last: Span) -> s.Access:
        span = join(base.span, last)
        if isinstance(base, s.Access) and not base.address:
            if base.pretty:
                self.after_pretty(step.span)
            return s.Access(base.base, (*base.path, step), False, base.pretty, span)
        return s.Access(base, (step,), False, 0, span)

    def after_pretty(self, span: Span) -> None:
        self.faults.error(
            "after-pretty-print",
            "nothing can follow the '$' that formats a whole value",
            span,
            hint="put the '$' at the end of the path",
        )

    # ------------------------------------------------------------ values

    def name(self, name: Token) -> s.Name:
        return s.Name(str(name.value), name.span)

    def target(self, name: Token) -> s.TargetVar:
        return s.TargetVar(str(name.value)[1:], name.span)

    def embedded_expr(self, code: Token) -> s.EmbeddedExpr:
        self.check_guru("embedded C", code.span)
        return s.EmbeddedExpr(str(code.value), code.span)

    def parenthesised(self, _o: Token, value: s.Expr, _c: Token) -> s.Expr:
        return value

    def wildcard(self, star: Token) -> s.Wildcard:
        return s.Wildcard(star.span)

    def call(self, name: Token, _o: Token, args: list[s.Expr], closing: Token) -> s.Call:
        span = join(name.span, closing.span)
        return s.Call(str(name.value), tuple(args), name.span, span)

    def call_empty(self, name: Token, opening: Token, closing: Token) -> s.Call:
        return self.call(name, opening, [], closing)

    def extract(self, op: Token, _o: Token, stat: s.Expr, closing: Token) -> s.Extract:
        kind: _Op = op.value
        return s.Extract(kind, stat, (), join(op.span, closing.span))

    def extract_shifted(
        self, op: Token, _o: Token, stat: s.Expr, _c: Token, shift: s.Number, closing: Token
    ) -> s.Extract:
        kind: _Op = op.value
        return s.Extract(kind, stat, (shift,), join(op.span, closing.span))

    def histogram(self, op: Token, _o: Token, stat: s.Expr, closing: Token) -> s.Histogram:
        return s.Histogram("log", stat, (), join(op.span, closing.span))

    def histogram_linear(self, op: Token, _o: Token, stat: s.Expr, *rest: Any) -> s.Histogram:
        *arguments, closing = rest
        numbers = tuple(arguments[1::2])
        return s.Histogram("linear", stat, numbers, join(op.span, closing.span))

    # ------------------------------------------------------------ printing

    def print_(
        self,
        word: Token,
        args: list[s.Expr],
        closing: Token,
        format_: Token | None = None,
        delimiter: Token | None = None,
    ) -> s.Print:
        kind: _Op = word.value
        return s.Print(
            kind,
            self.string(format_) if format_ else None,
            self.string(delimiter) if delimiter else None,
            tuple(args),
            word.span,
            join(word.span, closing.span),
        )

    def print(self, word: Token, _o: Token, args: list[s.Expr], closing: Token) -> s.Print:
        return self.print_(word, args, closing)

    def print_char(self, word: Token, _o: Token, args: list[s.Expr], closing: Token) -> s.Print:
        return self.print_(word, args, closing)

    def print_empty(self, word: Token, _o: Token, closing: Token) -> s.Print:
        return self.print_(word, [], closing)

    def print_histogram(
        self, word: Token, _o: Token, histogram: s.Histogram, closing: Token
    ) -> s.Print:
        return self.print_(word, [histogram], closing)

    def print_delimited(
        self, word: Token, _o: Token, text: Token, _c: Token, args: list[s.Expr], closing: Token
    ) -> s.Print:
        if len(args) < 2:
            self.faults.error(
                "too-few-values",
                f"{word.value}() puts its first text between values, and there is only one",
                text.span,
                hint=f'it takes at least two: {word.value}("{str(text.value) or ","}", a, b)',
            )
        return self.print_(word, args, closing, delimiter=text)

    def print_format(self, word: Token, _o: Token, text: Token, closing: Token) -> s.Print:
        return self.print_(word, [], closing, format_=text)

    def print_formatted(
        self, word: Token, _o: Token, text: Token, _c: Token, args: list[s.Expr], closing: Token
    ) -> s.Print:
        return self.print_(word, args, closing, format_=text)

    # ------------------------------------------------------------ '@' operators

    def cast(
        self,
        op: Token,
        _o: Token,
        operand: s.Expr,
        _c: Token,
        type_name: Token,
        closing: Token,
        module: Token | None = None,
    ) -> s.Cast:
        where = str(module.value) if module else None
        return s.Cast(operand, str(type_name.value), where, join(op.span, closing.span))

    def cast_module(
        self,
        op: Token,
        opening: Token,
        operand: s.Expr,
        comma: Token,
        type_name: Token,
        _c: Token,
        module: Token,
        closing: Token,
    ) -> s.Cast:
        return self.cast(op, opening, operand, comma, type_name, closing, module)

    def at_var(self, op: Token, _o: Token, name: Token, closing: Token) -> s.AtVar:
        return s.AtVar(str(name.value), None, join(op.span, closing.span))

    def at_var_module(
        self, op: Token, _o: Token, name: Token, _c: Token, module: Token, closing: Token
    ) -> s.AtVar:
        return s.AtVar(str(name.value), str(module.value), join(op.span, closing.span))

    def defined(self, op: Token, _o: Token, operand: s.Expr, closing: Token) -> s.Defined:
        return s.Defined(operand, join(op.span, closing.span))

    def entry(self, op: Token, _o: Token, operand: s.Expr, closing: Token) -> s.Entry:
        return s.Entry(operand, join(op.span, closing.span))

    def at_value(self, op: Token, _o: Token, argument: s.Expr, closing: Token) -> s.AtCall:
        return self.at_call(op, (argument,), closing)

    def at_string(self, op: Token, opening: Token, text: Token, closing: Token) -> s.AtCall:
        return self.at_call(op, (self.string(text),), closing)

    def at_target(self, op: Token, opening: Token, name: Token, closing: Token) -> s.AtCall:
        return self.at_call(op, (self.target(name),), closing)

    def at_name(self, op: Token, _o: Token, name: Token, closing: Token) -> s.AtCall:
        return self.at_call(op, (self.name(name),), closing)

    def at_pair(
        self, op: Token, _o: Token, first: s.Expr, _c: Token, second: s.Expr, closing: Token
    ) -> s.AtCall:
        return self.at_call(op, (first, second), closing)

    def at_call(self, op: Token, args: tuple[s.Expr, ...], closing: Token) -> s.AtCall:
        kind: _Op = op.value
        if kind in ("const", "kregister", "uregister", "kderef", "uderef"):
            self.check_guru(f"'@{kind}'", op.span)
        return s.AtCall(kind, args, op.span, join(op.span, closing.span))

    # ------------------------------------------------------------ checks

    def check_guru(self, what: str, span: Span) -> None:
        if not self.guru:
            self.faults.error(
                "needs-guru-mode",
                f"{what} needs guru mode",
                span,
                hint="run with -g, if you trust the script with the whole kernel",
            )

    def check_returns(self) -> None:
        for span in self.returns:
            self.faults.error(
                "return-in-probe",
                "'return' stands outside any function",
                span,
                hint="'next' leaves a probe",
            )
        self.returns.clear()

    def check_target(self, target: s.Expr) -> None:
        match target:
            case s.Name() | s.TargetVar() | s.AtVar() | s.Cast():
                return
            case s.Index(keys=keys) if not any(isinstance(key, s.Wildcard) for key in keys):
                return
            case s.Access(address=False, pretty=0):
                return
            case s.AtCall(name="kderef" | "uderef" | "kregister"):
                return
        self.faults.error(
            "not-assignable",
            "this cannot be assigned to",
            target.span,
            hint="assign to a variable, an array element or a context variable; '==' compares",
        )

    def not_an_element(self, span: Span, message: str) -> s.Expr:
        self.faults.error(
            "not-an-element",
            message,
            span,
            hint="slices like a[*, 1] belong to foreach, delete and in",
        )
        return s.Number(0, span)


def _dollars(sign: Token) -> Any:
    return min(len(str(sign.value)), 2)
