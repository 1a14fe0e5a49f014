# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes that the module runs itself: begin, end and error (each with an order), terminal input, never.

begin(10)         -> ProbeSite(Begin(order=10))
input.char_typed  -> ProbeSite(InputChar()); scripts write the library's alias input.char
never             -> no site
"""

from collections.abc import Sequence

from compiler.ir import syntax
from compiler.ir.hooks import Begin, End, Error, InputChar, InputLine
from compiler.probes.base import (
    Environment,
    ProbePointError,
    ProbeSite,
    number_of,
    spell,
    unexpected,
)

_PHASES = {"begin": Begin, "end": End, "error": Error}
_INPUTS = {"char_typed": InputChar, "line_typed": InputLine}

FORMS = (
    *(f"{phase}{order}" for phase in _PHASES for order in ("", "(number)")),
    "never",
    "input.char",
    "input.line",
)


def resolve_input(
    components: Sequence[syntax.Component], environment: Environment
) -> list[ProbeSite]:
    """The points that the library's aliases input.char and input.line stand for."""
    del environment
    first, *rest = components
    if len(rest) != 1 or rest[0].name not in _INPUTS:
        raise unexpected(rest[0] if rest else first, ("char", "line"))
    return [ProbeSite(_INPUTS[rest[0].name](), spell(components))]


def resolve(components: Sequence[syntax.Component], environment: Environment) -> list[ProbeSite]:
    """`begin`, `end` and `error`, whose order is 0 unless it is given; `never`."""
    del environment
    first, *rest = components
    if rest:
        raise unexpected(rest[0], ())
    if first.name == "never" and first.arg is None:
        return []
    if first.name not in _PHASES:
        raise ProbePointError("bad-probe-argument", f"'{first.name}' takes no argument", first.span)
    hook = _PHASES[first.name](order=number_of(first, default=0))
    return [ProbeSite(hook, spell(components))]
