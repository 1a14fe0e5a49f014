# SPDX-License-Identifier: GPL-2.0-or-later
"""The semantic actions of the grammar for probe points, literals and lists.

    vfs.{read,write?}  ->  the points `vfs.read` and `vfs.write?`
    syscall.{open,close}.return  ->  one point whose second component has alternatives

See `compiler.frontend.actions`. Braces stay in the tree as alternatives, unless one of the
alternatives has a `?`, a `!` or a condition: then each becomes a probe point of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from compiler.frontend.lexer import Token
from compiler.ir import syntax as s
from compiler.ir.source import Span, join
from compiler.ir.syntax import spell
from runtime.support.int64 import wrapped

if TYPE_CHECKING:
    from compiler.ir.diagnostics import Diagnostics

_T = TypeVar("_T")
_MAX_POINTS = 4096  # that the braces of one probe point may expand to


class ProbePointActions:
    """Actions that need nothing but a list to report diagnostics to."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics

    # ------------------------------------------------------------ lists and optional parts

    def none(self) -> None:
        return None

    def list_empty(self) -> list[Any]:
        return []

    def list_one(self, value: _T) -> list[_T]:
        return [value]

    def list_append(self, values: list[_T], value: _T) -> list[_T]:
        values.append(value)
        return values

    def list_more(self, values: list[_T], _c: Token, value: _T) -> list[_T]:
        values.append(value)
        return values

    def list_extend(self, values: list[_T], more: list[_T]) -> list[_T]:
        values += more
        return values

    def pass_first(self, value: _T, _rest: Token) -> _T:
        return value

    def pass_inner(self, _o: Token, value: _T, _c: Token) -> _T:
        return value

    # ------------------------------------------------------------ literals

    def number(self, number: Token) -> s.Number:
        value: Any = number.value
        return s.Number(value, number.span)

    def negative(self, sign: Token, number: Token) -> s.Number:
        value: Any = number.value
        return s.Number(wrapped(-value), join(sign.span, number.span))

    def string(self, text: Token) -> s.String:
        return s.String(str(text.value), text.span)

    # ------------------------------------------------------------ probe points

    def component(self, name: Token) -> s.Component:
        return s.Component(str(name.value), None, (), name.span)

    def component_with(
        self, name: Token, _o: Token, literal: s.Number | s.String, closing: Token
    ) -> s.Component:
        return s.Component(str(name.value), literal.value, (), join(name.span, closing.span))

    def alternatives(
        self, opening: Token, points: list[list[s.ProbePoint]], closing: Token
    ) -> tuple[list[s.ProbePoint], s.Component]:
        """Returns the alternatives with their suffixes, and the component without the suffixes."""
        inner = [point for group in points for point in group]
        name = "{" + ",".join(spell(point.components) for point in inner) + "}"
        component = s.Component(
            name if len(name) < 1000 else "{...}",
            None,
            tuple(point.components for point in inner),
            join(opening.span, closing.span),
        )
        return inner, component

    def condition(self, _w: Token, _o: Token, test: s.Expr, _c: Token) -> s.Expr:
        return test

    def point(
        self,
        path: list[s.Component | tuple[list[s.ProbePoint], s.Component]],
        mark: Token | None,
        condition: s.Expr | None,
    ) -> list[s.ProbePoint]:
        components: list[s.Component] = []
        for position, part in enumerate(path):
            if isinstance(part, s.Component):
                components.append(part)
                continue
            inner, component = part
            if any(p.optional or p.sufficient or p.condition is not None for p in inner):
                twice = condition is not None and any(p.condition is not None for p in inner)
                if position == len(path) - 1 and mark is None and not twice:
                    return [_prefixed(components, p, condition) for p in inner]
                self.misplaced_suffix(component.span)
            components.append(component)
        point = _point(tuple(components), mark, condition)
        return [point] if self.check_size(point) else []

    def misplaced_suffix(self, span: Span) -> None:
        self.diagnostics.error(
            "misplaced-suffix",
            "'?', '!' and conditions inside braces are only allowed at the end of a probe point",
            span,
            hint="put the suffix after the whole probe point",
        )

    def check_size(self, point: s.ProbePoint) -> bool:
        """Whether the braces expand to few enough points; reports too many."""
        if _count(point.components) <= _MAX_POINTS:
            return True
        self.diagnostics.error(
            "too-many-probe-points",
            f"these braces expand to more than {_MAX_POINTS} probe points",
            point.span,
            hint="use a wildcard",
        )
        return False

    def list_alias(
        self, points: list[s.ProbePoint], sign: Token
    ) -> list[tuple[s.ProbePoint, bool]]:
        return self.list_aliases([], points, sign)

    def list_aliases(
        self,
        aliases: list[tuple[s.ProbePoint, bool]],
        points: list[s.ProbePoint],
        sign: Token,
    ) -> list[tuple[s.ProbePoint, bool]]:
        for point in points:
            braced = any(component.alternatives for component in point.components)
            if len(points) > 1 or braced or point.optional or point.sufficient:
                self.diagnostics.error(
                    "bad-alias-name",
                    "the name of an alias cannot have '?', '!' or braces",
                    point.span,
                    hint="define one alias for each name; the probe points after '=' may have them",
                )
                break
        aliases += [(point, sign.value == "+=") for point in points]
        return aliases

    def flat(self, points: list[list[s.ProbePoint]]) -> tuple[s.ProbePoint, ...]:
        return tuple(point for group in points for point in group)


def _point(
    components: tuple[s.Component, ...], mark: Token | None, condition: s.Expr | None
) -> s.ProbePoint:
    span = components[0].span
    for part in (components[-1], mark, condition):
        span = join(span, part.span) if part is not None else span
    optional = mark is not None and mark.kind == "QUESTION"
    sufficient = mark is not None and mark.kind == "BANG"
    return s.ProbePoint(components, optional, sufficient, condition, span)


def _prefixed(
    components: list[s.Component], point: s.ProbePoint, condition: s.Expr | None
) -> s.ProbePoint:
    """One alternative of final braces as a probe point of its own."""
    return s.ProbePoint(
        (*components, *point.components),
        point.optional,
        point.sufficient,
        point.condition or condition,
        point.span,
    )


def _count(components: tuple[s.Component, ...]) -> int:
    """How many probe points the braces expand to; more than _MAX_POINTS may be counted short."""
    product = 1
    for component in components:
        if component.alternatives:
            product *= sum(_count(alternative) for alternative in component.alternatives)
        if product > _MAX_POINTS:
            break
    return product
