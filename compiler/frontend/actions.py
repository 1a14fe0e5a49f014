# SPDX-License-Identifier: GPL-2.0-or-later
"""The semantic actions of the grammar: each makes a syntax node from the symbols of one alternative.

    IF LPAR expr RPAR statement ELSE statement  -> if_else
      calls  if_else(Token("IF", "if"), ..., otherwise)  ->  If(test, then, otherwise)

This file has the actions for items and statements. `expression_actions` has those for expressions,
`probe_point_actions` those for probe points, literals and lists.

A method has the name that follows `->` in `grammar.lark`. Its arguments are the values of all
symbols of the alternative, in order; the value of a terminal is its Token. The actions also check
the rules that the grammar cannot express (an assignment needs an assignable target, a foreach has
one sort order). After such a diagnostic they still return a node, so that parsing can continue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from compiler.frontend.expression_actions import ExpressionActions
from compiler.frontend.lexer import Token
from compiler.ir import syntax as s
from compiler.ir.source import Span, join

if TYPE_CHECKING:
    from compiler.ir.diagnostics import Diagnostics

_Sort: TypeAlias = tuple[s.ExtractorName | None, bool, Span]  # the bool: whether it descends

_MAX_ENTRIES = 1 << 31


class Actions(ExpressionActions):
    """All actions of the grammar. `guru` allows constructs that can crash the kernel."""

    def __init__(self, diagnostics: Diagnostics, *, guru: bool) -> None:
        super().__init__(diagnostics, guru=guru)
        self.returns: list[Span] = []  # the 'return' words of the current item

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
                self.diagnostics.error(
                    "bad-alias",
                    "an alias with a block before and a block after the probe's own is defined with '='",
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
        span = _span_of(name, wrap, size, init)
        if size is not None and not 0 < size.value < _MAX_ENTRIES:
            self.diagnostics.error(
                "bad-array-size",
                f"'{name.value}' cannot have {size.value} entries",
                size.span,
                hint=f"between 1 and {_MAX_ENTRIES - 1}",
            )
        if init is not None and size is not None:
            self.diagnostics.error(
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
        self.check_parameters(name, parameters)
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
        self.diagnostics.error(
            "unknown-type",
            f"'{name.value}' is not a type",
            name.span,
            hint="a value is a 'long' or a 'string'; arrays and statistics are globals",
        )

    def parameter(self, name: Token, type_: s.TypeName | None) -> s.Parameter:
        return s.Parameter(str(name.value), type_, name.span)

    def priority(self, colon: Token, number: s.Number) -> int:
        if number.value <= 0:
            self.diagnostics.error(
                "bad-priority",
                "a priority is a positive number",
                number.span,
                hint="1 is tried first; a function without a priority is tried last",
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
            self.diagnostics.error(
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
        return s.Foreach(
            tuple(name for name, _ in keys),
            value[0] if value else None,
            *over,
            self.chosen_sort(keys, value, sort),
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

    def chosen_sort(
        self,
        keys: list[tuple[s.Name, _Sort | None]],
        value: tuple[s.Name, _Sort | None] | None,
        sort: _Sort | None,
    ) -> s.Sort | None:
        """The sort order of a foreach, written after a key, the value or the array."""
        orders: list[tuple[int | None, _Sort]] = [
            (key, order) for key, (_, order) in enumerate(keys) if order is not None
        ]
        orders += [(None, order) for order in (value and value[1], sort) if order is not None]
        if not orders:
            return None
        if len(orders) > 1:
            self.diagnostics.error(
                "multiple-sort-orders",
                "this foreach has more than one sort order",
                orders[1][1][2],
                hint="sort on one key, or on the value",
            )
        key, (extractor, descending, span) = orders[0]
        return s.Sort(key, extractor, descending, span)

    # ------------------------------------------------------------ checks

    def check_parameters(self, name: Token, parameters: list[s.Parameter]) -> None:
        known: set[str] = set()
        for parameter in parameters:
            if parameter.name in known:
                self.diagnostics.error(
                    "duplicate-parameter",
                    f"'{name.value}' has two parameters '{parameter.name}'",
                    parameter.span,
                    hint="rename one of them",
                )
            known.add(parameter.name)

    def check_returns(self) -> None:
        """Reports each 'return' of the current item, which is a probe."""
        for span in self.returns:
            self.diagnostics.error(
                "return-in-probe",
                "'return' outside of a function",
                span,
                hint="'next' leaves a probe",
            )
        self.returns.clear()


def _span_of(first: Token, *parts: Token | s.Expr | None) -> Span:
    """The span from a token to the last of the optional parts after it."""
    span = first.span
    for part in parts:
        span = join(span, part.span) if part is not None else span
    return span
