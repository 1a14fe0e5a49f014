# SPDX-License-Identifier: GPL-2.0-or-later
"""The semantic actions of the grammar for expressions (see `compiler.frontend.actions`).

sum: sum PLUS product  -> binary
  calls  binary(left, Token("PLUS", "+"), right)  ->  Binary("+", left, right)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from compiler.frontend.lexer import Token
from compiler.frontend.probe_point_actions import ProbePointActions
from compiler.ir import syntax as s
from compiler.ir.source import Span, join

if TYPE_CHECKING:
    from compiler.ir.diagnostics import Diagnostics

# The grammar guarantees that the text of such a token is one of the node's literals; mypy cannot know.
_Op: TypeAlias = Any


class ExpressionActions(ProbePointActions):
    """`guru` allows constructs that can crash the kernel."""

    def __init__(self, diagnostics: Diagnostics, *, guru: bool) -> None:
        super().__init__(diagnostics)
        self.guru = guru
        self.enclosed: s.Expr | None = None  # what the last brackets had in them

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
        lvalue: Any = target
        return s.Assign(kind, lvalue, value, join(target.span, value.span))

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

    def bucket_member(self, index: s.Expr, _i: Token, histogram: s.Histogram) -> s.Bucket:
        """`i in @hist_log(x)`: how many values the bucket holds, which is 0 if there are none."""
        return s.Bucket(histogram, index, join(index.span, histogram.span))

    def bucket_members(
        self, opening: Token, keys: list[s.Key], closing: Token, _i: Token, histogram: s.Histogram
    ) -> s.Expr:
        return self.bucket(histogram, opening, keys, closing)

    def bracketed(self, opening: Token, keys: list[s.Key], closing: Token) -> s.Expr:
        key = keys[0]
        if len(keys) > 1 or isinstance(key, s.Wildcard):
            span = join(opening.span, closing.span)
            return self.not_an_element(
                span, "a list of keys in brackets is only allowed before 'in'"
            )
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
        if isinstance(base, s.Name) and base is not self.enclosed:  # (v)[0] is no array's element
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
                join(opening.span, closing.span), "a histogram's bucket has one index"
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
        """Appends one step to a path; `last` is where the step ends."""
        span = join(base.span, last)
        if isinstance(base, s.Access) and not base.address:
            if base.pretty:
                self.after_pretty(step.span)
            return s.Access(base.base, (*base.path, step), False, base.pretty, span)
        return s.Access(base, (step,), False, 0, span)

    def after_pretty(self, span: Span) -> None:
        self.diagnostics.error(
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
        self.enclosed = value
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
            self.diagnostics.error(
                "too-few-values",
                f"{word.value}() prints its first argument between values, and there is only one",
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

    def at_named(
        self, op: Token, _o: Token, value: s.Expr, _c: Token, type_name: Token, *rest: Token
    ) -> s.AtCall:
        """`@enumname(value, "type")`, and with a module behind it."""
        *more, closing = rest
        module = [self.string(more[1])] if more else []
        return self.at_call(op, (value, self.string(type_name), *module), closing)

    def at_call(self, op: Token, args: tuple[s.Expr, ...], closing: Token) -> s.AtCall:
        kind: _Op = op.value
        if kind in ("const", "kregister", "uregister", "kderef", "uderef"):
            self.check_guru(f"'@{kind}'", op.span)
        return s.AtCall(kind, args, op.span, join(op.span, closing.span))

    # ------------------------------------------------------------ checks

    def check_guru(self, what: str, span: Span) -> None:
        if not self.guru:
            self.diagnostics.error(
                "needs-guru-mode",
                f"{what} needs guru mode",
                span,
                hint="run with -g, if you trust the script with the whole kernel",
            )

    def check_target(self, target: s.Expr) -> None:
        """Reports an operand that nothing can be assigned to."""
        match target:
            case s.Name() | s.TargetVar() | s.AtVar() | s.Cast():
                return
            case s.Index(keys=keys) if not any(isinstance(key, s.Wildcard) for key in keys):
                return
            case s.Access(address=False, pretty=0):
                return
            case s.AtCall(name="kderef" | "uderef" | "kregister"):
                return
        self.diagnostics.error(
            "not-assignable",
            "this cannot be assigned to",
            target.span,
            hint="assign to a variable, an array element or a context variable; '==' compares",
        )

    def not_an_element(self, span: Span, message: str) -> s.Expr:
        """Reports keys that no array takes, and returns a value to continue with."""
        self.diagnostics.error(
            "not-an-element",
            message,
            span,
            hint="slices like a[*, 1] belong to foreach, delete and in",
        )
        return s.Number(0, span)


def _dollars(sign: Token) -> Any:
    """1 for `$`, 2 for `$$` and more."""
    return min(len(str(sign.value)), 2)
