# SPDX-License-Identifier: GPL-2.0-or-later
"""The actions of the grammar for probe points, literals and lists (see `compiler.frontend.actions`).

    vfs.{read,write?}  ->  the points `vfs.read` and `vfs.write?`
    syscall.{open,close}.return  ->  one point whose second component has alternatives

Braces stay in the tree as alternatives, except where a `?`, `!` or condition inside them makes the
alternatives differ: then each becomes a probe point of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from compiler.frontend.lexer import Token
from compiler.ir import syntax as s
from compiler.ir.source import join
from runtime.support.int64 import wrapped

if TYPE_CHECKING:
    from compiler.ir.diagnostics import Diagnostics

_T = TypeVar("_T")
_MAX_POINTS = 4096


class PointBuilder:
    """Actions that need nothing but a place to report mistakes."""

    def __init__(self, faults: Diagnostics) -> None:
        self.faults = faults

    # ------------------------------------------------------------ lists and nothing

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
        """The alternatives with their suffixes, and the component that they are without."""
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
        last = len(path) - 1
        components: list[s.Component] = []
        for place, part in enumerate(path):
            if isinstance(part, s.Component):
                components.append(part)
                continue
            inner, component = part
            if any(p.optional or p.sufficient or p.condition is not None for p in inner):
                twice = condition is not None and any(p.condition is not None for p in inner)
                if place == last and mark is None and not twice:
                    return [
                        s.ProbePoint(
                            (*components, *p.components),
                            p.optional,
                            p.sufficient,
                            p.condition or condition,
                            p.span,
                        )
                        for p in inner
                    ]
                self.faults.error(
                    "misplaced-suffix",
                    "'?', '!' and conditions inside braces stand at the very end only",
                    component.span,
                    hint="put the suffix after the whole probe point",
                )
            components.append(component)
        span = components[0].span
        for part_after in (components[-1], mark, condition):
            span = join(span, part_after.span) if part_after is not None else span
        point = s.ProbePoint(
            tuple(components),
            mark is not None and mark.kind == "QUESTION",
            mark is not None and mark.kind == "BANG",
            condition,
            span,
        )
        if _count(point.components) > _MAX_POINTS:
            self.faults.error(
                "too-many-probe-points",
                f"these braces stand for more than {_MAX_POINTS} probe points",
                span,
                hint="use a wildcard",
            )
            return []
        return [point]

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
                self.faults.error(
                    "bad-alias-name",
                    "the name of an alias has no '?', '!' or braces",
                    point.span,
                    hint="define one alias a name; the points after '=' may have them",
                )
                break
        aliases += [(point, sign.value == "+=") for point in points]
        return aliases

    def flat(self, points: list[list[s.ProbePoint]]) -> tuple[s.ProbePoint, ...]:
        return tuple(point for group in points for point in group)


def spell(components: tuple[s.Component, ...]) -> str:
    """A probe point as it is written, without its suffix."""
    return ".".join(_spell(component) for component in components)


def _spell(component: s.Component) -> str:
    match component.arg:
        case None:
            return component.name
        case int(number):
            return f"{component.name}({number})"
        case str(text):
            return f'{component.name}("{text}")'


def _count(components: tuple[s.Component, ...]) -> int:
    """How many probe points the braces of one stand for."""
    product = 1
    for component in components:
        if component.alternatives:
            product *= sum(_count(alternative) for alternative in component.alternatives)
        if product > _MAX_POINTS:
            break
    return product
